"""Telling the world what a status write owes: catalog events, and Events for `kubectl describe`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import dropwhile
from typing import Literal

from image_catalog.catalog.lifecycle import settled_phase
from image_catalog.catalog.owed import OwedEvent, build_ref
from image_catalog.catalog.publishing import pin_of
from image_catalog.catalog.recall_events import rebuild_recall
from image_catalog.cluster import EventRecorder
from image_catalog.events import PREFIX, CatalogEvent, EventType, ReceivedEvent
from image_catalog.models import CatalogImage, CatalogImageStatus, Change, Phase, format_time
from image_catalog.models.events import (
    ChangeKind,
    EventModel,
    ImageDrifted,
    ImagePublished,
    ImageVerified,
    PhaseChanged,
    PhaseReason,
    Step,
    StepStatus,
)

__all__ = ["announce", "rebuild", "replay"]

_WARNINGS = {EventType.IMAGE_UNAVAILABLE, EventType.IMAGE_FAILED, EventType.IMAGE_DRIFTED}


async def announce(
    image: CatalogImage,
    owed: Iterable[OwedEvent],
    *,
    before: CatalogImage,
    cause: ReceivedEvent[object],
    recorder: EventRecorder,
) -> list[CatalogEvent]:
    """Return the catalog events that are owed, and write a Kubernetes Event for each.

    Parameters
    ----------
    image
        The entry as it was written.
    owed
        What its status write owes.
    before
        The entry as it was: only news are worth a Kubernetes Event.
    cause
        The event that is being handled.
    recorder
        Writes Kubernetes Events; a redelivery writes none twice.
    """
    events = [CatalogEvent.of_image(event.type, image, event.data, cause=cause) for event in owed]
    for event in events:
        await _record(event, image, recorder)
    if not any(isinstance(event.data, PhaseChanged) for event in events):
        await _record_new_reason(image, before, cause, recorder)
    known = before.status.condition("MetadataConsistent")
    if known is None or known.message != _conflict(image):
        await _record_conflict(image, recorder)
    return events


async def replay(
    image: CatalogImage,
    change: Change,
    *,
    cause: ReceivedEvent[object],
    recorder: EventRecorder,
    steps: Sequence[Step] = (),
) -> list[CatalogEvent]:
    """Return the events of a cause that has been written but perhaps not emitted.

    The ids are those of the first time, so whoever keeps ids sees each event
    once. The data speaks of the entry as it is now, which is what counts, and so do
    the steps: those of the first time went with the answer that was lost.

    Parameters
    ----------
    image
        The entry as it is.
    change
        What the cause has written.
    cause
        The event that is being handled.
    recorder
        Writes Kubernetes Events; what was written the first time is not written again.
    steps
        What has been done this time, before it turned out to be the second.
    """
    events = []
    for owed in change.events:
        event_type = EventType(PREFIX + owed.type)
        data = rebuild(event_type, image, change, actor=cause.actor, steps=steps)
        if data is not None:
            event = CatalogEvent.of_image(event_type, image, data, cause=cause)
            await _record(event, image, recorder)
            events.append(event)
    consistent = image.status.condition("MetadataConsistent")
    if consistent is not None and format_time(consistent.last_transition_time) == format_time(change.time):
        await _record_conflict(image, recorder)
    return events


async def _record(event: CatalogEvent, image: CatalogImage, recorder: EventRecorder) -> None:
    note = _note(event)
    if note is not None:
        reason, message = note
        kind: Literal["Normal", "Warning"] = "Warning" if event.type in _WARNINGS else "Normal"
        await recorder.record(image, event_id=event.id, reason=reason, message=message, type=kind)


async def _record_new_reason(
    image: CatalogImage, before: CatalogImage, cause: ReceivedEvent[object], recorder: EventRecorder
) -> None:
    """Show why an entry is still not available when that is another reason than before, with another remedy."""
    known, now = before.status.condition("Available"), image.status.condition("Available")
    if known is None or now is None or now.status != "False" or known.reason == now.reason:
        return
    number = f"{cause.id}-{now.reason}"
    await recorder.record(image, event_id=number, reason=now.reason, message=now.message, type="Warning")


async def _record_conflict(image: CatalogImage, recorder: EventRecorder) -> None:
    consistent, message = image.status.condition("MetadataConsistent"), _conflict(image)
    if consistent is not None and message is not None:
        # Keyed by what it says: publish and verify may both find it, side by side.
        number = f"{image.metadata.uid}\n{format_time(consistent.last_transition_time)}\n{message}"
        await recorder.record(image, event_id=number, reason="MetadataConflict", message=message, type="Warning")


def _conflict(image: CatalogImage) -> str | None:
    """Return in what a person and the registry contradict each other."""
    consistent = image.status.condition("MetadataConsistent")
    return consistent.message if consistent is not None and consistent.status == "False" else None


def _note(event: CatalogEvent) -> tuple[str, str] | None:
    """Return reason and message of the Kubernetes Event; `None` for what is not worth one."""
    data = event.data
    if isinstance(data, ImagePublished):
        if data.change is ChangeKind.UNCHANGED:
            return None
        return "Published", f"{data.change}: {data.registry_url} has {data.digest or 'not been asked yet'}"
    if isinstance(data, PhaseChanged):
        return data.reason, data.message
    if isinstance(data, ImageDrifted):
        return "TagMoved", f"pinned to {data.pinned_digest}, the tag has {data.registry_digest}"
    return None


def rebuild(
    event_type: EventType, image: CatalogImage, change: Change, *, actor: str, steps: Sequence[Step] = ()
) -> EventModel | None:
    """Return what an event that a change owes says, told by the entry alone.

    Parameters
    ----------
    event_type
        Type of the event.
    image
        The entry as it is.
    change
        What owes the event.
    actor
        Who caused it.
    steps
        What is known to have been done.

    Returns
    -------
    EventModel or None
        `None` for an event that nothing in the entry tells of.
    """
    status = image.status
    digest = status.registry_metadata.resolved_digest if status.registry_metadata else None
    available = status.condition("Available")
    known = set(PhaseReason)
    reason = available.reason if available and available.reason in known else PhaseReason.REGISTRY_ERROR
    message = available.message if available else ""
    name, namespace, url = image.metadata.name, image.metadata.namespace, image.spec.registry_url
    if event_type is EventType.IMAGE_PUBLISHED:
        kind = _kind_of(status, change)
        return ImagePublished(
            name=name,
            namespace=namespace,
            registry_url=url,
            actor=actor,
            change=kind,
            digest=digest,
            previous_digest=status.history[0].digest if kind is ChangeKind.VERSION else None,
            source_image_build=build_ref(status.source_image_build),
            steps=[*steps, *_known_of_registry(status), _written(image, kind, change)],
        )
    if event_type in {EventType.IMAGE_AVAILABLE, EventType.IMAGE_UNAVAILABLE, EventType.IMAGE_FAILED}:
        return PhaseChanged(
            name=name,
            namespace=namespace,
            registry_url=url,
            actor=actor,
            reason=PhaseReason(reason),
            message=message,
            digest=digest,
        )
    if event_type is EventType.IMAGE_VERIFIED:
        return ImageVerified(
            name=name,
            namespace=namespace,
            registry_url=url,
            actor=actor,
            phase=settled_phase(status) or status.phase or Phase.PENDING,
            reason=PhaseReason(reason),
            message=message,
            resolved_digest=digest,
            last_verified=status.last_verification_time,
            steps=[*steps, *_known_of_registry(status)],
        )
    pin, drift = pin_of(image), status.drift
    if event_type is EventType.IMAGE_DRIFTED and pin is not None:
        return ImageDrifted(
            name=name,
            namespace=namespace,
            registry_url=url,
            actor=actor,
            pinned_digest=drift.pinned_digest if drift else pin,
            # Somebody may have decided since, and then the entry has what the tag had.
            registry_digest=drift.tag_digest if drift else digest or "",
            pinned_still_there=digest == pin and reason != PhaseReason.PINNED_DIGEST_MISSING,
        )
    return rebuild_recall(event_type, image, change)


def _known_of_registry(status: CatalogImageStatus) -> Iterable[Step]:
    """Return what the first time has found out; nothing where nobody asked the registry."""
    available = status.condition("Available")
    if available is not None and available.status != "Unknown":
        found = StepStatus.OK if available.status == "True" else StepStatus.FAILED
        yield Step(name="Registry accessibility", status=found, message=available.message)


def _written(image: CatalogImage, kind: ChangeKind, change: Change) -> Step:
    message = f"{image.subject} {kind} at {format_time(change.time)}, before this was asked again"
    return Step(name="Catalog image", status=StepStatus.OK, message=message)


def _kind_of(status: CatalogImageStatus, change: Change) -> ChangeKind:
    """Return what a write did: the current version is as old as the write that made it."""
    if status.published_at is None or format_time(change.time) != format_time(status.published_at):
        return ChangeKind.METADATA
    if status.history:
        return ChangeKind.VERSION
    # Of the same second; what published before it is behind it in the list.
    earlier = list(dropwhile(lambda each: each.cause != change.cause, status.recent_changes))[1:]
    is_published = any(event.type == EventType.IMAGE_PUBLISHED.short for each in earlier for event in each.events)
    return ChangeKind.METADATA if is_published else ChangeKind.CREATED
