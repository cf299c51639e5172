"""An event as a function receives it, and one as a function emits it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, Self, TypeVar

from image_catalog.events.types import EVENT_DATA, EventType
from image_catalog.models.catalogimage import CatalogImage, CatalogMetadata, normalise_architecture
from image_catalog.models.catalogimagestatus import EffectiveMetadata
from image_catalog.models.events import UNAUTHENTICATED, EventModel
from image_catalog.models.names import GROUP, VERSION

__all__ = [
    "EVENT_NAMESPACE",
    "CatalogEvent",
    "ReceivedEvent",
    "event_id",
    "image_attributes",
    "name_attributes",
    "removal_id",
    "source_path",
]

EVENT_NAMESPACE = uuid.UUID("6f1f7a3c-8a57-5d0b-9a4e-0b6f4f0f7c11")
"""Namespace of the ids of catalog events; fixed for ever, because a redelivered cause must give the same id."""

PayloadT_co = TypeVar("PayloadT_co", covariant=True)


def event_id(cause: str, event_type: EventType, subject: str) -> str:
    """Return the id of the event that a cause gives rise to.

    Parameters
    ----------
    cause
        Id of the event that caused it.
    event_type
        Type of the new event.
    subject
        Its ``namespace/name``.

    Returns
    -------
    str
        A UUIDv5: the same cause emits the same id however often it comes, so
        whoever keeps ids sees each event once.
    """
    # A newline can stand in none of the three, so no two triples share a string.
    return str(uuid.uuid5(EVENT_NAMESPACE, f"{cause}\n{event_type}\n{subject}"))


def removal_id(uid: str) -> str:
    """Return the id of the event that says that the object of this uid is gone.

    The cause differs each time (the update that carries the deletion
    timestamp, the delete, a sweep); the object does not.
    """
    return str(uuid.uuid5(EVENT_NAMESPACE, f"{uid}\n{EventType.IMAGE_REMOVED}"))


def source_path(namespace: str, name: str) -> str:
    """Return the API path of an entry, which is the ``source`` of its events."""
    return f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/catalogimages/{name}"


def name_attributes(namespace: str, name: str | None) -> dict[str, str]:
    """Return the extension attributes of an event about an entry that is not there.

    Parameters
    ----------
    namespace
        Namespace of the entry.
    name
        Name of the entry; `None` when it was refused before it had one.
    """
    attributes = {"catalognamespace": namespace, "partitionkey": f"{namespace}/{name or ''}"}
    if name:
        attributes["catalogname"] = name
    return attributes


def image_attributes(image: CatalogImage) -> dict[str, str]:
    """Return the extension attributes that let a Trigger filter on an entry.

    An attribute without a value is left out: CloudEvents forbids empty ones,
    and an exact filter then does not match, which is right.

    Parameters
    ----------
    image
        The entry, with the status that the event speaks of.
    """
    registry = image.status.registry_metadata
    attributes = name_attributes(image.metadata.namespace, image.metadata.name)
    # What the catalog shows and finds it by; before the functions have looked at an entry, the user's word stands.
    shown = image.status.effective_metadata or _said(image)
    if shown.architecture:
        attributes["architecture"] = normalise_architecture(shown.architecture.partition(",")[0])
    if shown.distro:
        attributes["distro"] = shown.distro
    if shown.targets:
        # The commas at both ends let CESQL's LIKE find a whole name: '%,raspberry-pi,%'.
        attributes |= {"target": shown.targets[0], "targets": f",{','.join(shown.targets)},"}
    if image.status.phase:
        attributes["phase"] = image.status.phase.value
    digest = registry.resolved_digest if registry else image.spec.digest
    if digest:
        attributes["digest"] = digest
    return attributes


def _said(image: CatalogImage) -> EffectiveMetadata:
    said = image.spec.metadata or CatalogMetadata()
    targets = [target.name for target in said.targets]
    return EffectiveMetadata(architecture=said.architecture, distro=said.distro, targets=targets)


@dataclass(frozen=True, slots=True)
class ReceivedEvent(Generic[PayloadT_co]):
    """An event that has passed its trigger's schema.

    Attributes
    ----------
    id
        Id that its sender gave it; a redelivery keeps it.
    source
        Context in which it happened.
    type
        Type of the event.
    data
        The payload, as the trigger's type.
    subject
        What it is about, within the source.
    time
        When it happened, by the sender's clock.
    extensions
        Every other attribute.
    traceparent
        W3C trace context, where the sender gave a valid one.
    actor
        Who caused it; `UNAUTHENTICATED` unless the caller has proven itself.
    attributes, body
        Every attribute and the data as they came, for who has to keep them.
    """

    id: str
    source: str
    type: str
    data: PayloadT_co
    subject: str | None = None
    time: datetime | None = None
    extensions: Mapping[str, str] = field(default_factory=dict)
    traceparent: str | None = None
    actor: str = UNAUTHENTICATED
    attributes: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def is_authenticated(self) -> bool:
        """Whether the caller has proven itself, so that `actor` can be believed."""
        return self.actor != UNAUTHENTICATED


@dataclass(frozen=True, slots=True)
class CatalogEvent:
    """An event that a function emits.

    Attributes
    ----------
    id
        Made by `event_id` or `removal_id`, never at random.
    type
        Type of the event.
    source
        API path of the object that it is about.
    subject
        ``namespace/name`` of that object.
    data
        Model of the type's data.
    attributes
        Extension attributes, for Triggers to filter on.
    time
        When it happened, in UTC.
    traceparent
        W3C trace context of the cause.
    """

    id: str
    type: EventType
    source: str
    subject: str
    data: EventModel
    attributes: Mapping[str, str] = field(default_factory=dict)
    time: datetime = field(default_factory=lambda: datetime.now(UTC))
    traceparent: str | None = None

    def __post_init__(self) -> None:
        expected = EVENT_DATA[self.type]
        if not isinstance(self.data, expected):
            raise TypeError(f"{self.type} carries {expected.__name__}, not {type(self.data).__name__}")

    @classmethod
    def of_image(
        cls, event_type: EventType, image: CatalogImage, data: EventModel, *, cause: ReceivedEvent[Any]
    ) -> Self:
        """Make an event about an entry.

        Parameters
        ----------
        event_type
            Type of the event.
        image
            The entry, with the status that the event speaks of.
        data
            Model of the type's data.
        cause
            The event that the function is handling.
        """
        removed = event_type is EventType.IMAGE_REMOVED
        return cls(
            id=removal_id(image.metadata.uid) if removed else event_id(cause.id, event_type, image.subject),
            type=event_type,
            source=source_path(image.metadata.namespace, image.metadata.name),
            subject=image.subject,
            data=data,
            attributes=image_attributes(image),
            traceparent=cause.traceparent,
        )

    @classmethod
    def of_name(
        cls,
        event_type: EventType,
        namespace: str,
        name: str | None,
        data: EventModel,
        *,
        cause: ReceivedEvent[Any],
    ) -> Self:
        """Make an event about an entry that is not at hand, or not there at all.

        Parameters
        ----------
        event_type
            Type of the event.
        namespace
            Namespace of the entry.
        name
            Name of the entry; `None` when it was refused before it had one.
        data
            Model of the type's data.
        cause
            The event that the function is handling.
        """
        subject = f"{namespace}/{name or ''}"
        return cls(
            id=event_id(cause.id, event_type, subject),
            type=event_type,
            source=source_path(namespace, name or ""),
            subject=subject,
            data=data,
            attributes=name_attributes(namespace, name),
            traceparent=cause.traceparent,
        )
