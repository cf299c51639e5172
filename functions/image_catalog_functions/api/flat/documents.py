"""The flat form's documents, with the JSON types that a Go program reads them into."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

__all__ = ["FlatArtifact", "FlatImage", "FlatImageList", "FlatTarget", "FlatVariant", "FlatVerification"]

_Bytes = Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})]


class _Document(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class FlatTarget(_Document):
    """A board that an image is for."""

    name: str
    """Name of the board."""
    verified: bool = False
    """Whether the last test of the image on it passed; what somebody said of a board that was never tested."""
    notes: str | None = None
    """What somebody noted about it."""


class FlatArtifact(_Document):
    """A file that belongs to an image."""

    type: str
    """What it is."""
    url: str
    """Where it is downloaded from."""
    digest: str | None = None
    """Its SHA-256."""
    size_bytes: _Bytes | None = None
    """Its size in bytes."""
    format: str | None = None
    """Its format, `qcow2` for example."""


class FlatVariant(_Document):
    """One platform of a multi-arch image."""

    architecture: str | None = None
    """Processor architecture."""
    os: str | None = None
    """Operating system."""
    variant: str | None = None
    """Variant of the architecture."""
    digest: str | None = None
    """Digest of the platform's own manifest."""
    size_bytes: _Bytes | None = None
    """Its size in bytes."""


class FlatImage(_Document):
    """An entry in one level; what has no value is absent."""

    name: str
    """Name of the entry."""
    namespace: str
    """Namespace of the entry."""
    registry_url: str
    """Reference of the image."""
    digest: str | None = None
    """Digest that the entry is pinned to, else the one that was found."""
    tags: list[str] | None = None
    """Words to find the image by."""
    phase: str
    """Where the entry stands in its life; `Pending` before it was looked at."""
    architecture: str | None = None
    """Processor architecture; every one of a multi-arch image, with commas between them."""
    distro: str | None = None
    """Distribution."""
    distro_version: str | None = None
    """Version of the distribution."""
    targets: list[FlatTarget] | None = None
    """Boards that the image is for."""
    bootc: bool
    """Whether bootc can run the image."""
    size_bytes: _Bytes | None = None
    """Size in bytes."""
    layer_count: _Bytes | None = None
    """Layers."""
    last_verified: datetime | None = None
    """When the registry was last asked and answered."""
    published_at: datetime | None = None
    """When the current version was published."""
    created_at: datetime
    """When the entry was made."""
    source_image_build: str | None = None
    """Name of the ImageBuild that made the image."""
    source_type: str | None = None
    """Where the entry comes from."""
    schedule_name: str | None = None
    """Schedule that made the image's build."""
    build_mode: str | None = None
    """How automotive-image-builder built the image."""
    export_format: str | None = None
    """Format of the disk image."""
    labels: dict[str, str] | None = None
    """Labels of the entry."""
    artifact_refs: list[FlatArtifact] | None = None
    """Files that belong to the image."""
    download_url: str | None = None
    """Where the first file is downloaded from, else the reference."""
    is_multi_arch: bool | None = None
    """Whether the image has several platforms."""
    platform_variants: list[FlatVariant] | None = None
    """The platforms of a multi-arch image."""
    access_count: _Bytes | None = None
    """How often the entry was shown."""
    recalled: bool | None = None
    """True for an image whose content must not be used any more; absent otherwise."""
    status_reason: str | None = None
    """Why it is in its phase, or `Recalled`, for programs."""
    status_message: str | None = None
    """Why it is in its phase, or was recalled, for people."""


class FlatImageList(_Document):
    """A page of entries."""

    items: list[FlatImage]
    """The entries."""
    total: int
    """All that match, on this page and every other."""
    continue_: str | None = Field(None, alias="continue")
    """For the next page; absent on the last one."""


class FlatVerification(_Document):
    """What became of a request to verify."""

    message: str
    """What was found, as a sentence for people."""
    triggered: bool
    """That the registry was asked now."""
