"""What a look into a registry brought to light."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from image_catalog.models.reference import Reference
from image_catalog.registry.manifests import Platform

__all__ = ["ArtifactLayer", "Facts", "Inspection", "PlatformVariant"]

_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformVariant:
    """One platform's image in an index.

    Attributes
    ----------
    platform
        What it runs on, as its configuration says, else as the index says.
    digest
        The child manifest's digest.
    size_bytes
        Configuration and layers by the child's own manifest; `None` if that is missing.
    layer_count
        Number of layers; `None` if the child is missing.
    """

    platform: Platform
    digest: str
    size_bytes: int | None
    layer_count: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactLayer:
    """A file that an artifact is made of.

    Attributes
    ----------
    name
        Title of the file. A text to show, never a path (GHSA-8xwf-rjm4-xvhv).
    media_type
        Media type of the layer.
    format
        ``raw``, ``qcow2``, ``simg``, with ``+gzip``, ``+lz4`` or ``+xz`` where
        it is packed; `None` for what is no disk image.
    digest
        Digest of the packed file, as stored.
    size_bytes
        Its size.
    partition
        The partition that it is for.
    decompressed_size_bytes
        Size of the unpacked file, as its builder said.
    url
        Where the registry serves it, to whoever may pull.
    """

    name: str | None
    media_type: str
    format: str | None
    digest: str
    size_bytes: int
    partition: str | None = None
    decompressed_size_bytes: int | None = None
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a digest says: it stays true for as long as there are copies.

    Attributes
    ----------
    media_type
        Of the manifest or index itself.
    artifact_type
        What the artifact is; `None` for a container image.
    size_bytes
        Configuration and layers; for an index the sum over its platforms.
    layer_count
        Number of layers; `None` for more than one platform.
    platform
        Of an image, or of an index's only platform.
    created_at
        When it was built; for an index its newest platform's time.
    is_multi_arch
        Whether it has more than one platform.
    platform_variants
        The platforms of an index.
    annotations
        Annotations that the catalog uses; for an index also what all its
        platforms agree on.
    labels
        Labels that the catalog uses; for an index what all its platforms agree on.
    artifacts
        The files of an artifact.
    manifests
        Digests of an index's platform manifests.
    blobs
        Digests of every configuration and layer, in order, each once.
    warnings
        What is odd about it, one sentence each.
    """

    media_type: str | None = None
    artifact_type: str | None = None
    size_bytes: int | None = None
    layer_count: int | None = None
    platform: Platform | None = None
    created_at: datetime | None = None
    is_multi_arch: bool = False
    platform_variants: tuple[PlatformVariant, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    labels: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    artifacts: tuple[ArtifactLayer, ...] = ()
    manifests: tuple[str, ...] = ()
    blobs: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection(Facts):
    """The answer to "is this image there, and what is it?".

    Attributes
    ----------
    reference
        What was asked for.
    resolved_digest
        Digest of what is there: the index's, for an index.
    unchanged
        Whether that is the digest that was known. Then the facts are only
        filled in where they were at hand; what the status holds is still true.
    complete
        Whether everything that the facts are made of could be read. Facts
        that are not complete must not replace facts that were.
    missing
        Digests that the manifest names and the registry does not have.
    deep
        Whether every blob was asked for.
    requests
        Requests that it took.
    """

    reference: Reference
    resolved_digest: str
    unchanged: bool = False
    complete: bool = True
    missing: tuple[str, ...] = ()
    deep: bool = False
    requests: int = 0
