"""What goes wrong on the wire: bodies without end, slow ones, and lengths that are lies.

Faults as those of `image_catalog.testing.registry_faults`, for a registry that
is served: in process httpx takes a whole body before anybody can have had enough.
"""

from __future__ import annotations

import asyncio
import gzip
from dataclasses import dataclass
from datetime import timedelta

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from image_catalog.local.serving import close_connection
from image_catalog.testing.registry_faults import BodyChange

__all__ = ["Endless", "GzipBomb", "Trickle", "WrongLength"]


@dataclass(frozen=True, slots=True)
class Endless:
    """A body that never ends, as fast as it is taken. Needs a socket: in process nobody would stop it.

    Attributes
    ----------
    piece
        Bytes in each chunk.
    media_type
        Of the body, which is nothing but spaces.
    """

    piece: int = 64 * 1024
    media_type: str = "application/vnd.oci.image.manifest.v1+json"

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer without asking the registry, until the client has had enough."""
        del app, scope
        await _stream(self.media_type, receive, send, piece=b" " * self.piece, pause=timedelta())


@dataclass(frozen=True, slots=True)
class Trickle:
    """A body that comes a byte at a time and never ends. Needs a socket.

    Attributes
    ----------
    pause
        Between two bytes: shorter than the client's patience with silence.
    """

    pause: timedelta = timedelta(milliseconds=20)
    media_type: str = "application/vnd.oci.image.manifest.v1+json"

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer without asking the registry, until the client has had enough."""
        del app, scope
        await _stream(self.media_type, receive, send, piece=b" ", pause=self.pause)


async def _stream(media_type: str, receive: Receive, send: Send, *, piece: bytes, pause: timedelta) -> None:
    headers = [(b"content-type", media_type.encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    gone = asyncio.ensure_future(_gone(receive))
    try:
        while not gone.done():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.wait({gone}, timeout=pause.total_seconds())
    finally:
        gone.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


@dataclass(frozen=True, slots=True)
class WrongLength:
    """The registry's answer with a ``Content-Length`` that is not its own. Needs a socket.

    Attributes
    ----------
    by
        How many bytes are promised and never come; below zero, how many of
        the body's are beyond what was promised, and so not its.
    """

    by: int

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what the promise lets through."""
        if self.by < 0:
            await BodyChange(lambda content: content[: self.by])(app, scope, receive, send)
            return

        async def promised(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Length"] = str(int(headers["Content-Length"]) + self.by)
            await send({**message, "more_body": True} if "body" in message else message)

        await app(scope, receive, promised)
        drop = close_connection(scope)
        if drop is not None:
            drop()
            await _gone(receive)


@dataclass(frozen=True, slots=True)
class GzipBomb:
    """Zeros in gzip, a thousandth of their size on the wire, whether asked for or not.

    Attributes
    ----------
    mebibytes
        How much there is once it is unpacked.
    """

    mebibytes: int = 1024

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer without asking the registry."""
        del app
        # Members that follow each other are one file, so that a large bomb costs no more than a small one.
        member = gzip.compress(bytes(1024 * 1024))
        headers = {"Content-Encoding": "gzip", "Content-Type": "application/vnd.oci.image.manifest.v1+json"}
        await Response(member * self.mebibytes, 200, headers=headers)(scope, receive, send)
