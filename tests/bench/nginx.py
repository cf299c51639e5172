"""nginx with one worker, which serves bytes that are known before as static files."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.bench.api_process import cpu_seconds
from tests.bench.wrk import Cores

from image_catalog.local.functions import free_port
from image_catalog.testing.looking import look

__all__ = ["Nginx"]

_CONFIGURATION = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 100000000;
  default_type application/json;
{temporary}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
{locations}
  }}
}}
"""
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
_LIMIT = timedelta(seconds=10)
_LOOK_EVERY = timedelta(milliseconds=20)


class Nginx:
    """Serves while the context lasts, on the servers' core.

    Parameters
    ----------
    folder
        Where configuration and files go.
    answers
        Bodies by path; a path is answered the same with any query.
    cores
        Where it runs.
    """

    def __init__(self, folder: Path, answers: Mapping[str, bytes], *, cores: Cores) -> None:
        self._folder = folder
        self._cores = cores
        self._answers = dict(answers)
        self._port = free_port()
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def cpu_seconds(self) -> float:
        """Time that it has computed, in user space and in the kernel."""
        assert self._process is not None
        return cpu_seconds(self._process.pid)

    async def __aenter__(self) -> Self:
        """Start it, and wait until it listens."""
        self._folder.mkdir(parents=True)
        configuration = self._folder / "nginx.conf"
        configuration.write_text(self._configure())
        self._process = await asyncio.create_subprocess_exec(
            *self._cores.pinned("nginx", "-c", str(configuration), "-p", str(self._folder), "-e", "error.log"),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        async for attempt in look(every=_LOOK_EVERY, limit=_LIMIT, on=(OSError,)):
            with attempt:
                if self._process.returncode is not None:
                    raise RuntimeError(f"nginx ended: {(self._folder / 'error.log').read_text()}")
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End it."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        await self._process.wait()

    def _configure(self) -> str:
        locations = []
        for number, (path, body) in enumerate(self._answers.items()):
            file = self._folder / f"{number}.json"
            file.write_bytes(body)
            locations.append(f"    location = {path} {{ alias {file}; }}")
        temporary = [f"  {name}_temp_path {self._folder}/{name};" for name in _TEMPORARY]
        return _CONFIGURATION.format(
            folder=self._folder,
            port=self._port,
            locations="\n".join(locations),
            temporary="\n".join(temporary),
        )
