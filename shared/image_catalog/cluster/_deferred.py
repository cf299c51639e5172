"""A transport that connects when it is first needed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from image_catalog.cluster._transport import Response, StreamingResponse, Transport

__all__ = ["DeferredTransport"]


class DeferredTransport:
    """Connects on first use: most events are seen to ask for nothing without any call.

    Loading the official client takes as long as an empty function's whole
    start, which a function that has just been scaled from zero should not
    spend before it knows that it will ask for something.

    Parameters
    ----------
    connect
        Makes the connection; called again after it has failed.
    """

    def __init__(self, connect: Callable[[], Awaitable[Transport]]) -> None:
        self._connect = connect
        self._transport: Transport | None = None
        self._lock = asyncio.Lock()

    async def connected(self) -> Transport:
        """Return the transport behind this one.

        Raises
        ------
        ClusterUnavailableError
            When no connection can be made.
        """
        async with self._lock:
            if self._transport is None:
                self._transport = await self._connect()
            return self._transport

    async def request(
        self,
        method: str,
        path: str,
        *,
        timeout: timedelta,  # noqa: ASYNC109 - the Protocol's parameter
        **request: Any,
    ) -> Response:
        """Send one request; see `Transport.request`."""
        transport = self._transport or await self.connected()
        return await transport.request(method, path, timeout=timeout, **request)

    @asynccontextmanager
    async def stream(
        self,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        timeout: timedelta,  # noqa: ASYNC109 - the Protocol's parameter
    ) -> AsyncIterator[StreamingResponse]:
        """Open a stream of lines; see `Transport.stream`."""
        transport = self._transport or await self.connected()
        async with transport.stream(path, query=query, timeout=timeout) as stream:
            yield stream

    async def close(self) -> None:
        """Close the connection, if one was made."""
        async with self._lock:
            if self._transport is not None:
                await self._transport.close()
