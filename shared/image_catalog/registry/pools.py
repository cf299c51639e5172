"""A pool of connections for each server, so that those to others cost a request nothing.

A pool of httpcore's looks through all its connections with each request, and counts all of them for each that is
idle: two hundred registries that were asked a moment ago would make a request take twenty times as long, and whoever
owns a domain has as many of them as he likes.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import cast

import httpx

__all__ = ["PoolPerServer"]

_KEPT = 1024
"""Most pools that nobody is using."""


@dataclass(slots=True, eq=False)
class _Pool:
    transport: httpx.AsyncBaseTransport
    users: int = 0
    used: float = 0.0
    """When it was last let go, in the loop's time."""


class PoolPerServer(httpx.AsyncBaseTransport):
    """Sends each request over the pool of its server.

    Parameters
    ----------
    make
        Makes a pool.
    idle_seconds
        How long one is kept that nobody uses: as long as its connections.
    kept
        How many of those there may be.
    """

    def __init__(self, make: Callable[[], httpx.AsyncBaseTransport], *, idle_seconds: float, kept: int = _KEPT) -> None:
        self._make = make
        self._idle_seconds = idle_seconds
        self._kept = kept
        self._busy: dict[tuple[bytes, bytes, int | None], _Pool] = {}
        self._idle: OrderedDict[tuple[bytes, bytes, int | None], _Pool] = OrderedDict()
        """Those that nobody uses; who was let go first is first."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return the answer's head with its body still to be read.

        Parameters
        ----------
        request
            What to send.
        """
        url = request.url
        key = (url.raw_scheme, url.raw_host, url.port)
        pool = self._busy.get(key) or self._idle.pop(key, None) or _Pool(self._make())
        self._busy[key] = pool
        pool.users += 1

        def release() -> None:
            pool.users -= 1
            if not pool.users and self._busy.pop(key, None) is not None:
                pool.used = asyncio.get_running_loop().time()
                self._idle[key] = pool

        try:
            await self._close_idle()
            answer = await pool.transport.handle_async_request(request)
        except BaseException:
            release()
            raise
        answer.stream = _Body(cast("httpx.AsyncByteStream", answer.stream), release)
        return answer

    async def aclose(self) -> None:
        """Close every connection."""
        pools = [*self._busy.values(), *self._idle.values()]
        self._busy.clear()
        self._idle.clear()
        for pool in pools:
            await pool.transport.aclose()

    async def _close_idle(self) -> None:
        """Close pools that were let go so long ago that their servers have closed the connections, too."""
        oldest = asyncio.get_running_loop().time() - self._idle_seconds
        while self._idle:
            pool = next(iter(self._idle.values()))
            if pool.used > oldest and len(self._idle) <= self._kept:
                return
            self._idle.popitem(last=False)
            await pool.transport.aclose()


class _Body(httpx.AsyncByteStream):
    """An answer's body, whose end lets the pool go."""

    def __init__(self, stream: httpx.AsyncByteStream, release: Callable[[], None]) -> None:
        self._stream = stream
        self._release: Callable[[], None] | None = release

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            yield chunk

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            release, self._release = self._release, None
            if release is not None:
                release()
