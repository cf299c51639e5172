"""Makes a dead letter visible to people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import structlog
from prometheus_client import Counter

from image_catalog.cluster import (
    CATALOG_IMAGE,
    IMAGE_BUILD,
    CatalogImages,
    EventRecorder,
    ImageBuilds,
    ObjectReference,
    ResourceKind,
)
from image_catalog.errors import CatalogError
from image_catalog.events import (
    EVENT_DATA,
    PREFIX,
    CatalogEvent,
    EventType,
    ReceivedEvent,
    SourceType,
    read_dead_letter,
)

__all__ = ["DEAD_LETTERS", "handle"]

_log = structlog.get_logger(__name__)

DEAD_LETTERS = Counter(
    "image_catalog_dead_letters_total",
    "Events that no function could take, by type and destination.",
    ["type", "function"],
)

_KNOWN_TYPES = frozenset(EVENT_DATA) | frozenset(SourceType)
_KINDS = {kind.kind: kind for kind in (CATALOG_IMAGE, IMAGE_BUILD)}
_MAX_LABEL = 63


@dataclass(frozen=True, slots=True)
class _Destination:
    """Who could not take an event.

    Attributes
    ----------
    function
        Its name, ``unknown`` where the broker did not know it.
    shown
        What people are shown: the name, else the address.
    """

    function: str
    shown: str


async def handle(
    event: ReceivedEvent[Any], *, images: CatalogImages, builds: ImageBuilds, recorder: EventRecorder
) -> list[CatalogEvent]:
    """Log, count and report a dead letter.

    Parameters
    ----------
    event
        The event that no function could take, with what the broker added. The
        extensions ``knativeerrordest``, ``knativeerrorcode`` and
        ``knativeerrordata`` say why, where the broker knew.
    images, builds
        Tell the uid of the object, without which `kubectl describe` does not
        show the Event.
    recorder
        Writes the Kubernetes Event.

    Returns
    -------
    list of CatalogEvent
        Nothing: a dead letter that begot events could beget itself.
    """
    extensions = event.extensions
    destination = _destination(extensions)
    code = extensions.get("knativeerrorcode", "none")
    why = read_dead_letter(extensions)
    known = event.type if event.type in _KNOWN_TYPES else "other"
    DEAD_LETTERS.labels(known, destination.function).inc()
    about = _object_of(event)
    _log.error(
        "dead letter",
        id=event.id,
        type=event.type,
        source=event.source,
        subject=event.subject,
        destination=destination.shown,
        answer=code,
        why=why,
    )
    if about is not None:
        answer = f"answer {code}, {why}" if why else f"answer {code}"
        short = ".".join(event.type.rsplit(".", 2)[-2:])
        await recorder.record(
            await _identified(about, images=images, builds=builds),
            # One event can be refused by two functions, and each is worth a look at its log.
            event_id=f"dead-letter-{destination.shown}-{event.id}",
            reason="DeadLetter",
            message=f"the function {destination.shown} could not take the event {short} ({answer}); see its log",
            type="Warning",
        )
    return []


def _destination(extensions: Mapping[str, str]) -> _Destination:
    """Return the function that failed; a subscriber's host begins with its name, unless it is an address."""
    try:
        url = urlsplit(extensions.get("knativeerrordest", ""))
        host = url.hostname or ""
    except ValueError:  # An address in brackets that is none.
        return _Destination("unknown", "unknown")
    try:
        ip_address(host)
    except ValueError:
        name = host.split(".", 1)[0][:_MAX_LABEL] or "unknown"
        return _Destination(name, name)
    return _Destination("unknown", url.netloc.rpartition("@")[2])


def _object_of(event: ReceivedEvent[Any]) -> ObjectReference | None:
    """Return the object that an event is about, by its attributes; its data may be what is broken."""
    extensions = event.extensions
    kind, name, namespace = (extensions.get(key, "") for key in ("kind", "name", "namespace"))
    if kind in _KINDS and name:
        return _refer(_KINDS[kind], namespace, name, _text(event.data, "metadata", "uid"))
    if event.type == EventType.PUBLISH_REQUESTED:
        # It asks for an entry that need not be there; the build that it is about is.
        name, namespace = (_text(event.data, "imageBuild", key) for key in ("name", "namespace"))
        if name and namespace:
            return _refer(IMAGE_BUILD, namespace, name)
    if event.type.startswith(PREFIX) and event.subject:
        namespace, _, name = event.subject.partition("/")
        if namespace and name:
            return _refer(CATALOG_IMAGE, namespace, name)
    return None


async def _identified(about: ObjectReference, *, images: CatalogImages, builds: ImageBuilds) -> ObjectReference:
    """Add the uid of an object; without one where it is gone or cannot be read."""
    if about.uid:
        return about
    read = images.get if about.kind == CATALOG_IMAGE.kind else builds.get
    try:
        found = await read(about.namespace, about.name)
    except CatalogError as e:
        _log.warning("object of a dead letter not read", name=about.name, namespace=about.namespace, error=e.message)
        return about
    return about if found is None else replace(about, uid=found.metadata.uid)


def _refer(kind: ResourceKind, namespace: str, name: str, uid: str = "") -> ObjectReference:
    return ObjectReference(kind.api_version, kind.kind, namespace, name, uid)


def _text(data: Any, *path: str) -> str:
    """Return a text in an event's data, empty where there is none: the data may be what is broken."""
    for key in path:
        data = data.get(key) if isinstance(data, dict) else None
    return data if isinstance(data, str) else ""
