"""What refers to an image, as an entry's status keeps it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from image_catalog.models.kubernetes import KubernetesModel

__all__ = ["Referrer", "ReferrerKind"]


class ReferrerKind(StrEnum):
    """What a referrer is, as far as its type tells."""

    SIGNATURE = "signature"
    SBOM = "sbom"
    ATTESTATION = "attestation"
    OTHER = "other"


class Referrer(KubernetesModel):
    """A manifest that refers to the image; listed, not judged."""

    kind: ReferrerKind
    """What it is, as far as its type tells."""
    artifact_type: str | None = None
    """What it says that it is."""
    digest: str
    """Its own digest."""
    size_bytes: Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})] = 0
    """Size of its manifest, by the registry's word."""
