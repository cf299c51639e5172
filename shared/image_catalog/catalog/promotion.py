"""What a content brings along when it is promoted: its files in a build's store, and how it did on boards."""

from __future__ import annotations

from image_catalog.catalog.exports import Exported
from image_catalog.models import CatalogImage, Evidence, Promotion

__all__ = ["evidence_brought", "exports_brought"]


def exports_brought(source: CatalogImage | None, promotion: Promotion) -> Exported | None:
    """Return the files beside an image that its build left, as the entry that it is promoted from knows them.

    They are named, and no credential for them comes along: who opens them needs
    a Secret whose owner allows the namespace that they were promoted to.

    Parameters
    ----------
    source
        The entry that it is promoted from, as it is.
    promotion
        Which content is promoted.

    Returns
    -------
    Exported or None
        `None` where the entry is gone, or has another content by now.
    """
    if source is None or not _has(source, promotion.digest):
        return None
    refs = tuple(ref for ref in source.status.artifact_refs if ref.is_exported)
    return Exported(source.status.artifact_store, refs)


def evidence_brought(image: CatalogImage, source: CatalogImage | None, promotion: Promotion) -> CatalogImage:
    """Return an entry with what tests have told of a content where it is promoted from.

    Boards do not run it differently in another namespace. What was told of a
    board here already stays as it is.

    Parameters
    ----------
    image
        The entry that it is promoted to.
    source
        The entry that it is promoted from, as it is.
    promotion
        Which content is promoted.
    """
    if source is None or not _has(source, promotion.digest):
        return image
    registry = source.status.registry_metadata
    variants = registry.platform_variants if registry is not None else ()
    contents = {promotion.digest, *(variant.digest for variant in variants)}
    known = {(each.digest, each.target) for each in image.status.evidence}
    brought: list[Evidence] = [
        each for each in source.status.evidence if each.digest in contents and (each.digest, each.target) not in known
    ]
    if not brought:
        return image
    status = image.status.model_copy(update={"evidence": [*image.status.evidence, *brought]})
    return image.model_copy(update={"status": status})


def _has(source: CatalogImage, digest: str) -> bool:
    registry = source.status.registry_metadata
    return registry is not None and registry.resolved_digest == digest
