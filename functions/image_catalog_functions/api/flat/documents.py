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
    verified: bool = False
    notes: str | None = None


class FlatArtifact(_Document):
    """A file that belongs to an image."""

    type: str
    url: str
    digest: str | None = None
    size_bytes: _Bytes | None = None
    format: str | None = None


class FlatVariant(_Document):
    """One platform of a multi-arch image."""

    architecture: str | None = None
    os: str | None = None
    variant: str | None = None
    digest: str | None = None
    size_bytes: _Bytes | None = None


class FlatImage(_Document):
    """An entry in one level; what has no value is absent."""

    name: str
    namespace: str
    registry_url: str
    digest: str | None = None
    tags: list[str] | None = None
    phase: str
    architecture: str | None = None
    distro: str | None = None
    distro_version: str | None = None
    targets: list[FlatTarget] | None = None
    bootc: bool
    size_bytes: _Bytes | None = None
    layer_count: _Bytes | None = None
    last_verified: datetime | None = None
    published_at: datetime | None = None
    created_at: datetime
    source_image_build: str | None = None
    source_type: str | None = None
    schedule_name: str | None = None
    build_mode: str | None = None
    export_format: str | None = None
    labels: dict[str, str] | None = None
    artifact_refs: list[FlatArtifact] | None = None
    download_url: str | None = None
    is_multi_arch: bool | None = None
    platform_variants: list[FlatVariant] | None = None
    access_count: _Bytes | None = None
    status_reason: str | None = None
    status_message: str | None = None


class FlatImageList(_Document):
    """A page of entries."""

    items: list[FlatImage]
    total: int
    """All that match, on this page and every other."""
    continue_: str | None = Field(None, alias="continue")
    """For the next page; absent on the last one."""


class FlatVerification(_Document):
    """What became of a request to verify."""

    message: str
    triggered: bool
