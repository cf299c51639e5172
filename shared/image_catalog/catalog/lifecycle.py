"""How an entry's status moves: what a verdict changes, and what the world is told.

Everything here is pure: an entry and what was found out go in, a status and
the events that it owes come out. Doing it again on a fresher entry is safe.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from image_catalog.catalog.changes import remember
from image_catalog.catalog.conditions import ConditionType, Finding, merge_conditions
from image_catalog.catalog.inputs import verified_inputs
from image_catalog.catalog.metadata import conflicts
from image_catalog.catalog.publication import Publication
from image_catalog.catalog.schedule import CHECK_DEADLINE, Schedule
from image_catalog.catalog.verdict import Check, Verdict
from image_catalog.events import EventType, ReceivedEvent, event_id
from image_catalog.models import (
    ArtifactRef,
    CatalogImage,
    CatalogImageStatus,
    Phase,
    Platform,
    PlatformVariant,
    RegistryMetadata,
    SourceImageBuild,
    Version,
)
from image_catalog.models.events import (
    BuildRef,
    ChangeKind,
    EventModel,
    ImageDrifted,
    ImagePublished,
    ImageVerified,
    PhaseChanged,
    PhaseReason,
    Step,
)
from image_catalog.registry import Inspection
from image_catalog.registry import Platform as FoundPlatform

__all__ = [
    "FAILED_REASONS",
    "HISTORY",
    "OwedEvent",
    "Transition",
    "begin_check",
    "build_ref",
    "settle",
    "settled_phase",
    "verified_data",
]

HISTORY = 10
"""Versions that the status keeps; the audit history keeps the rest."""

FAILED_REASONS = frozenset(
    {
        PhaseReason.AUTHENTICATION_FAILED,
        PhaseReason.ACCESS_DENIED,
        PhaseReason.SECRET_NOT_FOUND,
        PhaseReason.SECRET_FORBIDDEN,
        PhaseReason.SECRET_INVALID,
        PhaseReason.TLS_VERIFICATION_FAILED,
        PhaseReason.HOST_NOT_ALLOWED,
        PhaseReason.INVALID_REFERENCE,
        PhaseReason.MANIFEST_INVALID,
        PhaseReason.DIGEST_MISMATCH,
        PhaseReason.DUPLICATE_REFERENCE,
    }
)
"""Reasons that somebody has to do something about; every other failure heals by itself."""

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


@dataclass(frozen=True, slots=True)
class Transition:
    """A status as it shall be, and the events that it owes."""

    status: CatalogImageStatus
    events: tuple[OwedEvent, ...]


def settled_phase(status: CatalogImageStatus) -> Phase | None:
    """Return the phase that the last check ended in, also while a new check is under way.

    Returns
    -------
    Phase or None
        `None` when no check has ended yet.
    """
    if status.phase not in {None, Phase.PENDING, Phase.VERIFYING}:
        return status.phase
    available = status.condition("Available")
    if available is None:
        return None
    if available.status == "True":
        return Phase.AVAILABLE
    return Phase.FAILED if available.reason in FAILED_REASONS else Phase.UNAVAILABLE


def begin_check(image: CatalogImage, cause: str, *, now: datetime) -> CatalogImageStatus:
    """Return the status of an entry whose check begins.

    It claims the inputs, so that the event of this very write asks for
    nothing, and a deadline, so that a check whose function died is taken over.
    """
    checking = Finding("Unknown", "Verifying", "the registry is being asked")
    return image.status.model_copy(
        update={
            "phase": Phase.VERIFYING,
            "observed_generation": image.metadata.generation,
            "verified_inputs": verified_inputs(image.spec),
            "next_verification_time": now + CHECK_DEADLINE,
            "conditions": merge_conditions(
                image.status.conditions, {"Verified": checking}, generation=image.metadata.generation, now=now
            ),
            "recent_changes": remember(image.status, cause, (), now=now),
        }
    )


def settle(
    image: CatalogImage,
    check: Check,
    verdict: Verdict,
    *,
    cause: ReceivedEvent[object],
    schedule: Schedule,
    publication: Publication | None = None,
    change: ChangeKind | None = None,
    manual: bool = False,
) -> Transition:
    """Bring an entry's status up to date with a verdict.

    Parameters
    ----------
    image
        The entry as it is, spec and status.
    check
        What was found out about it.
    verdict
        What that means.
    cause
        The event that is being handled.
    schedule
        Decides when the entry is due again.
    publication
        The publication whose version this completes; `None` when a check alone
        found what is new.
    change
        What the publication did; `None` for a check.
    manual
        Whether somebody waits for the outcome as an event of its own.

    Returns
    -------
    Transition
        The status to write, and the events to emit once it is written.
    """
    before = image.status
    status = _versioned(before, check, publication=publication)
    failures = (before.verification_failures or 0) + 1 if verdict.failed else 0
    retry_after = getattr(check.error, "retry_after", None)
    status = status.model_copy(
        update={
            "observed_generation": image.metadata.generation,
            "phase": verdict.phase,
            "last_verification_time": check.at,
            "next_verification_time": schedule.after(
                image.spec, verdict, failures=failures, now=check.at, retry_after=retry_after
            ),
            "verification_failures": failures,
            "verified_inputs": verified_inputs(image.spec),
        }
    )
    findings = dict(verdict.findings()) | _consistency(image.model_copy(update={"status": status}))
    conditions = merge_conditions(before.conditions, findings, generation=image.metadata.generation, now=check.at)
    status = status.model_copy(update={"conditions": conditions})
    events = tuple(
        _events(image, status, check, verdict, actor=cause.actor, publication=publication, change=change, manual=manual)
    )
    owed = [(event.type.short, event_id(cause.id, event.type, image.subject)) for event in events]
    if owed or publication is not None or before.phase is Phase.VERIFYING:
        status = status.model_copy(update={"recent_changes": remember(before, cause.id, owed, now=check.at)})
    return Transition(status, events)


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


def _versioned(before: CatalogImageStatus, check: Check, *, publication: Publication | None) -> CatalogImageStatus:
    """Take over what the registry says, and turn the page when the content is new."""
    inspection = check.inspection
    if inspection is None:
        return before
    known = before.registry_metadata
    digest = inspection.resolved_digest
    build = publication.build if publication and publication.digest in {None, digest} else None
    update: dict[str, object] = {"registry_metadata": _registry_metadata(known, inspection, check.at)}
    if inspection.media_type is not None and inspection.complete:
        update["artifact_refs"] = _artifacts(inspection)
    if known is None or known.resolved_digest != digest:
        update |= {"published_at": check.at, "source_image_build": build}
        if known is not None:
            past = Version(
                digest=known.resolved_digest,
                published_at=before.published_at,
                source_image_build=before.source_image_build,
                superseded_at=check.at,
            )
            update["history"] = [past, *before.history][:HISTORY]
    elif build is not None:
        update["source_image_build"] = build
    return before.model_copy(update=update)


def _registry_metadata(known: RegistryMetadata | None, found: Inspection, at: datetime) -> RegistryMetadata:
    same = known is not None and known.resolved_digest == found.resolved_digest
    if known is not None and same and (found.media_type is None or not found.complete):
        # What a digest says never changes, and less than the whole of it replaces nothing.
        return known.model_copy(update={"last_verified": at})
    return RegistryMetadata(
        resolved_digest=found.resolved_digest,
        media_type=found.media_type or "",
        artifact_type=found.artifact_type,
        size_bytes=found.size_bytes or 0,
        layer_count=found.layer_count or sum(v.layer_count or 0 for v in found.platform_variants),
        platform=_platform(found.platform),
        created_at=found.created_at,
        is_multi_arch=found.is_multi_arch,
        platform_variants=[
            PlatformVariant(
                architecture=variant.platform.architecture,
                os=variant.platform.os,
                variant=variant.platform.variant,
                digest=variant.digest,
                size_bytes=variant.size_bytes,
                layer_count=variant.layer_count,
            )
            for variant in found.platform_variants
        ],
        annotations={**found.labels, **found.annotations},
        last_verified=at,
    )


def _platform(found: FoundPlatform | None) -> Platform | None:
    if found is None:
        return None
    return Platform(architecture=found.architecture, os=found.os, variant=found.variant)


def _artifacts(found: Inspection) -> list[ArtifactRef]:
    return [
        ArtifactRef(
            type="oci",
            url=layer.url,
            digest=layer.digest,
            size_bytes=layer.size_bytes,
            format=layer.format,
            name=layer.name,
            partition=layer.partition,
            decompressed_size_bytes=layer.decompressed_size_bytes,
        )
        for layer in found.artifacts
    ]


def _consistency(image: CatalogImage) -> dict[ConditionType, Finding]:
    """Compare what a person typed with what the registry says."""
    if image.status.registry_metadata is None:
        return {"MetadataConsistent": Finding("Unknown", "NotChecked", "the registry has not been read yet")}
    found = conflicts(image)
    if not found:
        return {"MetadataConsistent": Finding("True", "Consistent", "nothing contradicts what the registry says")}
    text = "; ".join(f"{c.field} is {c.given}, the registry says {c.found}" for c in found)
    return {"MetadataConsistent": Finding("False", "MetadataConflict", text)}


def _events(
    image: CatalogImage,
    status: CatalogImageStatus,
    check: Check,
    verdict: Verdict,
    *,
    actor: str,
    publication: Publication | None,
    change: ChangeKind | None,
    manual: bool,
) -> list[OwedEvent]:
    """Return what the world is told, in the order in which it happened."""
    before = image.status
    name, namespace, url = image.metadata.name, image.metadata.namespace, image.spec.registry_url
    digest = status.registry_metadata.resolved_digest if status.registry_metadata else None
    previous = before.registry_metadata.resolved_digest if before.registry_metadata else None
    events: list[OwedEvent] = []
    if change is None and previous is not None and digest != previous:
        change = ChangeKind.VERSION
    if change is not None:
        data: EventModel = ImagePublished(
            name=name,
            namespace=namespace,
            registry_url=url,
            actor=actor,
            change=change,
            digest=digest,
            previous_digest=previous if previous != digest else None,
            source_image_build=build_ref(publication.build if publication else None),
            steps=list(check.steps),
        )
        events.append(OwedEvent(EventType.IMAGE_PUBLISHED, data))
    drifted = before.condition("DigestMatched")
    if verdict.digest_matched.reason in {"TagMoved", "PinnedDigestMissing"} and (
        drifted is None or drifted.status != "False"
    ):
        data = ImageDrifted(
            name=name,
            namespace=namespace,
            registry_url=url,
            actor=actor,
            pinned_digest=check.pin or "",
            registry_digest=check.tag_digest or "",
            pinned_still_there=check.inspection is not None,
        )
        events.append(OwedEvent(EventType.IMAGE_DRIFTED, data))
    phase_before = settled_phase(before)
    if verdict.phase is not phase_before:
        data = PhaseChanged(
            name=name,
            namespace=namespace,
            registry_url=url,
            actor=actor,
            previous_phase=phase_before,
            reason=verdict.reason,
            message=verdict.message,
            digest=digest,
        )
        events.append(OwedEvent(_PHASE_EVENTS[verdict.phase], data))
    if manual:
        data = verified_data(image.model_copy(update={"status": status}), verdict, check.steps, actor=actor)
        events.append(OwedEvent(EventType.IMAGE_VERIFIED, data))
    return events
