"""Merge patches (RFC 7386) made from what was read and what is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from image_catalog.cluster._transport import JSON

__all__ = ["merge_patch"]


def merge_patch(before: Mapping[str, Any], after: Mapping[str, Any]) -> JSON:
    """Return the smallest merge patch that turns one object into another.

    Only what differs is named, so that fields which this version of the catalog
    does not know survive its writes.

    Parameters
    ----------
    before
        The object as it was read.
    after
        The object as it shall be; a field that is missing here is removed.

    Returns
    -------
    JSON
        The patch; empty when nothing differs.
    """
    patch: JSON = {key: None for key in before if key not in after}
    for key, wanted in after.items():
        current = before.get(key)
        if current == wanted and key in before:
            continue
        if isinstance(current, Mapping) and isinstance(wanted, Mapping):
            patch[key] = merge_patch(current, wanted)
        else:
            patch[key] = wanted
    return patch
