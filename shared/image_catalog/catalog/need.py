"""What an entry needs, decided from the entry alone: most events ask for nothing."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from image_catalog.catalog.held import Held
from image_catalog.catalog.inputs import verified_inputs
from image_catalog.catalog.publication import read_publication
from image_catalog.catalog.tested import tested_targets
from image_catalog.catalog.verdict import DRIFT_REASONS
from image_catalog.models import CatalogImage, DriftPolicy, Phase
from image_catalog.models.events import PhaseReason
from image_catalog.models.names import FINALIZER, LABEL_REFERENCE_HASH

__all__ = ["PUBLICATION_GRACE", "Need", "need_of"]

PUBLICATION_GRACE = timedelta(seconds=30)
"""How long a publication may be between its two writes before another function takes over.

It needs milliseconds; a publisher that died is not there to be disturbed.
"""


class Need(StrEnum):
    """What is to be done about an entry."""

    NOTHING = "nothing"
    BOOKKEEPING = "bookkeeping"
    """Something was edited that no check depends on: the status and labels follow."""
    CHECK = "check"


def need_of(image: CatalogImage, *, now: datetime) -> Need:
    """Return what an entry needs.

    Parameters
    ----------
    image
        The entry, from an event or fresh.
    now
        The time.
    """
    if image.metadata.deletion_timestamp is not None:
        return Need.NOTHING
    status = image.status
    due = status.next_verification_time is None or status.next_verification_time <= now
    if status.verified_inputs == verified_inputs(image.spec) and not due:
        if status.phase is Phase.VERIFYING:
            return Need.NOTHING  # Whoever is at it keeps the books, too.
        complete = (
            status.observed_generation == image.metadata.generation
            and FINALIZER in image.metadata.finalizers
            and LABEL_REFERENCE_HASH in image.metadata.labels
            and status.effective_metadata == Held.of_image(image).to_status()
            and status.targets == tested_targets(image, status)
        )
        if _policy_changed(image):
            return Need.CHECK
        return Need.NOTHING if complete else Need.BOOKKEEPING
    return Need.NOTHING if _publisher_at_work(image, now) else Need.CHECK


def _policy_changed(image: CatalogImage) -> bool:
    """Whether somebody has decided otherwise about a tag that moved; no other check depends on the policy."""
    available, matched = image.status.condition("Available"), image.status.condition("DigestMatched")
    if matched is None or matched.reason not in DRIFT_REASONS:
        return False
    policy = image.spec.drift_policy
    if policy is DriftPolicy.FOLLOW or matched.reason == PhaseReason.PINNED_DIGEST_MISSING:
        # What is gone is gone under any policy but the one that does not need it.
        return policy is DriftPolicy.FOLLOW
    quarantined = available is not None and available.reason == PhaseReason.QUARANTINED
    blobs_missing = available is not None and available.reason == PhaseReason.BLOB_MISSING
    return quarantined != (policy is DriftPolicy.QUARANTINE) and not blobs_missing


def _publisher_at_work(image: CatalogImage, now: datetime) -> bool:
    """Whether a publication has written the spec a moment ago and will write the status."""
    publication = read_publication(image)
    if publication is None or publication.digest is None or now - publication.applied_at >= PUBLICATION_GRACE:
        return False
    done = any(change.cause == publication.cause for change in image.status.recent_changes)
    return not done and publication.digest == image.spec.digest
