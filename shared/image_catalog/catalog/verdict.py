"""What a check means for an entry: the decision table, as pure functions.

One row of the table after the other; see docs/phases.md for the table as users
read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from image_catalog.catalog.conditions import ConditionType, Finding
from image_catalog.errors import (
    AccessDeniedError,
    AuthenticationError,
    CatalogError,
    CircuitOpenError,
    ImageNotFoundError,
    InvalidObjectError,
    ManifestInvalidError,
    SecretError,
    TransientError,
)
from image_catalog.models import CatalogImageSpec, DriftPolicy, Phase
from image_catalog.models.events import PhaseReason, Step
from image_catalog.registry import Inspection, Referrer

__all__ = ["DRIFT_REASONS", "Check", "Verdict", "duplicate_verdict", "judge"]

_METADATA_INCOMPLETE = "MetadataIncomplete"
"""Reason of ``Verified`` when the image is there and something that describes it is not."""

_METADATA_INVALID = "MetadataInvalid"
"""Reason of ``Verified`` when the image is there and something that describes it makes no sense."""

_MAX_COMPLAINTS = 8
"""Complaints that a condition repeats: an index of many platforms may have one for each."""
_TAG_MOVED = "TagMoved"
_CIRCUIT_OPEN = "CircuitOpen"
"""Reason of ``Verified`` when the registry was not asked, because it has not answered for a while."""
_MAX_REFUSAL = 1024
"""Characters of a refusal that a condition repeats: it names every broken field, and there may be thousands."""

DRIFT_REASONS = frozenset({_TAG_MOVED, PhaseReason.PINNED_DIGEST_MISSING})
"""Reasons of ``DigestMatched`` that say that the tag of a pinned entry has other content now."""


@dataclass(frozen=True, slots=True)
class Check:
    """What asking the registry once brought to light.

    Attributes
    ----------
    at
        When the registry was asked.
    pin
        The content that was asked for; `None` when the tag alone counts.
    tag_digest
        What the reference's tag has now; `None` when it could not be learnt,
        or when the reference has no tag.
    inspection
        The content that the entry stands for; `None` when it is not there or
        could not be read.
    referrers
        What refers to that content; `None` when nobody asked, or it was not told.
    error
        Why the registry could not be asked, or what it refused.
    steps
        Each step, as it really went.
    """

    at: datetime
    pin: str | None = None
    tag_digest: str | None = None
    inspection: Inspection | None = None
    referrers: tuple[Referrer, ...] | None = None
    error: CatalogError | None = None
    steps: tuple[Step, ...] = ()

    @property
    def tag_moved(self) -> bool:
        """Whether the tag has another content than the pin."""
        return self.pin is not None and self.tag_digest is not None and self.tag_digest != self.pin

    def moved(self) -> Check:
        """Return the check of an entry whose pin has followed its tag."""
        return replace(self, pin=self.tag_digest)

    def unkept(self, refusal: InvalidObjectError) -> Check:
        """Return the check as one that found nothing to keep, because the API server refuses what it found.

        No registry can then say anything that leaves an entry unwritten, and so unverified, for ever.
        """
        told = f"what the registry says of the image does not fit into an entry: {refusal.message[:_MAX_REFUSAL]}"
        return replace(self, inspection=None, error=ManifestInvalidError(told))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What holds true of an entry after a check.

    Attributes
    ----------
    phase
        The entry's phase.
    reason
        Reason of the condition ``Available``.
    message
        One sentence for people.
    verified
        What the condition ``Verified`` shall say.
    digest_matched
        What the condition ``DigestMatched`` shall say.
    failed
        Whether it counts as a failed check.
    """

    phase: Phase
    reason: PhaseReason
    message: str
    verified: Finding
    digest_matched: Finding
    failed: bool

    @property
    def is_unasked(self) -> bool:
        """Whether the registry was not asked at all, because its circuit is open."""
        return self.verified.reason == _CIRCUIT_OPEN

    def findings(self) -> Mapping[ConditionType, Finding]:
        """Return what the conditions shall say."""
        available = Finding("True" if self.phase is Phase.AVAILABLE else "False", self.reason, self.message)
        return {
            "Available": available,
            "Verified": self.verified,
            "DigestMatched": self.digest_matched,
            "Ready": available,
        }


def judge(spec: CatalogImageSpec, check: Check, *, was_available: bool) -> Verdict:
    """Decide what a check means.

    Parameters
    ----------
    spec
        The spec that was checked.
    check
        What was found out.
    was_available
        Whether the entry was Available before: a denial then may as well mean
        that the image was deleted.
    """
    if check.error is not None:
        return _judge_error(check, check.error, was_available=was_available)
    moved = check.tag_moved and spec.drift_policy is not DriftPolicy.FOLLOW
    if moved and check.inspection is None:
        return _pinned_digest_missing(check)
    matched = _matched(check, moved=moved)
    if check.inspection is not None and check.inspection.deep and check.inspection.missing:
        return _blobs_missing(check.inspection, matched)
    verified = _verified(check.inspection)
    if moved and spec.drift_policy is DriftPolicy.QUARANTINE:
        return _quarantined(check, verified, matched)
    return Verdict(
        Phase.AVAILABLE,
        PhaseReason.REGISTRY_ACCESSIBLE,
        "the image is accessible in its registry",
        verified,
        matched,
        failed=False,
    )


def duplicate_verdict(holder: str) -> Verdict:
    """Return the verdict on an entry whose image has another entry already.

    Parameters
    ----------
    holder
        Name of the other entry.
    """
    message = f"the entry {holder} stands for the same image; remove one of the two"
    return Verdict(
        Phase.FAILED,
        PhaseReason.DUPLICATE_REFERENCE,
        message,
        Finding("Unknown", PhaseReason.DUPLICATE_REFERENCE, message),
        Finding("Unknown", PhaseReason.DUPLICATE_REFERENCE, message),
        failed=True,
    )


def _matched(check: Check, *, moved: bool) -> Finding:
    if moved:
        text = f"pinned to {check.pin}, which is still there; the tag has {check.tag_digest}"
        return Finding("False", _TAG_MOVED, text)
    if check.pin is None:
        digest = check.inspection.resolved_digest if check.inspection else None
        return Finding("True", "NotPinned", f"nothing is pinned; the registry has {digest}")
    return Finding("True", "Matched", f"the registry has the pinned {check.pin}")


def _verified(inspection: Inspection | None) -> Finding:
    warnings = inspection.warnings if inspection is not None else ()
    complaint = "; ".join(warnings[:_MAX_COMPLAINTS])
    if len(warnings) > _MAX_COMPLAINTS:
        complaint += f"; and {len(warnings) - _MAX_COMPLAINTS} more"
    if inspection is not None and not inspection.complete:
        missing = ", ".join(inspection.missing[:_MAX_COMPLAINTS])
        return Finding("False", _METADATA_INCOMPLETE, complaint or f"{missing} is missing from the registry")
    if complaint:
        return Finding("False", _METADATA_INVALID, complaint)
    return Finding("True", "Verified", "the registry answered, and what it said holds together")


def _blobs_missing(inspection: Inspection, matched: Finding) -> Verdict:
    message = (
        f"{len(inspection.missing)} of its blobs are missing from the registry, {inspection.missing[0]} first; "
        "it cannot be flashed: push it again"
    )
    verified = Finding("False", PhaseReason.BLOB_MISSING, message)
    return Verdict(Phase.UNAVAILABLE, PhaseReason.BLOB_MISSING, message, verified, matched, failed=True)


def _pinned_digest_missing(check: Check) -> Verdict:
    message = f"the pinned {check.pin} is gone from the registry; its tag has {check.tag_digest} now"
    finding = Finding("False", PhaseReason.PINNED_DIGEST_MISSING, message)
    return Verdict(Phase.UNAVAILABLE, PhaseReason.PINNED_DIGEST_MISSING, message, finding, finding, failed=True)


def _quarantined(check: Check, verified: Finding, matched: Finding) -> Verdict:
    message = f"its tag moved to {check.tag_digest}; pin that, or {check.pin} with another driftPolicy, to release it"
    return Verdict(Phase.UNAVAILABLE, PhaseReason.QUARANTINED, message, verified, matched, failed=False)


def _judge_error(check: Check, error: CatalogError, *, was_available: bool) -> Verdict:
    reason, message = PhaseReason(error.reason), error.message
    if isinstance(error, ImageNotFoundError) and check.pin is not None and check.tag_digest is None:
        digest_matched = Finding("False", reason, message)
    else:
        digest_matched = Finding("Unknown", reason, message)
    temporary = isinstance(error, TransientError)
    phase = Phase.UNAVAILABLE if temporary or isinstance(error, ImageNotFoundError) else Phase.FAILED
    if was_available and isinstance(error, AccessDeniedError | AuthenticationError):
        # Many registries hide what is gone behind a denial.
        message = f"denied or deleted: {message}"
    verified = Finding("Unknown" if temporary or isinstance(error, SecretError) else "False", reason, message)
    if isinstance(error, CircuitOpenError):
        verified = Finding("Unknown", _CIRCUIT_OPEN, message)
    return Verdict(phase, reason, message, verified, digest_matched, failed=True)
