"""Server-sent events, read from lines.

https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from image_catalog.cli.errors import ServerUnreachableError

__all__ = ["Frame", "read_frames"]


@dataclass(frozen=True, slots=True)
class Frame:
    """One server-sent event.

    Attributes
    ----------
    name
        ``message`` where the server gave none.
    id
        What the stream goes on behind; `None` where it stays.
    data
        Its JSON; `None` for one that only moves the place, or breaks the silence.
    retry
        How long the server wants to be left alone after the stream has ended; `None` where it does not say.
    """

    name: str
    id: str | None
    data: Any
    retry: timedelta | None


def read_frames(lines: Iterable[bytes]) -> Iterator[Frame]:
    """Yield what lines say; what is begun when they end counts for nothing.

    Parameters
    ----------
    lines
        Without their ends.

    Raises
    ------
    ServerUnreachableError
        Raised if it is no JSON: whoever speaks there is not the catalog.
    """
    fields: dict[str, list[str]] = {}
    silent = True
    for line in lines:
        text = line.decode("utf-8", "replace").rstrip("\r")
        if text:
            silent = False
            name, _, value = text.partition(":")
            fields.setdefault(name, []).append(value.removeprefix(" "))
            continue
        if not silent:
            yield _frame(fields)
        fields, silent = {}, True


def _frame(fields: dict[str, list[str]]) -> Frame:
    retry = fields.get("retry", [""])[-1]
    try:
        data = json.loads("\n".join(fields["data"])) if "data" in fields else None
    except ValueError as e:
        raise ServerUnreachableError("what streams from the server is not what the catalog says") from e
    return Frame(
        name=fields.get("event", ["message"])[-1] or "message",
        id=fields["id"][-1] if "id" in fields else None,
        data=data,
        retry=timedelta(milliseconds=int(retry)) if retry.isascii() and retry.isdigit() else None,
    )
