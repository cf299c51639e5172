"""Makes a dead letter visible to people, and keeps it so that it can be sent again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, Self

import structlog

from image_catalog.audit import AuditStore, NewDeadLetter
from image_catalog.catalog.plain import text_in
from image_catalog.catalog.upkeep import Upkeep
from image_catalog.cluster import (
    CATALOG_IMAGE,
    IMAGE_BUILD,
    CatalogImages,
    EventRecorder,
    ImageBuilds,
    ObjectReference,
    ResourceKind,
)
from image_catalog.context import Context
from image_catalog.errors import CatalogError
from image_catalog.events import EVENT_DATA, PREFIX, EventType, ReceivedEvent, SourceType, read_dead_letter
from image_catalog.metrics import exemplar
from image_catalog_functions.audit.destinations import Destination, destination_of
from image_catalog_functions.audit.metrics import DEAD_LETTERS

__all__ = ["Letters"]

_log = structlog.get_logger(__name__)

_KNOWN_TYPES = frozenset(EVENT_DATA) | frozenset(SourceType)
_KINDS = {kind.kind: kind for kind in (CATALOG_IMAGE, IMAGE_BUILD)}


class Letters:
    """Shows, counts and keeps dead letters.

    Parameters
    ----------
    store
        Where they are kept; `None` where none are.
    images, builds
        Tell the uid of an object, without which `kubectl describe` does not
        show the Event.
    recorder
        Writes the Kubernetes Event.
    clock
        Tells the time.
    upkeep
        Remembers which letters were counted: a broker brings one again that
        could not be kept.
    """

    def __init__(
        self,
        *,
        store: AuditStore | None,
        images: CatalogImages,
        builds: ImageBuilds,
        recorder: EventRecorder,
        clock: Callable[[], datetime],
        upkeep: Upkeep,
    ) -> None:
        self._store = store
        self._images = images
        self._builds = builds
        self._recorder = recorder
        self._clock = clock
        self._upkeep = upkeep

    @classmethod
    def of(cls, context: Context) -> Self:
        """Take what it needs from a context."""
        return cls(
            store=context.audit,
            images=context.images,
            builds=context.builds,
            recorder=context.recorder,
            clock=context.clock,
            upkeep=context.upkeep,
        )

    async def take(self, event: ReceivedEvent[Any]) -> None:
        """Log, count, report and keep a dead letter.

        It is shown before it is kept: a broker that gives up on this function,
        too, has no other place for it.

        Parameters
        ----------
        event
            The event that no function could take, with what the broker added.

        Raises
        ------
        AuditUnavailableError
            Raised when the database does not answer.
        """
        destination = destination_of(event.extensions) or Destination("unknown", "unknown")
        code = event.extensions.get("knativeerrorcode", "none")
        why = read_dead_letter(event.extensions)
        number = f"dead-letter-{destination.shown}-{event.id}"
        if self._upkeep.is_news(number):
            known = event.type if event.type in _KNOWN_TYPES else "other"
            DEAD_LETTERS.labels(known, destination.label).inc(1, exemplar())
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
            await self._report(event, number, destination, f"answer {code}, {why}" if why else f"answer {code}")
        if self._store is not None:
            await self._store.keep_dead_letter(self._letter(event, why))

    async def _report(self, event: ReceivedEvent[Any], number: str, destination: Destination, answer: str) -> None:
        about = _object_of(event)
        if about is None:
            return
        short = ".".join(event.type.rsplit(".", 2)[-2:])
        await self._recorder.record(
            await self._identified(about),
            # One event can be refused by two functions, and each is worth a look at its log.
            event_id=number,
            reason="DeadLetter",
            message=f"the function {destination.shown} could not take the event {short} ({answer}); see its log",
            type="Warning",
        )

    async def _identified(self, about: ObjectReference) -> ObjectReference:
        """Add the uid of an object; without one where it is gone or cannot be read."""
        if about.uid:
            return about
        read = self._images.get if about.kind == CATALOG_IMAGE.kind else self._builds.get
        try:
            found = await read(about.namespace, about.name)
        except CatalogError as e:
            _log.warning(
                "object of a dead letter not read", name=about.name, namespace=about.namespace, error=e.message
            )
            return about
        return about if found is None else replace(about, uid=found.metadata.uid)

    def _letter(self, event: ReceivedEvent[Any], why: str) -> NewDeadLetter:
        return NewDeadLetter(
            event_id=event.id,
            destination=event.extensions.get("knativeerrordest", ""),
            type=event.type,
            subject=event.subject or "",
            attributes=event.attributes,
            body=event.body,
            why=why,
            time=self._clock(),
        )


def _object_of(event: ReceivedEvent[Any]) -> ObjectReference | None:
    """Return the object that an event is about, by its attributes; its data may be what is broken."""
    extensions = event.extensions
    kind, name, namespace = (extensions.get(key, "") for key in ("kind", "name", "namespace"))
    if kind in _KINDS and name:
        return _refer(_KINDS[kind], namespace, name, text_in(event.data, "metadata", "uid"))
    if event.type == EventType.PUBLISH_REQUESTED:
        # It asks for an entry that need not be there; the build that it is about is.
        name, namespace = (text_in(event.data, "imageBuild", key) for key in ("name", "namespace"))
        if name and namespace:
            return _refer(IMAGE_BUILD, namespace, name)
    if event.type.startswith(PREFIX) and event.subject:
        namespace, _, name = event.subject.partition("/")
        if namespace and name:
            return _refer(CATALOG_IMAGE, namespace, name)
    return None


def _refer(kind: ResourceKind, namespace: str, name: str, uid: str = "") -> ObjectReference:
    return ObjectReference(kind.api_version, kind.kind, namespace, name, uid)
