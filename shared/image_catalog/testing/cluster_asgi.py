"""A transport that calls an ASGI application in the same task: no socket, no thread, no real time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, urlencode

import orjson

from image_catalog.cluster import Response, StreamingResponse, split_lines
from image_catalog.errors import ClusterUnavailableError

__all__ = ["ASGIApp", "ASGITransport", "Message", "OpenStream"]

Message = MutableMapping[str, Any]
ASGIApp = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]


class OpenStream:
    """A watch that is under way, and what a test can do to it."""

    def __init__(self) -> None:
        self.status: asyncio.Future[tuple[int, dict[str, str]]] = asyncio.get_running_loop().create_future()
        self.disconnected = asyncio.Event()
        self._chunks: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()

    def feed(self, chunk: bytes | Exception | None) -> None:
        """Let the reader see bytes, an exception, or the end."""
        self._chunks.put_nowait(chunk)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield what was fed."""
        while (chunk := await self._chunks.get()) is not None:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk


class ASGITransport:
    """A `image_catalog.cluster.Transport` over an ASGI application.

    Parameters
    ----------
    app
        The application.
    headers
        Sent with every request, for the caller's identity; none of those that a request has of its own.
    """

    def __init__(self, app: ASGIApp, *, headers: Mapping[str, str] | None = None) -> None:
        self._app = app
        self._headers = _encode({"host": "in-process", **(headers or {})})
        self.streams: set[OpenStream] = set()

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        most_bytes: int | None = None,
        timeout: timedelta,  # noqa: ASYNC109 - the Protocol's parameter
    ) -> Response:
        """Call the application once; see `image_catalog.cluster.Transport.request`."""
        payload = b"" if body is None else orjson.dumps(body)
        headers = {"accept": accept}
        if body is not None:
            headers |= {"content-type": content_type, "content-length": str(len(payload))}
        status, answer_headers, chunks = 0, dict[str, str](), list[bytes]()

        async def send(message: Message) -> None:
            nonlocal status, answer_headers
            if message["type"] == "http.response.start":
                status, answer_headers = message["status"], _decode(message.get("headers") or ())
            elif message["type"] == "http.response.body":
                chunks.append(message.get("body", b""))

        try:
            async with asyncio.timeout(timeout.total_seconds()):
                await self._app(self._scope(method, path, query, headers), _receiver(payload), send)
        except TimeoutError as e:
            raise ClusterUnavailableError(f"{method} {path}: no answer in time") from e
        found = b"".join(chunks)
        is_cut = most_bytes is not None and len(found) > most_bytes
        return Response(status, answer_headers, b"" if is_cut else found, is_cut=is_cut)

    @asynccontextmanager
    async def stream(
        self,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        timeout: timedelta,  # noqa: ASYNC109 - the Protocol's parameter
    ) -> AsyncIterator[StreamingResponse]:
        """Open a stream of lines; see `image_catalog.cluster.Transport.stream`."""
        stream = OpenStream()
        task = asyncio.create_task(self._serve(stream, path, query))
        self.streams.add(stream)
        expiry = asyncio.get_running_loop().call_later(
            timeout.total_seconds(), stream.feed, ClusterUnavailableError(f"GET {path}: the stream took too long")
        )
        try:
            status, headers = await stream.status
            yield StreamingResponse(status, headers, split_lines(stream.chunks()))
        finally:
            expiry.cancel()
            self.streams.discard(stream)
            stream.disconnected.set()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def close(self) -> None:
        """End every stream."""
        for stream in self.streams:
            stream.feed(None)

    async def _serve(self, stream: OpenStream, path: str, query: Mapping[str, str] | None) -> None:
        first = _receiver(b"")
        asked = False

        async def receive() -> Message:
            nonlocal asked
            if not asked:
                asked = True
                return await first()
            await stream.disconnected.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if stream.disconnected.is_set():
                raise OSError("the client has gone")  # what an ASGI 2.4 server does
            if message["type"] == "http.response.start":
                stream.status.set_result((message["status"], _decode(message.get("headers") or ())))
            elif message["type"] == "http.response.body":
                stream.feed(message.get("body", b""))
                if not message.get("more_body", False):
                    stream.feed(None)

        try:
            await self._app(self._scope("GET", path, query, {"accept": "application/json"}), receive, send)
        except Exception as e:  # noqa: BLE001 - whatever the application raises has to reach the reader
            if not stream.status.done():
                stream.status.set_exception(e)
            stream.feed(e)

    def _scope(
        self, method: str, path: str, query: Mapping[str, str] | None, headers: Mapping[str, str]
    ) -> MutableMapping[str, Any]:
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": method,
            "scheme": "https",
            "path": unquote(path),
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": _query_string(tuple(query.items())) if query else b"",
            "headers": [*self._headers, *_encode(headers)],
            "client": ("127.0.0.1", 0),
            "server": ("127.0.0.1", 443),
        }


@lru_cache(maxsize=1024)
def _query_string(query: tuple[tuple[str, str], ...]) -> bytes:
    """Encode a query: whoever looks for work leaves out a hundred names, and the same ones the whole minute."""
    return urlencode(query).encode()


def _encode(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


def _decode(headers: Any) -> dict[str, str]:
    return {name.decode().lower(): value.decode() for name, value in headers}


def _receiver(payload: bytes) -> Callable[[], Awaitable[Message]]:
    sent = False

    async def receive() -> Message:
        nonlocal sent
        if sent:
            await asyncio.get_running_loop().create_future()  # the client stays, and has nothing more to say
        sent = True
        return {"type": "http.request", "body": payload, "more_body": False}

    return receive
