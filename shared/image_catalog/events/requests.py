"""What a function reads of a request, within limits."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from starlette.requests import ClientDisconnect, Request

from image_catalog.errors import InvalidEventError
from image_catalog.events.triggers import TriggerFilter
from image_catalog.events.wire import RawEvent
from image_catalog.models.violations import violations_of

__all__ = ["MAX_BODY_BYTES", "bearer_token", "prefers_representation", "read_body", "read_payload"]

MAX_BODY_BYTES = 2 * 1024 * 1024
"""An API server refuses objects above 1.5 MiB (etcd's own limit), and an event carries one object."""

_BODY_TIMEOUT_SECONDS = 30
"""A broker sends a body at once; a sender that dribbles must not hold a request open for ever."""

_BEARER = re.compile(r"^Bearer +(\S+)$", re.IGNORECASE)
_REPRESENTATION = re.compile(r"(?:^|[,;\s])return\s*=\s*\"?representation\"?(?:$|[,;\s])", re.IGNORECASE)


async def read_body(request: Request, *, limit: int = MAX_BODY_BYTES, seconds: float = _BODY_TIMEOUT_SECONDS) -> bytes:
    """Read a request's body, and stop where it grows too large.

    Parameters
    ----------
    request
        The request; its body has not been read.
    limit
        Largest body, in bytes.
    seconds
        Longest time that the body may take.

    Raises
    ------
    InvalidEventError
        Raised if the body is too large (413), too slow, or breaks off.
    """
    too_large = InvalidEventError(f"the body is larger than {limit} bytes", status=413)
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise too_large
    except (ClientDisconnect, TimeoutError) as e:
        raise InvalidEventError(f"the body did not come whole within {seconds:g} seconds") from e
    return bytes(body)


def read_payload(trigger: TriggerFilter, raw: RawEvent) -> Any:
    """Return an event's data as its trigger's payload.

    A trigger without a model takes what comes: JSON read, anything else as
    bytes. Dead letters must not be refused for what made them dead letters.

    Raises
    ------
    InvalidEventError
        Raised if the data breaks the schema; every broken field is named.
    """
    if trigger.payload is None:
        try:
            return raw.json()
        except InvalidEventError:
            return raw.data
    data = raw.json()
    try:
        return trigger.payload.model_validate({} if data is None else data)
    except ValidationError as e:
        violations = violations_of(e, root="data")
        raise InvalidEventError("the event's data breaks its schema", status=422, violations=violations) from e


def bearer_token(headers: Mapping[str, str]) -> str | None:
    """Return the bearer token that the caller sent, or `None`."""
    match = _BEARER.match(headers.get("authorization", ""))
    return match[1] if match else None


def prefers_representation(headers: Mapping[str, str]) -> bool:
    """Return whether the caller asks for the outcome (RFC 7240); brokers send ``Prefer: reply``."""
    return _REPRESENTATION.search(headers.get("prefer", "")) is not None
