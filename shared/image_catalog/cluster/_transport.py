"""The seam between what the catalog asks of Kubernetes and how the bytes travel.

A transport knows nothing of resources: it sends one request, or opens one
stream, and hands back the raw answer. `KubernetesTransport` speaks to a real
API server, `image_catalog.testing.cluster` to an embedded one in the same process.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from image_catalog.errors import ClusterUnavailableError

__all__ = [
    "JSON",
    "MERGE_PATCH",
    "Response",
    "StreamingResponse",
    "Transport",
    "split_lines",
]

JSON = dict[str, Any]
"""An object as the API server sends it; a model reads it before anybody else does."""

MERGE_PATCH = "application/merge-patch+json"
"""The one patch type that core kinds and custom resources both take (RFC 7386)."""

# An object of etcd is 1.5 MiB at most; as JSON, with managed fields, it stays well below this.
MAX_LINE_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Response:
    """What the API server answered, unread.

    Attributes
    ----------
    status
        The HTTP status code.
    headers
        Header fields, their names in lower case.
    body
        The whole body; empty when it is cut.
    is_cut
        Whether the body was longer than the request allowed.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    is_cut: bool = False

    @property
    def is_success(self) -> bool:
        """Whether the status is of the class of success in RFC 9110."""
        return 200 <= self.status < 300  # noqa: PLR2004 - the bounds of that class


@dataclass(frozen=True, slots=True)
class StreamingResponse:
    """An answer whose body comes line by line.

    Attributes
    ----------
    status
        The HTTP status code.
    headers
        Header fields, their names in lower case.
    lines
        The lines of the body without their ends; ends when the server ends the
        stream, raises `ClusterUnavailableError` when the connection breaks.
    """

    status: int
    headers: Mapping[str, str]
    lines: AsyncIterator[bytes]


class Transport(Protocol):
    """Carries requests to one API server under one identity."""

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
        timeout: timedelta,  # noqa: ASYNC109 - the transport's own limit must cover connecting and reading alike
    ) -> Response:
        """Send one request and read the whole answer.

        Parameters
        ----------
        method
            The HTTP method in upper case.
        path
            The path on the API server, percent-encoded, without a query.
        query
            Query parameters, not encoded.
        body
            The JSON body; `None` sends none.
        content_type
            The media type of the body.
        accept
            What the answer may be.
        most_bytes
            The longest body that is read, unpacked; `None` for any.
        timeout
            Upper limit for the whole exchange.

        Raises
        ------
        ClusterUnavailableError
            When no whole answer came in time. Whether a write took effect is then unknown.
        """
        ...

    def stream(
        self,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        timeout: timedelta,
    ) -> AbstractAsyncContextManager[StreamingResponse]:
        """Open a GET whose body is read line by line, until the context closes.

        Parameters
        ----------
        path
            The path on the API server, percent-encoded, without a query.
        query
            Query parameters, not encoded.
        timeout
            Upper limit for the whole stream, so that a half-open connection ends.

        Raises
        ------
        ClusterUnavailableError
            When the server cannot be reached, and from the lines when the stream breaks.
        """
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


async def split_lines(chunks: AsyncIterator[bytes], *, limit: int = MAX_LINE_BYTES) -> AsyncIterator[bytes]:
    """Cut a stream of chunks into its non-empty lines.

    Parameters
    ----------
    chunks
        The body in whatever pieces the network brings.
    limit
        The longest line in bytes that is taken.

    Raises
    ------
    ClusterUnavailableError
        When a line is longer than the limit.
    """
    rest = bytearray()
    async for chunk in chunks:
        rest += chunk
        *lines, tail = rest.split(b"\n")
        rest = bytearray(tail)
        for line in lines:
            if line.strip():
                yield bytes(line)
        if len(rest) > limit:
            raise ClusterUnavailableError(f"a line of the watch is longer than {limit} bytes")
    if rest.strip():
        yield bytes(rest)
