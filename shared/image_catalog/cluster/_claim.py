"""A claim, and how a Lease holds it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from image_catalog.cluster._transport import JSON
from image_catalog.models import Reference, parse_time
from image_catalog.models.names import GROUP, LABEL_REFERENCE_HASH

__all__ = [
    "TOMBSTONES",
    "Claim",
    "ClaimOutcome",
    "ClaimResult",
    "Tombstone",
    "claim_name",
    "lease_changes",
    "new_lease",
    "read_claim",
]

LABEL_CLAIM: Final = f"{GROUP}/claim"
ANNOTATION_REFERENCE: Final = f"{GROUP}/reference"
ANNOTATION_REMOVED_AT: Final = f"{GROUP}/removed-at"
ANNOTATION_BUILD_UID: Final = f"{GROUP}/build-uid"
HELD: Final = "held"
REMOVED: Final = "removed"

TOMBSTONES: Final = f"{LABEL_CLAIM}={REMOVED}"
"""Selects the Leases that are tombstones."""

TOMBSTONE_LIFETIME: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What is left of a removed entry.

    Attributes
    ----------
    removed_at
        When it was removed.
    build_uid
        The build of its last version; empty when it came from elsewhere.
    """

    removed_at: datetime
    build_uid: str = ""

    def expired(self, now: datetime) -> bool:
        """Whether it no longer keeps the image out."""
        return now - self.removed_at >= TOMBSTONE_LIFETIME


@dataclass(frozen=True, slots=True)
class Claim:
    """Who stands for an image in a namespace.

    Attributes
    ----------
    namespace, name
        The Lease.
    uid, resource_version
        The preconditions of every change to it.
    reference
        The image's canonical reference.
    holder
        The entry's name.
    acquired_at
        When the holder got it.
    tombstone
        Set when the entry was removed.
    """

    namespace: str
    name: str
    uid: str
    resource_version: str
    reference: str
    holder: str
    acquired_at: datetime
    tombstone: Tombstone | None = None


class ClaimOutcome(StrEnum):
    """How an attempt to claim an image ended."""

    CREATED = "created"
    """Nobody had it."""
    OURS = "ours"
    """The entry had it already."""
    TAKEN_OVER = "taken over"
    """Whoever had it has died, or its tombstone has expired."""
    HELD = "held"
    """Another living entry stands for the image."""
    REMOVED = "removed"
    """A person removed the image; `Claims.revive` brings it back."""


@dataclass(frozen=True, slots=True)
class ClaimResult:
    """What became of an attempt to claim an image.

    Attributes
    ----------
    outcome
        How it ended.
    claim
        The claim as it stands now; ``claim.holder`` names the entry.
    """

    outcome: ClaimOutcome
    claim: Claim


def claim_name(reference: Reference) -> str:
    """Return the name of the Lease that stands for an image."""
    return f"catalogimage-{reference.identity_hash}"


def new_lease(reference: Reference, holder: str, at: datetime) -> JSON:
    """Make the Lease with which an entry claims an image."""
    changes = lease_changes(reference.canonical, holder, at)
    fields = changes["metadata"]
    metadata = {
        "name": claim_name(reference),
        "labels": {**fields["labels"], LABEL_REFERENCE_HASH: reference.identity_hash[:40]},
        "annotations": {key: value for key, value in fields["annotations"].items() if value is not None},
    }
    return {"metadata": metadata, "spec": changes["spec"]}


def lease_changes(reference: str, holder: str, at: datetime, tombstone: Tombstone | None = None) -> JSON:
    """Make the merge patch that hands a claim over, or turns it into a tombstone.

    Parameters
    ----------
    reference
        The image's canonical reference.
    holder
        The entry's name.
    at
        When the change is made.
    tombstone
        What is left of the entry; `None` removes what an earlier tombstone left.
    """
    annotations: dict[str, Any] = {
        ANNOTATION_REFERENCE: reference,
        ANNOTATION_REMOVED_AT: None if tombstone is None else tombstone.removed_at.isoformat(),
        ANNOTATION_BUILD_UID: None if tombstone is None else tombstone.build_uid,
    }
    labels = {LABEL_CLAIM: HELD if tombstone is None else REMOVED}
    # A metav1.MicroTime always has six digits.
    acquired = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {
        "metadata": {"labels": labels, "annotations": annotations},
        "spec": {"holderIdentity": holder, "acquireTime": acquired},
    }


def read_claim(found: JSON) -> Claim:
    """Read a Lease; what somebody has spoiled in it counts as absent."""
    metadata, spec = found["metadata"], found.get("spec") or {}
    annotations = metadata.get("annotations") or {}
    removed_at = parse_time(annotations.get(ANNOTATION_REMOVED_AT))
    tombstone = None
    if isinstance(removed_at, datetime):
        tombstone = Tombstone(removed_at, annotations.get(ANNOTATION_BUILD_UID) or "")
    times = (parse_time(spec.get("acquireTime")), parse_time(metadata.get("creationTimestamp")))
    return Claim(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        reference=annotations.get(ANNOTATION_REFERENCE) or "",
        holder=spec.get("holderIdentity") or "",
        acquired_at=next((time for time in times if isinstance(time, datetime)), datetime.min.replace(tzinfo=UTC)),
        tombstone=tombstone,
    )
