"""The registry as a process of its own, which can be killed and frozen as those of others are."""

from __future__ import annotations

import asyncio
import signal
import sys
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import stamina

from image_catalog.local.functions import free_port
from image_catalog.local.processes import send_signal
from image_catalog.local.registry import EmbeddedRegistry

__all__ = ["RegistryProcess"]

_START_LIMIT = timedelta(seconds=60)


class RegistryProcess:
    """Serves a folder's images; started again it listens at the same address, and has what it had.

    Parameters
    ----------
    root
        The folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._port = free_port()
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Start it; return when it answers."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, __file__, str(self._root), str(self._port)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        async with httpx.AsyncClient(trust_env=False) as client:
            async for attempt in stamina.retry_context(
                on=httpx.TransportError, attempts=None, timeout=_START_LIMIT, wait_initial=0.05, wait_max=0.2
            ):
                with attempt:
                    await client.get(f"{self.url}/v2/")

    def signal(self, number: int) -> None:
        """Send it a signal, if it runs."""
        if self._process is not None:
            send_signal(self._process, number)

    async def kill(self) -> None:
        """Kill it; return when it has ended."""
        self.signal(signal.SIGKILL)
        if self._process is not None:
            await self._process.wait()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Nothing of it is needed any more, and a frozen one takes no other signal.
        await self.kill()


async def _serve(root: Path, port: int) -> None:
    async with EmbeddedRegistry(root, port=port):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), int(sys.argv[2])))
