"""The functions as processes, each on a port of its own: functions-framework, or what the manifest runs instead."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import random
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from importlib.resources import files
from pathlib import Path

import httpx

from image_catalog.errors import PermanentError
from image_catalog.local.processes import send_signal

__all__ = ["ENTRYPOINT", "FunctionProcess", "free_port", "free_ports", "function_source", "require_listening"]

_HOST = "127.0.0.1"
_PORTS = range(20_000, 32_768)
"""Below those that systems give to connections, and to servers that take any: one of these could be gone meanwhile."""
START_LIMIT = timedelta(seconds=60)
"""A function starts within seconds; five on a busy laptop need a while longer."""
_POLL = timedelta(milliseconds=50)
STOP_LIMIT = timedelta(seconds=1.2)
"""After this a process is killed: Ctrl-C ends the whole stack within two seconds."""
RESTART_PAUSE = timedelta(milliseconds=500)
"""Before a function that ended is started again, so that one that cannot live does not keep a core busy."""
_LOG_TAIL = 4000
ENTRYPOINT = ("python", "-m", "functions_framework", "--asgi")
"""What the image starts for a Service without a command of its own."""


def free_port(preferred: int = 0) -> int:
    """Return a port that nobody listens on, for a process that is started with it.

    Parameters
    ----------
    preferred
        Is returned if it is free.

    Raises
    ------
    OSError
        Raised if none of a hundred is free.
    """
    choices = random.SystemRandom().sample(_PORTS, 100)
    for port in (preferred, *choices) if preferred else choices:
        # As a server binds it: one that is free again a moment ago counts as free.
        with contextlib.suppress(OSError), socket.create_server((_HOST, port)):
            return port
    raise OSError(errno.EADDRINUSE, f"none of a hundred ports from {_PORTS.start} to {_PORTS.stop - 1} is free")


def free_ports(count: int) -> list[int]:
    """Return so many ports, each another one: of two functions with one port, one would get the events of both.

    Parameters
    ----------
    count
        How many.

    Raises
    ------
    OSError
        As `free_port` does.
    """
    found: set[int] = set()
    while len(found) < count:
        found.add(free_port())
    return [*found]


async def require_listening(port: int) -> None:
    """Raise OSError while nobody listens: most looks at what starts find nobody, and a client takes ten times as long.

    Parameters
    ----------
    port
        Of this machine.
    """
    with socket.socket() as probe:
        probe.setblocking(False)
        await asyncio.get_running_loop().sock_connect(probe, (_HOST, port))


def function_source(name: str) -> Path:
    """Return the file that functions-framework loads for a function."""
    return Path(str(files("image_catalog_functions") / name / "main.py"))


class FunctionProcess:
    """One function, served as in a cluster.

    Parameters
    ----------
    name
        Name of the function's folder and Service.
    environment
        What its manifest, its SinkBinding and the stack give it.
    log
        File that takes what it prints.
    port
        Where it listens.
    command
        What is run; ``python`` is the interpreter that runs this.
    """

    def __init__(
        self,
        name: str,
        *,
        environment: Mapping[str, str],
        log: Path,
        port: int,
        command: Sequence[str] = ENTRYPOINT,
    ) -> None:
        self.name = name
        self.port = port
        self.log = log
        self._environment = dict(environment)
        self._command = tuple(sys.executable if word == "python" else word for word in command)
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{_HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        """Process id of the server; `None` before the start."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Start the process, without waiting until it answers."""
        # OTEL_EXPORTER_OTLP_ENDPOINT=… make up: each function sends its traces there.
        inherited = {
            key: value
            for key, value in os.environ.items()
            if key in {"PATH", "HOME", "LANG", "TMPDIR"} or key.startswith("OTEL_")
        }
        with self.log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                env=inherited
                | self._environment
                | {
                    "FUNCTION_TARGET": "main",
                    "FUNCTION_SOURCE": str(function_source(self.name)),
                    "HOST": _HOST,
                    "PORT": str(self.port),
                    "K_SERVICE": self.name,
                },
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # A group of its own: Ctrl-C reaches the stack alone, which ends the functions in order.
                start_new_session=True,
            )

    async def wait_ready(self, client: httpx.AsyncClient) -> None:
        """Wait until it can take events.

        Raises
        ------
        PermanentError
            Raised if it ended, or did not become ready in time; with the end
            of its log.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_LIMIT.total_seconds()):
                while self._process is not None and self._process.returncode is None:
                    with contextlib.suppress(httpx.HTTPError, OSError):
                        await require_listening(self.port)
                        response = await client.get(f"{self.url}/readyz")
                        if response.is_success:
                            return
                    await asyncio.sleep(_POLL.total_seconds())
        raise PermanentError(f"the function {self.name} did not start; the end of {self.log}:\n{self._log_tail()}")

    async def supervise(self, notice: Callable[[str], None]) -> None:
        """Start it again whenever it ends by itself, as a cluster does; runs until it is cancelled.

        Parameters
        ----------
        notice
            Is told in one line when that happens.
        """
        while self._process is not None:
            code = await self._process.wait()
            # What it had started would go on taking events, and would outlive the stack.
            _kill_group(self._process.pid)
            await asyncio.sleep(RESTART_PAUSE.total_seconds())
            await self.start()
            notice(f"the function {self.name} ended (exit code {code}) and was started again; see {self.log}")

    async def stop(self) -> None:
        """End the process and everything that it started."""
        process = self._process
        if process is None:
            return
        # To the server alone, which ends its worker in order: told of it twice, the worker takes twice as long.
        send_signal(process, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_LIMIT.total_seconds()):
                await process.wait()
        # Whatever is left, workers whose server was killed too.
        _kill_group(process.pid)
        await process.wait()

    def _log_tail(self) -> str:
        return self.log.read_text(errors="replace")[-_LOG_TAIL:] if self.log.exists() else ""


def _kill_group(leader: int) -> None:
    """Kill what is left of a process group; its leader may have ended before."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)
