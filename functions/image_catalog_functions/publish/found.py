"""What the catalog has of an image before it is published."""

from __future__ import annotations

from dataclasses import dataclass

from image_catalog.catalog.changes import find_change
from image_catalog.catalog.publishing import is_recorded
from image_catalog.catalog.wishes import Wish
from image_catalog.cluster import Claim
from image_catalog.events import ReceivedEvent
from image_catalog.models import CatalogImage, Change, Reference

__all__ = ["Found"]


@dataclass(frozen=True, slots=True)
class Found:
    """What the catalog has of an image.

    Attributes
    ----------
    namespace, reference
        Where was looked, and for what.
    image
        The entry that stands for it.
    claim
        The claim on it.
    leaving
        The entry that stood for it, which a person has removed, while it is still
        there.
    moved
        The entry that stood for it, and which a person has made stand for
        something else.
    """

    namespace: str
    reference: Reference
    image: CatalogImage | None
    claim: Claim | None
    leaving: CatalogImage | None = None
    moved: CatalogImage | None = None

    def is_about(self, wish: Wish, reference: Reference) -> bool:
        """Whether this is what the wish has to know."""
        return self.namespace == wish.namespace and self.reference.canonical == reference.canonical

    def settles(self, wish: Wish, *, cause: ReceivedEvent[object]) -> bool:
        """Whether a build's wish asks for nothing: it is recorded, or a person removed its image."""
        if self.written_by(cause) is not None:
            return False
        if self.image is not None:
            done = wish.build is not None and is_recorded(self.image, wish.build)
            return done and find_change(self.image.status, cause.id) is None
        return self.was_removed_since(wish)

    def written_by(self, cause: ReceivedEvent[object]) -> tuple[CatalogImage, Change] | None:
        """Return the entry in which this very event has written what it owes to the world, and what that is."""
        return _written(self.image or self.leaving, cause)

    def moved_since(self, cause: ReceivedEvent[object]) -> tuple[CatalogImage, Change] | None:
        """Return the entry that stands for something else by now, and what this very event owes for it."""
        return _written(self.moved, cause)

    def was_removed_since(self, wish: Wish) -> bool:
        """Whether a person removed the image after the build that is being offered again."""
        tombstone = self.claim.tombstone if self.claim else None
        if tombstone is None:
            return False
        # A completion that has not come yet counts as now, which is later than any removal: the build itself is known.
        completed = wish.build.completion_time if wish.build else None
        if wish.build is not None and completed is not None and completed > wish.time:
            return tombstone.build_uid == wish.build.uid
        return wish.time <= tombstone.removed_at


def _written(image: CatalogImage | None, cause: ReceivedEvent[object]) -> tuple[CatalogImage, Change] | None:
    written = find_change(image.status, cause.id) if image is not None else None
    return (image, written) if image is not None and written is not None and written.events else None
