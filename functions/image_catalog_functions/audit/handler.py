"""Makes a dead letter visible to people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import structlog
from prometheus_client import Counter

from image_catalog.cluster import CATALOG_IMAGE, IMAGE_BUILD, EventRecorder, ObjectReference
from image_catalog.events import EVENT_DATA, PREFIX, CatalogEvent, ReceivedEvent, SourceType

__all__ = ["DEAD_LETTERS", "handle"]

_log = structlog.get_logger(__name__)

DEAD_LETTERS = Counter(
    "image_catalog_dead_letters_total",
    "Events that no function could take, by type and destination.",
    ["type", "function"],
)

_KNOWN_TYPES = frozenset(EVENT_DATA) | frozenset(SourceType)
_KINDS = {kind.kind: kind.api_version for kind in (CATALOG_IMAGE, IMAGE_BUILD)}
_MAX_LABEL = 63


async def handle(event: ReceivedEvent[Any], *, recorder: EventRecorder) -> list[CatalogEvent]:
    """Log, count and report a dead letter.

    Parameters
    ----------
    event
        The event that no function could take, with what the broker added. The
        extensions ``knativeerrordest``, ``knativeerrorcode`` and
        ``knativeerrordata`` say why, where the broker knew.
    recorder
        Writes the Kubernetes Event.

    Returns
    -------
    list of CatalogEvent
        Nothing: a dead letter that begot events could beget itself.
    """
    extensions = event.extensions
    function = _destination(extensions)
    code = extensions.get("knativeerrorcode", "none")
    known = event.type if event.type in _KNOWN_TYPES else "other"
    DEAD_LETTERS.labels(known, function).inc()
    about = _object_of(event)
    _log.error(
        "dead letter",
        id=event.id,
        type=event.type,
        source=event.source,
        subject=event.subject,
        destination=function,
        answer=code,
    )
    if about is not None:
        short = event.type.rsplit(".", 2)[-2:]
        await recorder.record(
            about,
            event_id=f"dead-letter-{event.id}",
            reason="DeadLetter",
            message=f"the function {function} could not take the event {'.'.join(short)} (answer {code}); see its log",
            type="Warning",
        )
    return []


def _destination(extensions: Mapping[str, str]) -> str:
    """Return the name of the function that failed; a subscriber's host begins with it."""
    host = urlsplit(extensions.get("knativeerrordest", "")).hostname or ""
    return host.split(".", 1)[0][:_MAX_LABEL] or "unknown"


def _object_of(event: ReceivedEvent[Any]) -> ObjectReference | None:
    """Return the object that an event is about, by its attributes; its data may be what is broken."""
    extensions = event.extensions
    kind, name, namespace = (extensions.get(key, "") for key in ("kind", "name", "namespace"))
    if kind in _KINDS and name:
        return ObjectReference(_KINDS[kind], kind, namespace, name, _uid(event.data))
    if event.type.startswith(PREFIX) and event.subject:
        namespace, _, name = event.subject.partition("/")
        if namespace and name:
            return ObjectReference(CATALOG_IMAGE.api_version, CATALOG_IMAGE.kind, namespace, name)
    return None


def _uid(data: Any) -> str:
    """Return the uid in an object, which `kubectl describe` wants to see in its Events."""
    metadata = data.get("metadata") if isinstance(data, dict) else None
    uid = metadata.get("uid") if isinstance(metadata, dict) else None
    return uid if isinstance(uid, str) else ""
