"""Manifests and indexes: what the bytes say, or why they cannot be trusted to say anything."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from image_catalog.errors import DigestMismatchError, ManifestInvalidError
from image_catalog.models.reference import is_digest
from image_catalog.registry.documents import read_object, texts
from image_catalog.registry.limits import IMAGE_BYTES, INDEX_CHILDREN, LAYERS, PLATFORM_TEXT
from image_catalog.registry.media_types import (
    EMPTY_CONFIG,
    IMAGE_CONFIGS,
    IMAGE_MANIFESTS,
    INDEXES,
    OCI_INDEX,
    OCI_MANIFEST,
    OLD_MANIFESTS,
    essence,
)

__all__ = [
    "Descriptor",
    "ImageManifest",
    "Index",
    "Platform",
    "check_digest",
    "digest_of",
    "parse_manifest",
    "read_platform",
]

_SCHEMA_VERSION = 2
_LARGEST_SIZE = 2**63 - 1
_UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Platform:
    """What an image runs on, by its OCI names.

    Attributes
    ----------
    architecture
        ``amd64``, ``arm64`` and so on.
    os
        ``linux`` for nearly everything.
    variant
        ``v8`` for example.
    """

    architecture: str
    os: str
    variant: str | None = None

    @property
    def is_known(self) -> bool:
        """Whether it names a real platform; builders put ``unknown`` on what is none."""
        return self.architecture != _UNKNOWN and bool(self.architecture)

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A manifest's pointer to other content.

    Its ``urls`` and ``data`` are never read (CVE-2020-15157).

    Attributes
    ----------
    media_type
        What the content claims to be.
    digest
        The content's digest, checked for its form.
    size
        How large the content claims to be, in bytes; never used to allocate.
    platform
        The platform, in an index.
    artifact_type
        The artifact's type, in an index.
    annotations
        What else is said about it.
    """

    media_type: str
    digest: str
    size: int
    platform: Platform | None = None
    artifact_type: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_attestation(self) -> bool:
        """Whether BuildKit marked it as an attestation; the platform ``unknown`` alone says nothing."""
        return self.annotations.get("vnd.docker.reference.type") == "attestation-manifest"


@dataclass(frozen=True, slots=True)
class ImageManifest:
    """A manifest of one image or artifact.

    Attributes
    ----------
    media_type
        The manifest's own.
    artifact_type
        What the artifact is; `None` for a container image.
    config
        The configuration.
    layers
        The layers in their order.
    annotations
        The manifest's annotations.
    """

    media_type: str
    artifact_type: str | None
    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: Mapping[str, str]

    @property
    def size_bytes(self) -> int:
        """Configuration and layers, in bytes."""
        return self.config.size + sum(layer.size for layer in self.layers)

    @property
    def is_attestation(self) -> bool:
        """Whether its layers are in-toto statements and nothing else."""
        return bool(self.layers) and all(layer.media_type == "application/vnd.in-toto+json" for layer in self.layers)


@dataclass(frozen=True, slots=True)
class Index:
    """A list of manifests.

    Attributes
    ----------
    media_type
        The index's own.
    artifact_type
        What the whole is, if it says.
    children
        Its entries in their order, attestations included.
    annotations
        The index's annotations.
    """

    media_type: str
    artifact_type: str | None
    children: tuple[Descriptor, ...]
    annotations: Mapping[str, str]


def digest_of(body: bytes, *, like: str = "sha256:") -> str:
    """Compute the digest of bytes.

    Parameters
    ----------
    body
        The bytes as they came.
    like
        A digest whose algorithm is to be used, ``sha512`` or ``sha256``.
    """
    algorithm = "sha512" if like.startswith("sha512:") else "sha256"
    return f"{algorithm}:{hashlib.new(algorithm, body).hexdigest()}"


def check_digest(body: bytes, digest: str, subject: str) -> None:
    """Make sure that bytes are what was asked for.

    The answer's own ``Docker-Content-Digest`` is no proof (CVE-2025-24882).

    Parameters
    ----------
    body
        The bytes as they came.
    digest
        What was asked for.
    subject
        What it is, for messages.

    Raises
    ------
    DigestMismatchError
        Raised if they are something else.
    """
    found = digest_of(body, like=digest)
    if found != digest:
        raise DigestMismatchError(
            f"{subject}: asked for {digest}, but the registry sent {found}; its store, or a proxy before it, is broken"
        )


def parse_manifest(
    body: bytes, content_type: str | None, subject: str, *, children: int = INDEX_CHILDREN
) -> ImageManifest | Index:
    """Read a manifest or an index, whichever the bytes are.

    The body decides by its ``mediaType`` and its shape; both, and a
    ``Content-Type`` that names a manifest, must agree. Bytes that one client
    reads as an index and another as an image are refused (CVE-2021-41190).

    Parameters
    ----------
    body
        The bytes, within their size limit.
    content_type
        The answer's ``Content-Type``; missing and meaningless ones are common.
    subject
        What it is, for messages.
    children
        Most entries that an index may have.

    Raises
    ------
    ManifestInvalidError
        Raised if it is neither, or both, or not within the limits.
    """
    document = read_object(body, subject)
    header = essence(content_type)
    declared = document.get("mediaType", "")
    if not isinstance(declared, str):
        raise ManifestInvalidError(f"{subject} has a mediaType that is no text")
    declared = essence(declared)
    if {declared, header} & OLD_MANIFESTS or document.get("schemaVersion") == 1 or "fsLayers" in document:
        raise ManifestInvalidError(
            f"{subject} is in the old image format (Docker schema 1), which no engine reads any more; push it again "
            "with a current tool"
        )
    is_index, is_image = "manifests" in document, "config" in document or "layers" in document
    if is_index and is_image:
        raise ManifestInvalidError(f"{subject} is ambiguous: it is an index and an image manifest at once")
    types = INDEXES if is_index else IMAGE_MANIFESTS
    for found in (declared, header if header in INDEXES | IMAGE_MANIFESTS else ""):
        if found and found not in types:
            raise ManifestInvalidError(
                f"{subject} says {found[:100]!r} of itself, which it is not, or which is not known"
            )
    if not (is_index or is_image):
        told = repr(header[:100]) if header else "no type"
        raise ManifestInvalidError(f"{subject} is neither an image manifest nor an index ({told})")
    if document.get("schemaVersion") != _SCHEMA_VERSION:
        raise ManifestInvalidError(f"{subject} has a schemaVersion other than {_SCHEMA_VERSION}")
    media_type = declared or (header if header in types else OCI_INDEX if is_index else OCI_MANIFEST)
    if is_index:
        return _index(document, media_type, subject, children)
    return _image(document, media_type, subject)


def _index(document: dict[str, Any], media_type: str, subject: str, limit: int) -> Index:
    children = _descriptors(document["manifests"], "manifests", limit, subject)
    return Index(media_type, _text(document, "artifactType"), children, texts(document.get("annotations")))


def _image(document: dict[str, Any], media_type: str, subject: str) -> ImageManifest:
    config = _descriptor(document.get("config"), "config", subject)
    layers = _descriptors(document.get("layers"), "layers", LAYERS, subject)
    artifact_type = _text(document, "artifactType")
    if artifact_type is None and config.media_type not in IMAGE_CONFIGS | {EMPTY_CONFIG}:
        # Before artifactType existed, the type of the configuration stood for it.
        artifact_type = config.media_type
    manifest = ImageManifest(media_type, artifact_type, config, layers, texts(document.get("annotations")))
    if manifest.size_bytes > IMAGE_BYTES:
        raise ManifestInvalidError(
            f"{subject} claims {manifest.size_bytes} bytes of configuration and layers; nothing is larger than "
            f"{IMAGE_BYTES}"
        )
    return manifest


def _descriptors(value: Any, name: str, limit: int, subject: str) -> tuple[Descriptor, ...]:
    if value is None:
        # Go writes an empty list so.
        return ()
    if not isinstance(value, list):
        raise ManifestInvalidError(f"{subject} has {name} that are no list")
    if len(value) > limit:
        raise ManifestInvalidError(f"{subject} has {len(value)} {name}; at most {limit} are read")
    return tuple(_descriptor(item, f"{name}[{number}]", subject) for number, item in enumerate(value))


def _descriptor(value: Any, name: str, subject: str) -> Descriptor:
    if not isinstance(value, dict):
        raise ManifestInvalidError(f"{subject} has no {name} that can be read")
    digest, size = value.get("digest"), value.get("size")
    if not isinstance(digest, str) or not is_digest(digest):
        raise ManifestInvalidError(f"{subject} has a digest in {name} that is none")
    if type(size) is not int or not 0 <= size <= _LARGEST_SIZE:
        raise ManifestInvalidError(f"{subject} has a size in {name} that is none")
    return Descriptor(
        media_type=essence(_text(value, "mediaType")),
        digest=digest,
        size=size,
        platform=read_platform(value.get("platform")),
        artifact_type=_text(value, "artifactType"),
        annotations=texts(value.get("annotations")),
    )


def read_platform(value: Any) -> Platform | None:
    """Read a platform, or the fields of a configuration that name one.

    Parameters
    ----------
    value
        An object with ``architecture``, ``os`` and perhaps ``variant``.
    """
    if not isinstance(value, dict):
        return None
    architecture, os, variant = (_text(value, name) for name in ("architecture", "os", "variant"))
    if architecture is None or len(architecture) > PLATFORM_TEXT or len(os or "") > PLATFORM_TEXT:
        return None
    return Platform(architecture, os or _UNKNOWN, variant if len(variant or "") <= PLATFORM_TEXT else None)


def _text(value: Mapping[str, Any], name: str) -> str | None:
    found = value.get(name)
    # Control characters would reach terminals by way of messages, and have no place in any of these.
    is_name = isinstance(found, str) and found.isprintable() and 0 < len(found) <= 255  # noqa: PLR2004 (RFC 6838's limit)
    return found if is_name else None
