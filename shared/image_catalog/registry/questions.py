"""What is asked of a registry, and how far its answer is read."""

from __future__ import annotations

from dataclasses import dataclass

import httpx

from image_catalog.errors import CatalogError, RegistryFaultError
from image_catalog.registry.hosts import Security, Target
from image_catalog.registry.limits import CRUMB_BYTES, CRUMBS, ERROR_BYTES, MANIFEST_BYTES

__all__ = ["HEADERS", "Question", "RawHeaders", "ping", "read_body"]

RawHeaders = list[tuple[bytes, bytes]]

HEADERS: RawHeaders = [(b"User-Agent", b"image-catalog"), (b"Accept-Encoding", b"identity")]
"""What every question has: digests are of the bytes as they are kept, so nobody packs them on the way."""

_PING: RawHeaders = [(b"Accept-Encoding", b"identity")]

_OK = 200


@dataclass(frozen=True, slots=True)
class Question:
    """One request, without the credential that may go with it.

    Attributes
    ----------
    method
        ``HEAD``, ``GET`` or ``POST``.
    url
        Where to, absolute and without a fragment.
    headers
        What to send beside host and authorization.
    subject
        What it is about, for messages.
    limit
        Most bytes of a good answer.
    oversize
        What an answer over the limit is.
    security
        What the connection must be like, where it is not to the registry
        itself but to a token server. Those may not redirect.
    content
        The body.
    purpose
        What traces call it, where its path does not say so.
    """

    method: str
    url: str
    headers: RawHeaders
    subject: str
    limit: int
    oversize: type[CatalogError] = RegistryFaultError
    security: Security | None = None
    content: bytes | None = None
    purpose: str | None = None


def ping(target: Target) -> Question:
    """Return the question whether a registry answers, whatever it answers.

    Parameters
    ----------
    target
        The registry.
    """
    return Question("GET", target.api, _PING, target.api, MANIFEST_BYTES)


async def read_body(response: httpx.Response, question: Question) -> bytes:
    """Read a body within its limit; of errors only the beginning.

    Parameters
    ----------
    response
        The answer's head, with its body still to be read.
    question
        What was asked.

    Raises
    ------
    RegistryFaultError
        Raised if it is encoded, or comes in pieces too small to be read.
    CatalogError
        Raised as the question says if it is too large.
    """
    good = response.status_code == _OK
    if good and question.method != "HEAD":
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in {"", "identity"}:
            # Digests are of the plain bytes, and a bomb is small until it is unpacked.
            raise RegistryFaultError(
                f"{question.subject}: the answer is encoded ({encoding[:32]!r}), which was not asked for"
            )
        declared = response.headers.get("content-length", "")
        if declared.isdigit() and int(declared[:18]) > question.limit:
            raise _too_large(question)
    limit = question.limit if good else ERROR_BYTES
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.stream:  # type: ignore[union-attr]  # transports of this client are asynchronous
        size += len(chunk)
        chunks.append(chunk)
        if len(chunks) > CRUMBS and size < CRUMB_BYTES * len(chunks):
            raise RegistryFaultError(f"{question.subject}: the answer comes in pieces too small to be read")
        if size > limit:
            if good:
                raise _too_large(question)
            break
    return b"".join(chunks)[:limit]


def _too_large(question: Question) -> CatalogError:
    return question.oversize(f"{question.subject}: the answer is larger than {question.limit} bytes")
