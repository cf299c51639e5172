"""How boto3's requests travel: over the catalog's own guarded connections.

A store's endpoint is typed by users, so what boto3 would connect to by itself
is anything. It signs the requests and reads the answers; in between, at its
event ``before-send``, they are handed to a `Carrier`, which knows the host
policy, checks the address that is really connected to, and bounds time and size.

See https://boto3.amazonaws.com/v1/documentation/api/latest/guide/events.html.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

__all__ = ["CarriedAnswer", "Carrier", "carried_by"]

_LARGEST_ANSWER = 4 * 1024 * 1024
"""Most that is read of an answer: a page of 256 keys of the greatest length is a tenth of it."""


class CarriedAnswer(Protocol):
    """A store's answer, read to its end."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers."""

    @property
    def body(self) -> bytes:
        """The bytes."""


class Carrier(Protocol):
    """Sends one request as far as that is allowed; errors are the catalog's own."""

    async def send(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None = None, limit: int
    ) -> CarriedAnswer:
        """Send a request and read its answer, whatever its status."""


class _Body(io.BytesIO):
    """An answer's body in the form that botocore reads."""

    def stream(self, amount: int = 65536, **_: object) -> Iterator[bytes]:
        while piece := self.read(amount):
            yield piece


def carried_by(carrier: Carrier, loop: asyncio.AbstractEventLoop) -> Callable[..., Any]:
    """Return a handler of ``before-send`` that has each request carried.

    Parameters
    ----------
    carrier
        Sends the requests.
    loop
        The loop that the carrier belongs to; boto3 runs in threads beside it.
    """

    def send(request: Any, **_: object) -> Any:
        from botocore.awsrequest import AWSResponse  # noqa: PLC0415 - loaded where boto3 is in use already

        content = request.body
        sent = carrier.send(
            request.method,
            request.url,
            headers={name: _text(value) for name, value in request.headers.items()},
            content=content.encode() if isinstance(content, str) else content or None,
            limit=_LARGEST_ANSWER,
        )
        answer = asyncio.run_coroutine_threadsafe(sent, loop).result()
        return AWSResponse(request.url, answer.status, dict(answer.headers), _Body(answer.body))

    return send


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
