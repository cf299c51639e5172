"""How an entry's status moves: what a verdict changes, and what the world is told.

Everything here is pure: an entry and what was found out go in, a status and
the events that it owes come out. Doing it again on a fresher entry is safe.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from image_catalog.catalog.availability import counted, held_for, state_of
from image_catalog.catalog.changes import remember, without_marks
from image_catalog.catalog.conditions import ConditionType, Finding, merge_conditions
from image_catalog.catalog.content import take_over
from image_catalog.catalog.drift import drift_of
from image_catalog.catalog.evidence import with_evidence
from image_catalog.catalog.held import is_overridden, with_effective_metadata
from image_catalog.catalog.inputs import verified_inputs
from image_catalog.catalog.metadata import conflicts, describe_conflicts
from image_catalog.catalog.owed import OwedEvent, owed_events
from image_catalog.catalog.pace import Pace
from image_catalog.catalog.publication import Publication
from image_catalog.catalog.recalls import recall_findings
from image_catalog.catalog.schedule import CHECK_DEADLINE, NextCheck, Schedule
from image_catalog.catalog.verdict import Check, Verdict
from image_catalog.events import ReceivedEvent, event_id
from image_catalog.models import AvailabilityState, CatalogImage, CatalogImageStatus, Phase, format_time
from image_catalog.models.events import ChangeKind, PhaseReason, Step, StepStatus
from image_catalog.models.names import ANNOTATION_DIGEST_PINNED_BY, PINNED_BY_PUBLISH
from image_catalog.models.reasons import NextVerificationReason

__all__ = [
    "FAILED_REASONS",
    "Transition",
    "begin_check",
    "is_outdated",
    "observe",
    "postpone",
    "settle",
    "settled_phase",
    "warned",
]

_MAX_MESSAGE = 4096
"""Characters that the message of a step may have."""

_MAX_WHY = 512
"""Characters that the message about the next check may have."""

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
    if available is None or available.status == "Unknown":
        return None
    if available.status == "True":
        return Phase.AVAILABLE
    return Phase.FAILED if available.reason in FAILED_REASONS else Phase.UNAVAILABLE


def begin_check(image: CatalogImage, cause: str, *, now: datetime) -> CatalogImageStatus:
    """Return the status of an entry whose check begins.

    It claims the inputs, so that the event of this very write asks for
    nothing, and a deadline, so that a check whose function died is taken over.
    What was found out about other inputs is no longer claimed of these.
    """
    checking = Finding("Unknown", "Verifying", "the registry is being asked")
    findings: dict[ConditionType, Finding] = {"Verified": checking}
    availability = image.status.availability
    if _is_edited(image):
        findings |= {"Available": checking, "DigestMatched": checking, "Ready": checking}
        availability = availability and counted(availability, AvailabilityState.UNKNOWN, at=now)
    findings |= recall_findings(image, image.status, findings.get("Ready"))
    status = image.status.model_copy(
        update={
            "phase": Phase.VERIFYING,
            "observed_generation": image.metadata.generation,
            "verified_inputs": verified_inputs(image.spec),
            "next_verification_time": now + CHECK_DEADLINE,
            "next_verification_reason": NextVerificationReason.CHECKING,
            "next_verification_message": "a check is under way; another one takes its place then, should it have died",
            "conditions": merge_conditions(
                image.status.conditions, findings, generation=image.metadata.generation, now=now
            ),
            "availability": availability,
            "recent_changes": remember(image.status, cause, (), now=now),
        }
    )
    return _derived(image, status)


def is_outdated(check: Check, *, start: CatalogImageStatus, fresh: CatalogImageStatus) -> bool:
    """Tell whether another check, that asked no earlier, has ended while this one was under way.

    What a slow registry said a while ago must not overwrite what it has said
    since. Times are kept to the second: of the same one, who wrote first is believed.

    Parameters
    ----------
    check
        What was found out.
    start
        The entry's status when the check began.
    fresh
        Its status now.
    """
    ended = fresh.last_verification_time
    return ended is not None and ended != start.last_verification_time and check.at.replace(microsecond=0) <= ended


def postpone(
    image: CatalogImage, *, why: str, retry_after: timedelta, pushed: bool, now: datetime
) -> CatalogImageStatus | None:
    """Return the status of an entry whose registry has no room for a check at present: a tick asks for it then.

    Parameters
    ----------
    image
        The entry.
    why
        What the registry waits for.
    retry_after
        When it is worth asking again.
    pushed
        Whether the registry itself has told of new content. That is written
        also where the entry is due sooner: a check that is under way may have
        asked before, and must not put off the one that is wanted.
    now
        The time.

    Returns
    -------
    CatalogImageStatus or None
        `None` when the entry is due by then in any case.
    """
    at, due = now + retry_after, image.status.next_verification_time
    if due is None or (due <= at and not pushed):
        return None
    return image.status.model_copy(
        update={
            "next_verification_time": min(due, at),
            "next_verification_reason": NextVerificationReason.REGISTRY_BUSY,
            "next_verification_message": f"a check was asked for at {format_time(now)}: {why}"[:_MAX_WHY],
        }
    )


def _with_postponed(due: NextCheck, fresh: CatalogImageStatus, start: CatalogImageStatus | None) -> NextCheck:
    """Return when an entry is due of which a check was postponed while the one that ends now was under way."""
    at, message = fresh.next_verification_time, fresh.next_verification_message
    if at is None or message is None or fresh.next_verification_reason is not NextVerificationReason.REGISTRY_BUSY:
        return due
    if start is not None and start.next_verification_message == message:
        return due  # It was postponed before, so this is the check that it waits for.
    return replace(due, at=min(due.at, at), reason=NextVerificationReason.REGISTRY_BUSY, message=message)


def _is_edited(image: CatalogImage) -> bool:
    """Whether something else is asked for than what was checked; a pin that we moved ourselves is the same wish."""
    known, status = image.status.registry_metadata, image.status
    if status.verified_inputs in {None, verified_inputs(image.spec)}:
        return False
    ours = image.metadata.annotations.get(ANNOTATION_DIGEST_PINNED_BY) == PINNED_BY_PUBLISH
    if not ours or known is None:
        return True
    before = image.spec.model_copy(update={"digest": known.resolved_digest})
    return status.verified_inputs != verified_inputs(before)


def observe(
    image: CatalogImage, *, schedule: Schedule, now: datetime, pace: Pace | None = None
) -> CatalogImageStatus | None:
    """Return the status of an entry that was edited though no check depends on what changed.

    An edited interval counts from the last check, unless one waits for its
    registry. The mark that lets a person's
    word count moves no generation.

    Returns
    -------
    CatalogImageStatus or None
        `None` when it speaks of the entry as it is already.
    """
    status, generation = _derived(image, image.status), image.metadata.generation
    if status.observed_generation == generation:
        return None if status == image.status else status
    findings = _consistency(image) | recall_findings(image, status)
    conditions = merge_conditions(status.conditions, findings, generation=generation, now=now)
    status = status.model_copy(update={"observed_generation": generation, "conditions": conditions})
    postponed = status.next_verification_reason is NextVerificationReason.REGISTRY_BUSY
    if status.phase is Phase.AVAILABLE and status.last_verification_time is not None and not postponed:
        return schedule.regular(image, since=status.last_verification_time, pace=pace).applied(status)
    return status


def settle(
    image: CatalogImage,
    check: Check,
    verdict: Verdict,
    *,
    cause: ReceivedEvent[object],
    schedule: Schedule,
    pace: Pace | None = None,
    publication: Publication | None = None,
    change: ChangeKind | None = None,
    manual: bool = False,
    start: CatalogImageStatus | None = None,
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
    pace
        What its registry's limit allows.
    publication
        The publication whose version this completes; `None` when a check alone
        found what is new.
    change
        What the publication did; `None` for a check.
    manual
        Whether somebody waits for the outcome as an event of its own.
    start
        The entry's status when the check began; `None` where it was read later:
        then a check that was postponed is made all the same.

    Returns
    -------
    Transition
        The status to write, and the events to emit once it is written.
    """
    before = image.status
    status, state = take_over(before, check, publication=publication), state_of(verdict)
    failures = (before.verification_failures or 0) + 1 if verdict.failed else 0
    retry_after = getattr(check.error, "retry_after", None)
    due = schedule.after(image, verdict, failures=failures, now=check.at, retry_after=retry_after, pace=pace)
    wait = max(schedule.interval(image.spec, pace), due.at - check.at)
    due = _with_postponed(due, before, start)
    status = status.model_copy(
        update={
            "observed_generation": image.metadata.generation,
            "phase": verdict.phase,
            "last_verification_time": before.last_verification_time if verdict.is_unasked else _later(before, check.at),
            "verification_failures": failures,
            "verified_inputs": verified_inputs(image.spec),
            "drift": drift_of(image, check),
            "availability": counted(before.availability, state, at=check.at, held=held_for(state, wait)),
        }
    )
    status = _derived(image, due.applied(status))
    findings = dict(verdict.findings()) | _consistency(image.model_copy(update={"status": status}))
    findings |= recall_findings(image, status, findings["Ready"])
    conditions = merge_conditions(before.conditions, findings, generation=image.metadata.generation, now=check.at)
    status = status.model_copy(update={"conditions": conditions})
    events = tuple(
        owed_events(
            image,
            status,
            warned(check, image.model_copy(update={"status": status})),
            verdict,
            actor=cause.actor,
            phase_before=settled_phase(before),
            publication=publication,
            change=change,
            manual=manual,
        )
    )
    owed = [(event.type.short, event_id(cause.id, event.type, image.subject)) for event in events]
    actor = cause.actor if cause.is_authenticated else None
    changes = remember(before, cause.id, owed, now=check.at, actor=actor) if owed else without_marks(before)
    return Transition(status.model_copy(update={"recent_changes": changes}), events)


def _later(before: CatalogImageStatus, at: datetime) -> datetime:
    """Return when the registry was last asked: a publication may have asked before a check that ended first."""
    return at if before.last_verification_time is None else max(at, before.last_verification_time)


def _derived(image: CatalogImage, status: CatalogImageStatus) -> CatalogImageStatus:
    """Return an entry's next status with what follows from spec, registry and evidence together."""
    return with_evidence(image, with_effective_metadata(image, status))


def warned(check: Check, image: CatalogImage) -> Check:
    """Return a check that says, as a step of its own, where the entry contradicts what the registry has told.

    Parameters
    ----------
    check
        What was found out.
    image
        The entry with what was found out in its status.
    """
    found = conflicts(image) if check.inspection is not None else []
    if not found:
        return check
    counts = "the entry's word counts, as its annotation asks" if is_overridden(image) else "the registry's word counts"
    text = f"{describe_conflicts(found)}; {counts}"[:_MAX_MESSAGE]
    step = Step(name="Metadata consistency", status=StepStatus.WARNING, message=text)
    return replace(check, steps=(*check.steps, step))


def _consistency(image: CatalogImage) -> dict[ConditionType, Finding]:
    """Compare what a person typed with what the registry says."""
    if image.status.registry_metadata is None:
        return {"MetadataConsistent": Finding("Unknown", "NotChecked", "the registry has not been read yet")}
    found = conflicts(image)
    if not found:
        return {"MetadataConsistent": Finding("True", "Consistent", "nothing contradicts what the registry says")}
    return {"MetadataConsistent": Finding("False", "MetadataConflict", describe_conflicts(found))}
