"""The points at which a function can die: before and after everything that it asks of the world."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

import httpx

from image_catalog.cluster import Response, StreamingResponse, Transport
from image_catalog.registry.connections import ConnectionFactory
from image_catalog.registry.hosts import Security

__all__ = ["KilledError", "Points", "observe_connections", "observe_transport"]


class KilledError(BaseException):
    """A function's process died here.

    Not an `Exception`: no code of a function that is killed gets to handle it.
    """


def _harmless(_: str) -> bool:
    return False


class Points:
    """Counts the points that functions pass, and kills one of them at one.

    Parameters
    ----------
    rng
        Lets functions that run side by side pass their points in another order
        with each seed.
    """

    def __init__(self, *, rng: random.Random) -> None:
        self.passed: list[str] = []
        """What was about to be done, or has been done, in order."""
        self._rng = rng
        self._deadly: Callable[[str], bool] = _harmless

    def kill_at(self, number: int) -> None:
        """Let whoever passes this point, counted from 0 and from now on, die there, once."""
        self.passed.clear()
        self._deadly = lambda _: len(self.passed) == number + 1

    def kill_when(self, words: str) -> None:
        """Let whoever passes a point that is named with these words die there, once."""
        self._deadly = lambda label: words in label

    async def reach(self, label: str) -> None:
        """Pass a point.

        Raises
        ------
        KilledError
            Raised if this is where the function dies.
        """
        for _ in range(self._rng.randrange(3)):
            await asyncio.sleep(0)  # Nothing in process ever waits, so others would never get their turn.
        self.passed.append(label)
        if self._deadly(label):
            self._deadly = _harmless
            raise KilledError(label)


class _ObservedTransport:
    """A transport to the API server with a point before and after each request."""

    def __init__(self, inner: Transport, points: Points, actor: str) -> None:
        self._inner = inner
        self._points = points
        self._actor = actor

    async def request(self, method: str, path: str, **options: Any) -> Response:
        """Send one request; see `image_catalog.cluster.Transport.request`."""
        label = f"{self._actor}: {method} {path}"
        await self._points.reach(f"before {label}")
        response = await self._inner.request(method, path, **options)
        await self._points.reach(f"after {label}")
        return response

    def stream(
        self, path: str, *, query: Any = None, timeout: timedelta
    ) -> AbstractAsyncContextManager[StreamingResponse]:
        """Open a stream; see `image_catalog.cluster.Transport.stream`."""
        return self._inner.stream(path, query=query, timeout=timeout)

    async def close(self) -> None:
        """Close the transport."""
        await self._inner.close()


class _ObservedConnections(httpx.AsyncBaseTransport):
    def __init__(self, inner: httpx.AsyncBaseTransport, points: Points, actor: str) -> None:
        self._inner = inner
        self._points = points
        self._actor = actor

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        label = f"{self._actor}: {request.method} {request.url}"
        await self._points.reach(f"before {label}")
        response = await self._inner.handle_async_request(request)
        await self._points.reach(f"after {label}")
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


def observe_transport(inner: Transport, points: Points, actor: str) -> Transport:
    """Put a point before and after each request to the API server."""
    return _ObservedTransport(inner, points, actor)


def observe_connections(inner: ConnectionFactory, points: Points, actor: str) -> ConnectionFactory:
    """Put a point before and after each request to a registry."""

    def connect(security: Security, proxy: str | None) -> httpx.AsyncBaseTransport:
        return _ObservedConnections(inner(security, proxy), points, actor)

    return connect
