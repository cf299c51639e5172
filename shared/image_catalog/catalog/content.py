"""What an entry keeps of its content: the registry's word, its versions, its files."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from image_catalog.catalog.publication import Publication
from image_catalog.catalog.verdict import Check
from image_catalog.models import (
    ArtifactRef,
    CatalogImageStatus,
    Platform,
    PlatformVariant,
    Referrer,
    RegistryMetadata,
    Version,
)
from image_catalog.registry import Inspection
from image_catalog.registry import Platform as FoundPlatform

__all__ = ["HISTORY", "REFERRERS_STAY_TRUE", "are_referrers_due", "artifacts_of", "known_metadata", "take_over"]

HISTORY = 10
"""Versions that the status keeps; the audit history keeps the rest."""


REFERRERS_STAY_TRUE = timedelta(hours=6)
"""How long a list of referrers is shown before a regular check asks again.

Images are signed after they are pushed, so that a list of the first moment is
often empty; asking with every check would double what a check costs.
"""


def are_referrers_due(status: CatalogImageStatus, *, now: datetime) -> bool:
    """Tell whether a regular check shall list what refers to the image, too.

    A publication lists it at once, and so does whoever asks for a check.

    Parameters
    ----------
    status
        The entry's status.
    now
        The time.
    """
    known = status.registry_metadata
    since = (known.referrers_time if known else None) or status.published_at
    return since is not None and now - since >= REFERRERS_STAY_TRUE


def known_metadata(status: CatalogImageStatus) -> RegistryMetadata | None:
    """Return what need not be read again while the digest stays the same; `None` where it must be.

    What is wrong with an image is found by reading it alone, and an entry that
    is not verified may have had something wrong before it was, for example,
    unreachable. So only an entry that held together is not read again.
    """
    verified = status.condition("Verified")
    return status.registry_metadata if verified is not None and verified.status == "True" else None


def take_over(before: CatalogImageStatus, check: Check, *, publication: Publication | None) -> CatalogImageStatus:
    """Take over what the registry says, and turn the page when the content is new.

    Parameters
    ----------
    before
        The status as it is.
    check
        What was found out.
    publication
        The publication whose version this completes, where there is one.
    """
    inspection = check.inspection
    if inspection is None:
        return before
    known = before.registry_metadata
    digest = inspection.resolved_digest
    completed = publication if publication and publication.digest in {None, digest} else None
    build, promotion = (completed.build, completed.promoted_from) if completed else (None, None)
    update: dict[str, object] = {"registry_metadata": _registry_metadata(known, inspection, check)}
    if known is None or known.resolved_digest != digest:
        # What belongs to the version before does not belong to this one.
        update |= {"published_at": check.at, "source_image_build": build, "build_manifest_ref": None}
        update |= {"promoted_from": promotion, "artifact_refs": artifacts_of(inspection), "artifact_store": None}
        if known is not None:
            past = Version(
                digest=known.resolved_digest,
                platforms=[variant.digest for variant in known.platform_variants],
                published_at=before.published_at,
                source_image_build=before.source_image_build,
                promoted_from=before.promoted_from,
                superseded_at=check.at,
            )
            update["history"] = [past, *before.history][:HISTORY]
        return before.model_copy(update=update)
    if inspection.media_type is not None and inspection.complete:
        exported = [ref for ref in before.artifact_refs if ref.is_exported]
        update["artifact_refs"] = [*artifacts_of(inspection), *exported]
    if build is not None:
        update["source_image_build"] = build
    if promotion is not None:
        update["promoted_from"] = promotion
    return before.model_copy(update=update)


def _registry_metadata(known: RegistryMetadata | None, found: Inspection, check: Check) -> RegistryMetadata:
    same = known is not None and known.resolved_digest == found.resolved_digest
    if known is not None and same and (found.media_type is None or not found.complete):
        # What a digest says never changes, and less than the whole of it replaces nothing.
        return known.model_copy(update={"last_verified": check.at, **_referrers(known, check)})
    return RegistryMetadata(
        resolved_digest=found.resolved_digest,
        media_type=found.media_type or "",
        artifact_type=found.artifact_type,
        size_bytes=found.size_bytes or 0,
        layer_count=found.layer_count or sum(v.layer_count or 0 for v in found.platform_variants),
        platform=_platform(found.platform),
        created_at=found.created_at,
        is_multi_arch=found.is_multi_arch,
        platform_variants=[
            PlatformVariant(
                architecture=variant.platform.architecture,
                os=variant.platform.os,
                variant=variant.platform.variant,
                digest=variant.digest,
                size_bytes=variant.size_bytes,
                layer_count=variant.layer_count,
            )
            for variant in found.platform_variants
        ],
        annotations={**found.labels, **found.annotations},
        last_verified=check.at,
        **_referrers(known if same else None, check),
    )


def _referrers(known: RegistryMetadata | None, check: Check) -> dict[str, Any]:
    """Return what refers to the content; what was listed before stays where nothing was listed now."""
    if check.referrers is None:
        return {"referrers": known.referrers, "referrers_time": known.referrers_time} if known else {}
    listed = [
        Referrer(kind=found.kind, artifact_type=found.artifact_type, digest=found.digest, size_bytes=found.size_bytes)
        for found in check.referrers
    ]
    return {"referrers": listed, "referrers_time": check.at}


def _platform(found: FoundPlatform | None) -> Platform | None:
    if found is None:
        return None
    return Platform(architecture=found.architecture, os=found.os, variant=found.variant)


def artifacts_of(found: Inspection, *, reference: str | None = None) -> list[ArtifactRef]:
    """Return what an entry keeps of the files that an artifact is made of.

    Parameters
    ----------
    found
        The artifact.
    reference
        What it is called, where it is not the entry's own image.
    """
    return [
        ArtifactRef(
            type="oci",
            url=layer.url,
            digest=layer.digest,
            size_bytes=layer.size_bytes,
            format=layer.format,
            name=layer.name,
            partition=layer.partition,
            decompressed_size_bytes=layer.decompressed_size_bytes,
            reference=reference,
        )
        for layer in found.artifacts
    ]
