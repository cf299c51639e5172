"""Answers: JSON that is ready, with what caches want to know of it.

ETags of reads are weak (RFC 9110, section 8.8.1): `status.accessCount` is not part of
them, because an entry has not changed for having been looked at.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from image_catalog_functions.api.http.asgi import Header, Send

__all__ = ["JSON", "Answer", "accepts_gzip", "etag_of", "matches", "send_answer", "uncached"]

JSON: Final = b"application/json"

# Below this a packet is sent anyhow, and the header fields of gzip cost more than it saves.
_WORTH_COMPRESSING: Final = 1024
_LEVEL: Final = 1
_GZIP: Final = 31

_COMMON: Final[tuple[Header, ...]] = (
    (b"content-type", JSON),
    # What somebody may see is decided by their token, and an entry can change at any moment.
    (b"cache-control", b"private, no-cache"),
    (b"vary", b"accept-encoding, authorization"),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A prepared answer.

    Attributes
    ----------
    headers
        Header fields of the whole answer.
    body
        The body, compressed if the headers say so.
    etag
        The ETag as it stands in the header.
    """

    headers: tuple[Header, ...]
    body: bytes
    etag: bytes

    @classmethod
    def of(cls, body: bytes, etag: bytes, *, gzip: bool = False) -> Answer:
        """Prepare an answer.

        Parameters
        ----------
        body
            The JSON.
        etag
            What `etag_of` made.
        gzip
            Whether the client takes a compressed body.
        """
        headers: tuple[Header, ...] = (*_COMMON, (b"etag", etag))
        if gzip and len(body) >= _WORTH_COMPRESSING:
            packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
            body = packer.compress(body) + packer.flush()
            headers = (*headers, (b"content-encoding", b"gzip"))
        return cls((*headers, (b"content-length", b"%d" % len(body))), body, etag)


def etag_of(text: str) -> bytes:
    """Return the weak ETag of a state that a text names."""
    return b'W/"%s"' % text.encode("latin-1")


def accepts_gzip(accept_encoding: bytes | None) -> bool:
    """Return whether a client takes gzip (RFC 9110, section 12.5.3)."""
    if not accept_encoding or (b"gzip" not in accept_encoding and b"*" not in accept_encoding):
        return False
    qualities: dict[bytes, bool] = {}
    for item in accept_encoding.lower().split(b","):
        coding, _, parameter = item.partition(b";")
        name, _, value = parameter.strip().partition(b"=")
        refused = name.strip() == b"q" and not value.strip(b" 0.")
        qualities[coding.strip()] = not refused
    return qualities.get(b"gzip", qualities.get(b"*", False))


def matches(if_none_match: bytes | None, etag: bytes) -> bool:
    """Return whether the client has this state already (RFC 9110, section 13.1.2)."""
    if not if_none_match:
        return False
    if if_none_match.strip() == b"*":
        return True
    opaque = etag.removeprefix(b"W/")
    return any(candidate.strip().removeprefix(b"W/") == opaque for candidate in if_none_match.split(b","))


def uncached(body: bytes, status: int = 200) -> Response:
    """Answer a call that did something with JSON that is true of this moment alone.

    Parameters
    ----------
    body
        The JSON.
    status
        The HTTP status code.
    """
    return Response(body, status, {"Cache-Control": "no-store"}, media_type="application/json")


async def send_answer(send: Send, answer: Answer, *, known: bool, extra: tuple[Header, ...] = ()) -> int:
    """Send an answer, or that the client has it already.

    Parameters
    ----------
    send
        The connection.
    answer
        What is answered.
    known
        Whether the client has it already.
    extra
        Header fields of this moment, such as ``Age``.

    Returns
    -------
    int
        The status code that was sent.
    """
    if known:
        headers = [(name, value) for name, value in answer.headers if name not in _ABOUT_THE_BODY]
        await send({"type": "http.response.start", "status": 304, "headers": [*headers, *extra]})
        await send({"type": "http.response.body", "body": b""})
        return 304
    await send({"type": "http.response.start", "status": 200, "headers": [*answer.headers, *extra]})
    await send({"type": "http.response.body", "body": answer.body})
    return 200


_ABOUT_THE_BODY: Final = frozenset({b"content-type", b"content-length", b"content-encoding"})
