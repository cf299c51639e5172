"""Drift, as an entry's status keeps it: the tag of a pinned entry has other content."""

from __future__ import annotations

from image_catalog.models.kubernetes import KubernetesModel, Time
from image_catalog.models.wording import Digest

__all__ = ["Drift"]


class Drift(KubernetesModel):
    """The tag of a pinned entry has moved, and the entry has not."""

    pinned_digest: Digest
    """The content that the entry is pinned to."""
    tag_digest: Digest
    """The content that the tag had when it was last seen."""
    since: Time
    """When the tag was first seen to differ from the pin."""
