"""What a status write owes to the world: the catalog events that tell of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from image_catalog.catalog.drift import is_new_drift
from image_catalog.catalog.publication import Publication
from image_catalog.catalog.verdict import Check, Verdict
from image_catalog.events import EventType
from image_catalog.models import CatalogImage, CatalogImageStatus, Phase, SourceImageBuild
from image_catalog.models.events import (
    BuildRef,
    ChangeKind,
    EventModel,
    ImageDrifted,
    ImagePublished,
    ImageVerified,
    PhaseChanged,
    Step,
)

__all__ = ["OwedEvent", "build_ref", "owed_events", "verified_data"]

_PHASE_EVENTS = {
    Phase.AVAILABLE: EventType.IMAGE_AVAILABLE,
    Phase.UNAVAILABLE: EventType.IMAGE_UNAVAILABLE,
    Phase.FAILED: EventType.IMAGE_FAILED,
}


@dataclass(frozen=True, slots=True)
class OwedEvent:
    """An event that a status write owes to the world."""

    type: EventType
    data: EventModel


def build_ref(source: SourceImageBuild | None) -> BuildRef | None:
    """Return a build's name for an event."""
    return BuildRef(name=source.name, namespace=source.namespace) if source else None


def verified_data(image: CatalogImage, verdict: Verdict, steps: Sequence[Step], *, actor: str) -> ImageVerified:
    """Return the answer to a manual request.

    Parameters
    ----------
    image
        The entry with the status that the check led to.
    verdict
        What holds true of it.
    steps
        Each step of the check.
    actor
        Who asked.
    """
    registry = image.status.registry_metadata
    return ImageVerified(
        name=image.metadata.name,
        namespace=image.metadata.namespace,
        registry_url=image.spec.registry_url,
        actor=actor,
        phase=verdict.phase,
        reason=verdict.reason,
        message=verdict.message,
        resolved_digest=registry.resolved_digest if registry else None,
        size_bytes=registry.size_bytes if registry else None,
        layer_count=registry.layer_count if registry else None,
        last_verified=registry.last_verified if registry else None,
        steps=list(steps),
    )


def owed_events(
    image: CatalogImage,
    status: CatalogImageStatus,
    check: Check,
    verdict: Verdict,
    *,
    actor: str,
    phase_before: Phase | None,
    publication: Publication | None,
    change: ChangeKind | None,
    manual: bool,
) -> list[OwedEvent]:
    """Return what the world is told, in the order in which it happened.

    Parameters
    ----------
    image
        The entry as it was.
    status
        Its status as it shall be.
    check
        What was found out about it.
    verdict
        What that means.
    actor
        Who caused it.
    phase_before
        The phase that the last check ended in.
    publication
        The publication whose version this completes, where there is one.
    change
        What the publication did; `None` for a check.
    manual
        Whether somebody waits for the outcome as an event of its own.
    """
    after = image.model_copy(update={"status": status})
    events: list[OwedEvent] = []
    change = change or _found_change(image.status, status, publication)
    if change is not None:
        events.append(OwedEvent(EventType.IMAGE_PUBLISHED, _published(image, status, check, change, actor=actor)))
    if is_new_drift(image.status, status):
        events.append(OwedEvent(EventType.IMAGE_DRIFTED, _drifted(image, check, actor=actor)))
    if verdict.phase is not phase_before:
        data = PhaseChanged(
            name=image.metadata.name,
            namespace=image.metadata.namespace,
            registry_url=image.spec.registry_url,
            actor=actor,
            previous_phase=phase_before,
            reason=verdict.reason,
            message=verdict.message,
            digest=_digest(status),
        )
        events.append(OwedEvent(_PHASE_EVENTS[verdict.phase], data))
    if manual:
        events.append(OwedEvent(EventType.IMAGE_VERIFIED, verified_data(after, verdict, check.steps, actor=actor)))
    return events


def _found_change(
    before: CatalogImageStatus, after: CatalogImageStatus, publication: Publication | None
) -> ChangeKind | None:
    """Return what a check alone has brought about: a version, or a publication whose publisher died."""
    previous, digest = _digest(before), _digest(after)
    if digest is None or digest == previous:
        return None
    if previous is not None:
        return ChangeKind.VERSION
    return ChangeKind.CREATED if publication is not None and publication.digest is not None else None


def _published(
    image: CatalogImage, status: CatalogImageStatus, check: Check, change: ChangeKind, *, actor: str
) -> ImagePublished:
    previous, digest = _digest(image.status), _digest(status)
    return ImagePublished(
        name=image.metadata.name,
        namespace=image.metadata.namespace,
        registry_url=image.spec.registry_url,
        actor=actor,
        change=change,
        digest=digest,
        previous_digest=previous if previous != digest else None,
        source_image_build=build_ref(status.source_image_build),
        steps=list(check.steps),
    )


def _drifted(image: CatalogImage, check: Check, *, actor: str) -> ImageDrifted:
    return ImageDrifted(
        name=image.metadata.name,
        namespace=image.metadata.namespace,
        registry_url=image.spec.registry_url,
        actor=actor,
        pinned_digest=check.pin or "",
        registry_digest=check.tag_digest or "",
        pinned_still_there=check.inspection is not None,
    )


def _digest(status: CatalogImageStatus) -> str | None:
    return status.registry_metadata.resolved_digest if status.registry_metadata else None
