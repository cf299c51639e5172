"""Runs the real ``kubectl`` in a home of its own, for tests that take it as the judge."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shlex
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from image_catalog.local.processes import send_signal

__all__ = ["Completed", "Kubectl", "Running", "find_kubectl"]

_PATIENCE = timedelta(seconds=60)
_CLIENT_LOG = re.compile(r"^[IWEF]\d{4} ")
# At this level kubectl logs each request when its answer begins, which for a watch is when it is open.
_LOG_REQUESTS = "-v=6"


def find_kubectl() -> str | None:
    """Find ``kubectl`` on the path; None where a machine has none."""
    return shutil.which("kubectl")


@dataclass(frozen=True, slots=True)
class Completed:
    """What a command wrote, and its exit code."""

    stdout: str
    stderr: str
    exit: int


class Running:
    """A command that is still at work, a watch for example.

    Parameters
    ----------
    process
        Its process, with both outputs piped.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._lines: dict[str, list[str]] = {"stdout": [], "stderr": []}
        self._news = asyncio.Condition()
        self._readers = [
            asyncio.create_task(self._read("stdout", process.stdout)),
            asyncio.create_task(self._read("stderr", process.stderr)),
        ]

    async def printed(self, count: int, *, within: timedelta = _PATIENCE) -> None:
        """Wait until stdout has that many lines, or the command has ended."""
        await self._until(lambda: len(self._lines["stdout"]) >= count, within)

    async def watching(self, *, within: timedelta = _PATIENCE) -> None:
        """Wait until the server has begun to answer a watch, or the command has ended."""
        await self._until(lambda: any("watch=true" in line for line in self._lines["stderr"]), within)

    async def interrupt(self) -> Completed:
        """End the command as Ctrl-C does."""
        send_signal(self._process, signal.SIGINT)
        return await self.completed()

    async def completed(self, *, within: timedelta = _PATIENCE) -> Completed:
        """Wait for the end; the client's own log lines are left out of stderr."""
        async with asyncio.timeout(within.total_seconds()):
            code = await self._process.wait()
            await asyncio.gather(*self._readers)
        said = [line for line in self._lines["stderr"] if not _CLIENT_LOG.match(line)]
        return Completed("".join(self._lines["stdout"]), "".join(said), code)

    async def kill(self) -> None:
        """End the command at once, whatever it does."""
        send_signal(self._process, signal.SIGKILL)
        await self._process.wait()
        await asyncio.gather(*self._readers)

    async def _read(self, name: str, stream: asyncio.StreamReader | None) -> None:
        if stream is None:
            raise TypeError("both outputs of the process must be pipes")
        async for line in stream:
            async with self._news:
                self._lines[name].append(line.decode())
                self._news.notify_all()
        async with self._news:
            self._news.notify_all()

    async def _until(self, happened: Callable[[], bool], within: timedelta) -> None:
        async with asyncio.timeout(within.total_seconds()), self._news:
            await self._news.wait_for(lambda: happened() or all(reader.done() for reader in self._readers))


class Kubectl:
    """The real ``kubectl`` with one kubeconfig, one working folder and a cache of its own.

    Parameters
    ----------
    binary
        Path of the program, see `find_kubectl`.
    kubeconfig
        Whose current context is talked to.
    folder
        Exists; files named in commands lie here, the home and the cache are made here.
    """

    def __init__(self, *, binary: str, kubeconfig: Path, folder: Path) -> None:
        self._binary = binary
        self._folder = folder
        self._home = folder / ".home"
        self._home.mkdir(exist_ok=True)
        self._environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(self._home),
            "KUBECONFIG": str(kubeconfig),
            "TMPDIR": str(self._home),
            "TZ": "UTC",
            # Each command ends within a moment: what it would collect is not worth the looking.
            "GOGC": "off",
        }

    def forget_discovery(self) -> None:
        """Throw away what kubectl has cached, as on its first use."""
        shutil.rmtree(self._home / ".kube", ignore_errors=True)

    async def run(
        self,
        command: str,
        *,
        environment: Mapping[str, str] | None = None,
        within: timedelta = _PATIENCE,
    ) -> Completed:
        """Run a command to its end.

        Parameters
        ----------
        command
            As typed into a shell, beginning with ``kubectl``.
        environment
            Additions, ``KUBE_EDITOR`` for example.

        Raises
        ------
        TimeoutError
            When it takes longer; the command is ended then.
        """
        async with self._started(command, environment or {}) as running:
            return await running.completed(within=within)

    @contextlib.asynccontextmanager
    async def start(self, command: str) -> AsyncIterator[Running]:
        """Start a command that goes on while the test does something else; it is ended with the block."""
        async with self._started(f"{command} {_LOG_REQUESTS}", {}) as running:
            yield running

    @contextlib.asynccontextmanager
    async def _started(self, command: str, environment: Mapping[str, str]) -> AsyncIterator[Running]:
        arguments = shlex.split(command)[1:]
        process = await asyncio.create_subprocess_exec(
            self._binary,
            *arguments,
            cwd=self._folder,
            env={**self._environment, **environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        running = Running(process)
        try:
            yield running
        finally:
            await running.kill()
