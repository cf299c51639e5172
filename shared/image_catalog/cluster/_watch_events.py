"""The lines of a watch, and the list that its first lines can be.

The protocol: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes and,
for the list, https://kubernetes.io/docs/reference/using-api/api-concepts/#streaming-lists.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import orjson

from image_catalog.cluster._failures import GONE, Operation, failure
from image_catalog.cluster._transport import JSON, Response
from image_catalog.cluster._watch_items import Bookmarked, Changed, ChangeType, Relisted
from image_catalog.errors import ClusterUnavailableError, InvalidObjectError

__all__ = ["INITIAL_EVENTS", "NotStreamedError", "VersionExpiredError", "WatchEvent", "initial_list", "read_event"]

INITIAL_EVENTS: Final = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
"""Asks a watch to begin with what exists, and to say by a bookmark when that was all."""

END_OF_INITIAL_EVENTS: Final = "k8s.io/initial-events-end"


class VersionExpiredError(Exception):
    """The API server has forgotten the version that the watch wants to go on from."""


class NotStreamedError(Exception):
    """The API server, or what stands before it, does not send a list as the beginning of a watch."""


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One line of a watch.

    Attributes
    ----------
    item
        What it tells.
    version
        How far the watch has come with it.
    ends_list
        Whether everything that existed has been sent.
    """

    item: Changed | Bookmarked
    version: str
    ends_list: bool = False


def read_event(line: bytes, operation: Operation) -> WatchEvent:
    """Read one line of a watch.

    Raises
    ------
    VersionExpiredError
        When the line says so.
    ClusterUnavailableError
        When it tells another error, or makes no sense.
    ForbiddenError
        When the right to watch was taken away.
    """
    try:
        event: dict[str, Any] = orjson.loads(line)
        kind, obj = event["type"], event["object"]
        if kind == "ERROR":
            raise _error(obj, operation)
        metadata = obj["metadata"]
        version = str(metadata["resourceVersion"])
        if kind == "BOOKMARK":
            ended = (metadata.get("annotations") or {}).get(END_OF_INITIAL_EVENTS) == "true"
            return WatchEvent(Bookmarked(version), version, ends_list=ended)
        return WatchEvent(Changed(ChangeType(kind), obj), version)
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError) as e:
        raise ClusterUnavailableError(f"{operation}: an event that cannot be read") from e


async def initial_list(
    lines: AsyncIterator[bytes], operation: Operation, *, patience: timedelta, page_size: int
) -> AsyncGenerator[Relisted | Changed]:
    """Read what a watch begins with as the pages of a list; the lines that follow are left to be read.

    Parameters
    ----------
    lines
        Of the watch, from its first.
    operation
        What is watched.
    patience
        How long the events of one page may take.
    page_size
        How many objects a page holds.

    Raises
    ------
    NotStreamedError
        When the list does not come to its end though the connection holds.
    VersionExpiredError, ClusterUnavailableError, ForbiddenError
        As `read_event`; the last two also when the connection breaks.
    """
    first = True
    while True:
        objects: list[JSON] = []
        try:
            async with asyncio.timeout(patience.total_seconds()):
                last = await _fill(objects, lines, operation, page_size)
        except TimeoutError as e:
            raise NotStreamedError("the initial events come to no end") from e
        ended = last is not None and last.ends_list
        yield Relisted(tuple(objects), first, ended, last.version if last is not None and ended else "")
        if ended:
            return
        if last is not None and isinstance(last.item, Changed):
            yield last.item
        first = False


async def _fill(
    objects: list[JSON], lines: AsyncIterator[bytes], operation: Operation, page_size: int
) -> WatchEvent | None:
    """Take in objects until the page is full, or an event comes that is none of the list's objects; return that one."""
    async for line in lines:
        event = read_event(line, operation)
        if not isinstance(event.item, Changed):
            if event.ends_list:
                return event
            continue
        if event.item.type is ChangeType.DELETED:
            return event
        objects.append(event.item.object)
        if len(objects) >= page_size:
            return None
    raise NotStreamedError("the watch ended before its initial events did")


def _error(status: JSON, operation: Operation) -> Exception:
    code = int(status.get("code") or 0)
    if code == GONE or status.get("reason") in ("Expired", "Gone"):
        return VersionExpiredError()
    error = failure(Response(code, {}, orjson.dumps(status)), operation)
    return ClusterUnavailableError(error.message) if isinstance(error, InvalidObjectError) else error
