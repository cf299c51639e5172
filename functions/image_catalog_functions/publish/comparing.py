"""What an entry is to a publication: whether it stands for the image, and what has become of it."""

from __future__ import annotations

from image_catalog.catalog.publication import read_publication
from image_catalog.catalog.publishing import Checked
from image_catalog.catalog.verdict import Check
from image_catalog.errors import InvalidReferenceError
from image_catalog.models import CatalogImage, Phase, Reference
from image_catalog.models.events import ChangeKind

__all__ = ["is_current", "kind_of_change", "stands_for"]


def stands_for(image: CatalogImage, reference: Reference) -> bool:
    """Whether an entry stands for an image, however its reference is written."""
    try:
        return Reference.parse(image.spec.registry_url).canonical == reference.canonical
    except InvalidReferenceError:
        return False


def kind_of_change(before: CatalogImage, after: CatalogImage, checked: Checked) -> ChangeKind:
    """Return what a publication did to an entry.

    Parameters
    ----------
    before, after
        The entry before and after its spec was written.
    checked
        What the registry said.
    """
    registry, publication = before.status.registry_metadata, read_publication(before)
    if before.status.published_at is None and (publication is None or publication.cause == checked.cause):
        # Another publisher's entry may have no status yet either, and is not ours to call created.
        return ChangeKind.CREATED
    if checked.digest is not None and registry is not None and registry.resolved_digest != checked.digest:
        return ChangeKind.VERSION
    if before.metadata.resource_version != after.metadata.resource_version:
        return ChangeKind.METADATA
    return ChangeKind.UNCHANGED


def is_current(image: CatalogImage, check: Check) -> bool:
    """Whether the status says already what the check found."""
    registry, inspection = image.status.registry_metadata, check.inspection
    return (
        image.status.phase is Phase.AVAILABLE
        and registry is not None
        and inspection is not None
        and registry.resolved_digest == inspection.resolved_digest
        and image.status.observed_generation == image.metadata.generation
    )
