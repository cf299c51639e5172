"""The words of the ASGI specification as far as the API uses them.

https://asgi.readthedocs.io/en/latest/specs/www.html
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final, TypeAlias

__all__ = ["STREAMED", "ASGIApp", "Header", "Message", "Receive", "Scope", "Send", "header"]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Header: TypeAlias = tuple[bytes, bytes]

STREAMED: Final = "catalog.streamed"
"""Marks a request in its scope whose answer lasts as long as somebody listens."""


def header(headers: Iterable[Header], name: bytes) -> bytes | None:
    """Return a header field's value, all its lines joined; `None` when it is absent.

    Parameters
    ----------
    headers
        The request's header fields.
    name
        Its name in lower case.
    """
    values = [value for key, value in headers if key == name]
    return b", ".join(values) if values else None
