"""Drift: the tag of a pinned entry has other content, and what is known of that from one check to the next."""

from __future__ import annotations

from image_catalog.catalog.publishing import pin_of
from image_catalog.catalog.verdict import DRIFT_REASONS, Check
from image_catalog.models import CatalogImage, CatalogImageStatus, Drift

__all__ = ["drift_of", "is_new_drift"]


def drift_of(image: CatalogImage, check: Check) -> Drift | None:
    """Return what the tag of a pinned entry has, since it moved; `None` while it has what is pinned.

    A registry that does not say what the tag has takes nothing back: a tag
    that moved before an outage has not moved anew when the outage is over.

    Parameters
    ----------
    image
        The entry as it was before the check.
    check
        What was found out.
    """
    known, pin = image.status.drift, check.pin or pin_of(image)
    same = known if known is not None and known.pinned_digest == pin else None
    if check.tag_digest is None:
        return same
    if pin is None or not check.tag_moved:
        return None
    since = same.since if same is not None else check.at
    return Drift(pinned_digest=pin, tag_digest=check.tag_digest, since=since)


def is_new_drift(before: CatalogImageStatus, after: CatalogImageStatus) -> bool:
    """Tell whether a status write is the first that knows of a drift, which the world is told once.

    Parameters
    ----------
    before, after
        The entry's status before the write, and as it shall be.
    """
    known, now = before.drift, after.drift
    if now is None or (known is not None and known.pinned_digest == now.pinned_digest):
        return False
    # An entry that was written before there was a `drift` says by this condition alone that its tag has moved.
    matched = before.condition("DigestMatched")
    return matched is None or matched.reason not in DRIFT_REASONS
