"""An event of the audit's log as every watcher of the stream is told it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import orjson
import structlog
from sse_starlette import ServerSentEvent

from image_catalog.audit.records import CONFIRMATION, Record
from image_catalog.events import PREFIX, EventType
from image_catalog.events.types import PUBLIC_TYPES

__all__ = ["UNCONFIRMED", "Finder", "Told", "tell"]

logger = structlog.get_logger(__name__)

UNCONFIRMED: Final = "unconfirmed"
"""Name of a server-sent event that is only what somebody said: who listens for messages alone does not get it."""

_OF_ENTRIES: Final = f"{PREFIX}image."
"""How the types begin whose events an entry's own object confirms."""

_MAX_BYTES: Final = 256 * 1024
"""The longest honest event is a tenth of it; nobody who reaches the broker's ingress must fill watchers' lines."""

_MAX_ATTRIBUTES: Final = 8 * 1024
"""Characters of attributes: a filter's ``LIKE`` costs their length times its own."""

_DATA: Final = frozenset({"data", "data_base64"})


class Finder(Protocol):
    """Finds the record of an event."""

    async def find(self, event_id: str, /) -> Record | None:
        """Return the record under an event's id, `None` when there is none."""


@dataclass(frozen=True, slots=True)
class Told:
    """An event, ready to be sent.

    Attributes
    ----------
    seq
        Its place in the log, by which a watcher resumes.
    namespace
        Whose watchers are told; `None` for those of all namespaces alone.
    attributes
        What filters see: the same as a Trigger's.
    frame
        The server-sent event.
    """

    seq: int
    namespace: str | None
    attributes: Mapping[str, str]
    frame: bytes


async def tell(record: Record, log: Finder) -> Told | None:
    """Return what watchers are told of a record; `None` if that is nothing, or nothing yet.

    An event about an entry can be posted by anybody who reaches the broker. It is
    held back until the entry's object confirms it, and told at that place of the
    log. Requests and refusals change no entry, so nothing ever confirms them:
    they are told at once, as `UNCONFIRMED`.

    Parameters
    ----------
    record
        The record.
    log
        Where the first record of a confirmed event is found.
    """
    event = record.data.get("event") if record.kind != CONFIRMATION else await _confirmed_event(record, log)
    if not isinstance(event, dict) or event.get("type") not in PUBLIC_TYPES:
        return None
    if not record.confirmed and _is_shown_by_an_entry(event):
        return None
    attributes = {name: str(value) for name, value in event.items() if name not in _DATA}
    body = orjson.dumps(event)
    if len(body) > _MAX_BYTES or sum(map(len, attributes.values())) > _MAX_ATTRIBUTES:
        logger.warning("event too long for streams", id=record.event_id, seq=record.seq, bytes=len(body))
        return None
    name = None if record.confirmed else UNCONFIRMED
    frame = ServerSentEvent(body.decode(), id=str(record.seq), event=name, sep="\n").encode()
    return Told(record.seq, record.namespace, attributes, frame)


async def _confirmed_event(record: Record, log: Finder) -> Any:
    """Return the event that is told once it is confirmed; `None` if it has been told, or contradicts its entry."""
    first = await log.find(str(record.data.get("confirms")))
    if first is None:
        return None
    own = record.data.get("event")
    event = first.data.get("event") if own is None else own
    if not isinstance(event, dict) or (own is None and not _is_shown_by_an_entry(event)):
        return None
    if not _agree(event, record, first):
        logger.warning("event contradicts its entry", id=record.event_id, seq=record.seq, kind=first.kind)
        return None
    return event


def _agree(event: Mapping[str, Any], record: Record, first: Record) -> bool:
    """Return whether an event says what the entry showed under its id; who can read the entry knows the id."""
    if event.get("type") != f"{PREFIX}{first.kind}":
        return False
    place = event.get("catalognamespace", record.namespace), event.get("catalogname", record.name)
    return place == (record.namespace, record.name)


def _is_shown_by_an_entry(event: Mapping[str, Any]) -> bool:
    # What is explained without an entry has no name, and no object.
    named = str(event.get("type")).startswith(_OF_ENTRIES) and "catalogname" in event
    return named or event.get("type") == EventType.TEST_REPORTED
