"""Ways in which registries, and what stands between, go wrong.

Each is a small piece of ASGI: it gets the application that it spoils and
decides what reaches the client. `FakeRegistry.fail` says for which requests.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Protocol

import httpx
from starlette.datastructures import MutableHeaders
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from image_catalog.local.serving import close_connection

__all__ = [
    "Answer",
    "BodyChange",
    "Cut",
    "Fault",
    "Gate",
    "HeaderChange",
    "Oversized",
    "Redirect",
    "another_content_type",
    "another_digest_header",
    "corrupt_body",
    "gzip_body",
    "head_not_allowed",
    "html_page",
    "no_challenge",
    "no_digest_header",
    "rate_limited",
    "server_error",
]


class Fault(Protocol):
    """Something that spoils answers."""

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, with or without the application's help."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Another answer than the registry's own.

    Attributes
    ----------
    status
        HTTP status code.
    body
        The bytes.
    headers
        ``Content-Type`` among them.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer without asking the registry."""
        del app
        await Response(self.body, self.status, headers=dict(self.headers))(scope, receive, send)


@dataclass(frozen=True, slots=True)
class HeaderChange:
    """The registry's answer with other headers.

    Attributes
    ----------
    replace
        Set to these values.
    drop
        Taken away.
    """

    replace: Mapping[str, str] = field(default_factory=dict)
    drop: tuple[str, ...] = ()

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the answer on with its headers changed."""

        async def changed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name in self.drop:
                    del headers[name]
                headers.update(self.replace)
            await send(message)

        await app(scope, receive, changed)


@dataclass(frozen=True, slots=True)
class BodyChange:
    """The registry's answer with another body, and a ``Content-Length`` that fits it.

    Attributes
    ----------
    change
        Makes the new body of the old one.
    headers
        Set too.
    """

    change: Callable[[bytes], bytes]
    headers: Mapping[str, str] = field(default_factory=dict)

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Collect the answer and pass it on changed; an answer to HEAD keeps what it says."""
        start: Message = {}
        body = bytearray()

        async def collect(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
                return
            body.extend(message.get("body", b""))

        await app(scope, receive, collect)
        headers = MutableHeaders(scope=start)
        headers.update(self.headers)
        content = bytes(body)
        if scope["method"] != "HEAD":
            content = self.change(content)
            headers["Content-Length"] = str(len(content))
        await send(start)
        await send({"type": "http.response.body", "body": content})


@dataclass(frozen=True, slots=True)
class Cut:
    """A connection that ends too early.

    Behind a socket it really is closed. In process there is none, so the
    client's exception for it is raised; the answer's beginning is lost then,
    because httpx hands an in-process answer over only when it is complete.

    Attributes
    ----------
    after
        How many bytes of the body still arrive; `None` cuts before the answer.
    """

    after: int | None = None

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a part of the answer through, at most, and drop the connection."""
        if self.after is not None:
            await app(scope, receive, _First(self.after, send))
        drop = close_connection(scope)
        if drop is None:
            raise httpx.RemoteProtocolError("the fake registry cut the connection")
        drop()
        while (await receive())["type"] != "http.disconnect":
            pass


class _First:
    """A ``send`` that lets the first bytes of a body through and keeps the answer open."""

    def __init__(self, count: int, send: Send) -> None:
        self._left = count
        self._send = send

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.body":
            piece = message.get("body", b"")[: self._left]
            self._left -= len(piece)
            message = {"type": "http.response.body", "body": piece, "more_body": True}
        await self._send(message)


class Gate:
    """An answer that waits until the test lets it go.

    Attributes
    ----------
    reached
        Set when the first request waits.
    opened
        Set by the test; every request that waits goes on, and later ones do
        not wait.
    """

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()
        self.waiting = 0

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait, then ask the registry."""
        self.waiting += 1
        self.reached.set()
        try:
            await self.opened.wait()
        finally:
            self.waiting -= 1
        await app(scope, receive, send)


@dataclass(frozen=True, slots=True)
class Oversized:
    """A body of any size, made while it is sent.

    Attributes
    ----------
    size
        In bytes.
    declared
        Whether ``Content-Length`` warns of it.
    media_type
        Of the body, which is nothing but spaces.
    status
        HTTP status code.
    """

    size: int
    declared: bool = True
    media_type: str = "application/vnd.oci.image.manifest.v1+json"
    status: int = 200

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer without asking the registry."""
        del app
        headers = {"Content-Length": str(self.size)} if self.declared else {}

        async def pieces() -> AsyncIterator[bytes]:
            left = self.size
            while left > 0:
                piece = b" " * min(left, 64 * 1024)
                left -= len(piece)
                yield piece

        await StreamingResponse(pieces(), self.status, headers, self.media_type)(scope, receive, send)


@dataclass(frozen=True, slots=True)
class Redirect:
    """The same path somewhere else.

    Attributes
    ----------
    to
        Scheme, host and port.
    status
        301, 302, 303, 307 or 308.
    """

    to: str
    status: int = 307

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer without asking the registry."""
        del app
        query = scope["query_string"].decode()
        location = f"{self.to.rstrip('/')}{scope['path']}{'?' if query else ''}{query}"
        await Response(None, self.status, headers={"Location": location})(scope, receive, send)


def server_error(status: int = 500, *, text: str = "something broke") -> Answer:
    """Fail as a registry does that has lost its storage: plain text, no error document."""
    return Answer(status, text.encode(), {"Content-Type": "text/plain; charset=utf-8"})


def rate_limited(*, status: int = 429, retry_after: timedelta | datetime | None = None) -> Answer:
    """Ask to slow down.

    Parameters
    ----------
    status
        429 or 503.
    retry_after
        Whole seconds for a duration, an HTTP date for a moment; no header when
        `None`.
    """
    headers = {"Content-Type": "application/json; charset=utf-8"}
    if isinstance(retry_after, datetime):
        headers["Retry-After"] = format_datetime(retry_after.astimezone(UTC), usegmt=True)
    elif retry_after is not None:
        headers["Retry-After"] = str(int(retry_after.total_seconds()))
    error = {"code": "TOOMANYREQUESTS", "message": "too many requests"}
    return Answer(status, json.dumps({"errors": [error]}).encode(), headers)


def html_page(status: int = 200) -> Answer:
    """Answer as a captive portal or a wrong address does."""
    return Answer(status, b"<!DOCTYPE html><title>Sign in</title>", {"Content-Type": "text/html; charset=utf-8"})


def no_challenge(status: int = 401, *, empty_header: bool = False) -> Answer:
    """Deny without saying how to do better; with an empty ``WWW-Authenticate`` as Harbor was seen to."""
    headers = {"Content-Type": "application/json"} | ({"WWW-Authenticate": ""} if empty_header else {})
    return Answer(status, b'{"errors":[{"code":"UNAUTHORIZED","message":"unauthorized"}]}', headers)


def head_not_allowed() -> Answer:
    """Answer 405; give it to `FakeRegistry.fail` with ``method="HEAD"``."""
    return Answer(405, b"", {"Allow": "GET"})


def no_digest_header() -> HeaderChange:
    """Leave ``Docker-Content-Digest`` and the entity tag out, as static registries and proxies do."""
    return HeaderChange(drop=("docker-content-digest", "etag"))


def another_digest_header(digest: str) -> HeaderChange:
    """Claim another digest than the body has."""
    return HeaderChange(replace={"docker-content-digest": digest})


def another_content_type(media_type: str) -> HeaderChange:
    """Claim another media type than the body has."""
    return HeaderChange(replace={"content-type": media_type})


def corrupt_body() -> BodyChange:
    """Change one byte of the body, so that its digest is another one and its length the same."""
    return BodyChange(lambda content: content[:-1] + bytes([content[-1] ^ 1]) if content else content)


def gzip_body() -> BodyChange:
    """Compress the body though nobody asked, as some CDNs do."""
    return BodyChange(gzip.compress, {"Content-Encoding": "gzip"})
