"""What ``GET /resolve`` answers, for the OpenAPI document and from a resolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlencode

from pydantic import Field

from image_catalog.catalog.resolution import Chosen, Rejected, Resolution, Wish
from image_catalog.models.kubernetes import KubernetesModel, Time
from image_catalog.models.reasons import ResolutionReason
from image_catalog.models.wording import Count

__all__ = ["RejectedImage", "ResolvedImage", "losers_of", "resolved_image", "why_none"]


class RejectedImage(KubernetesModel):
    """An entry for the board that is not the one."""

    name: str
    """Name of the entry."""
    namespace: str
    """Namespace of the entry."""
    reason: ResolutionReason
    """The rule that it lost by: the first one that it breaks."""
    message: str
    """Why, as a sentence for people."""
    digest: str | None = None
    """Digest of its reference, as far as it is known."""
    published_at: Time | None = None
    """When it was published."""


class ResolvedImage(KubernetesModel):
    """The one image to flash, and why none of the others."""

    reference: str
    """What to flash: registry, repository and the digest of the board's platform."""
    platform_digest: str
    """That digest."""
    index_digest: str | None = None
    """Digest of the index that the platform is taken from; absent when the entry's reference is of no index."""
    name: str
    """Name of the entry."""
    namespace: str
    """Namespace of the entry."""
    registry_url: str
    """The entry's reference as it is written there."""
    target: str
    """The board."""
    architecture: str | None = None
    """Processor architecture of the platform, by its OCI name."""
    os: str
    """Operating system of the platform, by its OCI name."""
    variant: str | None = None
    """Variant of the architecture."""
    distro: str | None = None
    """Distribution."""
    distro_version: str | None = None
    """Version of the distribution."""
    build_mode: str | None = None
    """How automotive-image-builder built the image."""
    bootc_capable: bool | None = None
    """Whether bootc can run it; absent when nobody knows."""
    tags: list[str]
    """Words that the entry carries."""
    size_bytes: Count | None = None
    """Config and layers of the platform's image."""
    published_at: Time | None = None
    """When it was published."""
    verified: bool
    """Whether its last test on the board passed, or a person says that it works there."""
    tested: bool
    """Whether a test on the board was reported."""
    availability: float | None = Field(None, ge=0, le=1)
    """Share of time that it was there, over 30 days or else 24 hours."""
    artifact_count: Count
    """How many files belong to it."""
    artifacts_path: str
    """Where the API lists them, with their addresses and checksums."""
    rejected: list[RejectedImage]
    """The others for the board: those of the wanted kind first, the last published before the ones before it."""
    remaining_rejected_count: Count
    """How many more of them there are."""


def resolved_image(wish: Wish, found: Resolution, chosen: Chosen, base: str) -> dict[str, Any]:
    """Return the answer, as JSON.

    Parameters
    ----------
    wish
        What was wanted.
    found, chosen
        What it came to.
    base
        What the paths of the API's calls begin with.
    """
    candidate, platform = chosen.candidate, chosen.platform
    path = f"{base}/images/{quote(candidate.name)}/artifacts?{urlencode({'namespace': candidate.namespace})}"
    document = {
        "reference": chosen.reference,
        "platformDigest": platform.digest,
        "indexDigest": chosen.index_digest,
        "name": candidate.name,
        "namespace": candidate.namespace,
        "registryUrl": candidate.registry_url,
        "target": wish.target,
        "architecture": platform.architecture,
        "os": platform.os,
        "variant": platform.variant,
        "distro": candidate.distro,
        "distroVersion": candidate.distro_version,
        "buildMode": candidate.build_mode,
        "bootcCapable": candidate.bootc_capable,
        "tags": sorted(candidate.tags),
        "sizeBytes": platform.size_bytes,
        "publishedAt": candidate.published,
        "verified": wish.target in candidate.verified,
        "tested": wish.target in candidate.tested,
        "availability": candidate.availability,
        "artifactCount": candidate.artifacts,
        "artifactsPath": path,
        **losers_of(found),
    }
    return {key: value for key, value in document.items() if value is not None}


def losers_of(found: Resolution) -> dict[str, Any]:
    """Return the others, and how many more there are, as JSON."""
    return {
        "rejected": [_rejected(each) for each in found.rejected],
        "remainingRejectedCount": found.remaining,
    }


def why_none(wish: Wish, found: Resolution, boards: Sequence[str] = ()) -> str:
    """Return why nothing fits, as a sentence for people.

    Parameters
    ----------
    wish
        What was wanted.
    found
        What it came to.
    boards
        Boards that may have been meant, where there is no image for the wanted one.
    """
    where = "in any namespace" if wish.namespace is None else f"in namespace {wish.namespace}"
    total = len(found.rejected) + found.remaining
    if not total:
        nearest = f"; boards that there are images for: {', '.join(boards)}" if boards else ""
        return f"there is no image for {wish.target} {where}{nearest}"
    counts: dict[str, int] = {}
    for each in found.rejected:
        counts[each.loss.reason] = counts.get(each.loss.reason, 0) + 1
    told = ", ".join(f"{reason} {count}" for reason, count in counts.items())
    images = "the one image" if total == 1 else f"none of the {total} images"
    fits = "does not fit" if total == 1 else "fits"
    more = f", {found.remaining} not looked at" if found.remaining else ""
    return f"{images} for {wish.target} {where} {fits}: {told}{more}"


def _rejected(each: Rejected) -> dict[str, Any]:
    candidate, (reason, message) = each.candidate, each.loss
    document = {
        "name": candidate.name,
        "namespace": candidate.namespace,
        "reason": reason,
        "message": message,
    }
    if candidate.digest is not None:
        document["digest"] = candidate.digest
    if candidate.published is not None:
        document["publishedAt"] = candidate.published
    return document
