"""From manifests and configurations to what the catalog shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from image_catalog.models.names import GROUP
from image_catalog.registry.documents import read_object, texts
from image_catalog.registry.inspection import ArtifactLayer, Facts, PlatformVariant
from image_catalog.registry.limits import ARTIFACTS, KEPT_BYTES, KEPT_KEY, KEPT_TEXTS, PLATFORM_TEXT
from image_catalog.registry.manifests import Descriptor, ImageManifest, Index, Platform, read_platform
from image_catalog.registry.media_types import EMPTY_CONFIG, IMAGE_CONFIGS

__all__ = ["Child", "Configuration", "image_facts", "index_facts", "read_configuration"]

_KEPT_PREFIXES = (
    f"{GROUP}/",
    "com.redhat.automotive.",
    "org.opencontainers.image.created",
    "org.opencontainers.image.source",
    "org.opencontainers.image.version",
    "containers.bootc",
    "ostree.bootable",
)
"""What of annotations and labels says something about an automotive image; base images bring many others."""

_DISK_PREFIX = "application/vnd.automotive.disk."
_TITLE = "org.opencontainers.image.title"
_CREATED = "org.opencontainers.image.created"
_UNKNOWN_PLATFORM = Platform("unknown", "unknown")
_YEAR_ONE = 1
_NOTHING: tuple[Any, ...] = (None, "")
"""How builders leave a field out: absent, null, or the empty text that Go writes for none."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """What the catalog reads of an image's configuration.

    Attributes
    ----------
    platform
        What the image runs on.
    created_at
        When it was built; `None` where a reproducible build leaves it out.
    labels
        Labels that the catalog uses.
    absent
        Fields without which no engine runs it, and which it does not have.
    unreadable
        Fields that are there and make no sense.
    """

    platform: Platform | None
    created_at: datetime | None
    labels: Mapping[str, str]
    absent: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()

    @property
    def complaints(self) -> tuple[str, ...]:
        """What is wrong with it, as the ends of sentences."""
        absent = (f"has no {', '.join(self.absent)}",) if self.absent else ()
        unreadable = (f"has what cannot be read in {', '.join(self.unreadable)}",) if self.unreadable else ()
        return absent + unreadable


@dataclass(frozen=True, slots=True)
class Child:
    """A platform of an index, as far as it could be read.

    Attributes
    ----------
    descriptor
        The index's entry.
    manifest
        The child manifest; `None` if the registry does not have it.
    facts
        Its facts; `None` likewise.
    """

    descriptor: Descriptor
    manifest: ImageManifest | None = None
    facts: Facts | None = None


def read_configuration(body: bytes, subject: str) -> Configuration:
    """Read an image's configuration.

    Parameters
    ----------
    body
        The blob, within its size limit and checked against its digest.
    subject
        What it is, for messages.

    Raises
    ------
    ManifestInvalidError
        Raised if it is no JSON object that can be trusted.
    """
    document = read_object(body, subject)
    inner = document.get("config")
    labels = inner.get("Labels") if isinstance(inner, dict) else None
    return Configuration(
        read_platform(document),
        _read_time(document.get("created")),
        _kept(texts(labels)),
        absent=tuple(name for name in ("architecture", "os") if document.get(name) in _NOTHING),
        unreadable=tuple(_unreadable(document, inner, labels)),
    )


def _unreadable(document: Mapping[str, Any], inner: Any, labels: Any) -> Iterator[str]:
    """Name the fields of a configuration that are there and make no sense; others are none of ours."""
    for name in ("architecture", "os", "variant"):
        value = document.get(name)
        is_name = isinstance(value, str) and len(value) <= PLATFORM_TEXT and value.isprintable()
        if value not in _NOTHING and not is_name:
            yield name
    created = document.get("created")
    if created not in _NOTHING and _parse_time(created) is None:
        yield "created"
    if inner is not None and not isinstance(inner, dict):
        yield "config"
    if labels is not None and not (isinstance(labels, dict) and all(isinstance(v, str) for v in labels.values())):
        yield "config.Labels"


def image_facts(manifest: ImageManifest, configuration: Configuration | None) -> Facts:
    """Return what a manifest says of an image or an artifact.

    Parameters
    ----------
    manifest
        The manifest.
    configuration
        Its configuration; `None` for an artifact, or where it is missing.
    """
    annotations = _kept(manifest.annotations)
    created = (configuration.created_at if configuration else None) or _read_time(annotations.get(_CREATED))
    is_image = manifest.config.media_type in IMAGE_CONFIGS
    config = () if manifest.config.media_type == EMPTY_CONFIG else (manifest.config.digest,)
    content = [layer for layer in manifest.layers if layer.media_type != EMPTY_CONFIG]
    files = [layer for layer in content if not is_image or layer.media_type.startswith(_DISK_PREFIX)]
    complaints = configuration.complaints if configuration else ()
    return Facts(
        media_type=manifest.media_type,
        artifact_type=manifest.artifact_type,
        size_bytes=manifest.size_bytes,
        layer_count=len(manifest.layers),
        platform=configuration.platform if configuration else None,
        created_at=created,
        annotations=annotations,
        labels=configuration.labels if configuration else {},
        artifacts=tuple(_artifact(layer) for layer in files[:ARTIFACTS]),
        blobs=_each_once([*config, *(layer.digest for layer in content)]),
        warnings=(
            *(f"the configuration {manifest.config.digest} {complaint}" for complaint in complaints),
            *((f"it has {len(files)} files; the first {ARTIFACTS} are shown",) if len(files) > ARTIFACTS else ()),
        ),
    )


def index_facts(index: Index, children: Sequence[Child]) -> Facts:
    """Return what an index says of its platforms together.

    Parameters
    ----------
    index
        The index.
    children
        Its platforms, without attestations.
    """
    variants = _variants(children)
    # One manifest may stand for two platforms; its bytes are there once.
    distinct = {child.descriptor.digest: child.facts for child in children if child.facts is not None}
    facts = list(distinct.values())
    single = variants[0] if len(variants) == 1 else None
    annotations = {**_agreed(fact.annotations for fact in facts), **_kept(index.annotations)}
    newest = max((fact.created_at for fact in facts if fact.created_at), default=None)
    types = {fact.artifact_type for fact in facts}
    return Facts(
        media_type=index.media_type,
        artifact_type=index.artifact_type or (types.pop() if len(types) == 1 else None),
        size_bytes=sum(fact.size_bytes or 0 for fact in facts) if facts else None,
        layer_count=single.layer_count if single else None,
        platform=single.platform if single else None,
        created_at=newest or _read_time(annotations.get(_CREATED)),
        is_multi_arch=len(variants) > 1,
        platform_variants=variants,
        annotations=annotations,
        labels=_agreed(fact.labels for fact in facts),
        artifacts=tuple(dict.fromkeys(layer for fact in facts for layer in fact.artifacts))[:ARTIFACTS],
        manifests=_each_once(child.descriptor.digest for child in children),
        blobs=_each_once(blob for fact in facts for blob in fact.blobs),
        warnings=_each_once(
            [
                *(() if children else ("the index names no image",)),
                *_disagreements(children),
                *(warning for fact in facts for warning in fact.warnings),
            ]
        ),
    )


def _variants(children: Sequence[Child]) -> tuple[PlatformVariant, ...]:
    variants: dict[tuple[Platform, str], PlatformVariant] = {}
    for child in children:
        said = child.descriptor.platform
        read = child.facts.platform if child.facts else None
        # An index may know more than a configuration (the variant, mostly), but
        # what it knows as "unknown" it does not know.
        platform = said if said and said.is_known else read or said or _UNKNOWN_PLATFORM
        variant = PlatformVariant(
            platform=platform,
            digest=child.descriptor.digest,
            size_bytes=child.facts.size_bytes if child.facts else None,
            layer_count=child.facts.layer_count if child.facts else None,
        )
        variants.setdefault((platform, variant.digest), variant)
    return tuple(variants.values())


def _disagreements(children: Sequence[Child]) -> tuple[str, ...]:
    warnings = []
    for child in children:
        said, read = child.descriptor.platform, child.facts.platform if child.facts else None
        if said and read and said.is_known and (said.architecture, said.os) != (read.architecture, read.os):
            warnings.append(f"the index says {said} of {child.descriptor.digest}, its configuration says {read}")
    return tuple(warnings)


def _artifact(layer: Descriptor) -> ArtifactLayer:
    notes = layer.annotations
    size = notes.get(f"{GROUP}/decompressed-size", "")
    disk = layer.media_type.startswith(_DISK_PREFIX)
    return ArtifactLayer(
        name=_shown(notes.get(_TITLE, "")),
        media_type=layer.media_type,
        format=layer.media_type.removeprefix(_DISK_PREFIX) if disk else None,
        digest=layer.digest,
        size_bytes=layer.size,
        partition=_shown(notes.get(f"{GROUP}/partition", "")),
        decompressed_size_bytes=int(size) if size.isascii() and size.isdigit() and len(size) < 19 else None,  # noqa: PLR2004 (int64)
    )


def _shown(name: str) -> str | None:
    """Return a name as people are shown it, without what a terminal would obey."""
    return "".join(character for character in name[:KEPT_KEY] if character.isprintable()) or None


def _agreed(maps: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return the entries that are in every map with the same value."""
    first, *others = list(maps) or [{}]
    return {key: value for key, value in first.items() if all(other.get(key) == value for other in others)}


def _kept(entries: Mapping[str, str]) -> dict[str, str]:
    kept: dict[str, str] = {}
    room = KEPT_BYTES
    for key, value in entries.items():
        if key.startswith(_KEPT_PREFIXES) and len(key) <= KEPT_KEY and len(kept) < KEPT_TEXTS:
            room -= len(orjson.dumps({key: value}))
            if room < 0:
                break
            kept[key] = value
    return kept


def _each_once(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))


def _read_time(value: Any) -> datetime | None:
    """Read a time; Go's zero time means that there is none."""
    moment = _parse_time(value)
    return None if moment is None or moment.year == _YEAR_ONE else moment


def _parse_time(value: Any) -> datetime | None:
    """Read an RFC 3339 time; `None` for anything else."""
    if not isinstance(value, str) or not value.isascii():
        return None
    try:
        moment = datetime.fromisoformat(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
