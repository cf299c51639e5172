"""What a person, a build and the registry say about one image, brought together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from image_catalog.models import (
    CatalogImage,
    CatalogMetadata,
    ImageBuild,
    Platform,
    PlatformVariant,
    normalise_architecture,
)
from image_catalog.models.names import GROUP

__all__ = [
    "Conflict",
    "RegistryFacts",
    "build_metadata",
    "conflicts",
    "describe_conflicts",
    "merge_metadata",
    "published_metadata",
]

# What the API server fills in when nobody says anything; a person may have meant it, but has not said so.
_DEFAULTS = {"os": "linux"}
_TARGET_DEFAULTS = {"verified": False}

_ANNOTATION_FIELDS = {
    "distro": (f"{GROUP}/distro", "com.redhat.automotive.distro"),
    "target": (f"{GROUP}/target", "com.redhat.automotive.target"),
    "architecture": (f"{GROUP}/arch",),
    "bootcCapable": ("com.redhat.automotive.bootc-capable",),
    "exportFormat": (f"{GROUP}/export-format",),
}


@dataclass(frozen=True, slots=True)
class Conflict:
    """One field of which a person and the registry say different things."""

    field: str
    given: str
    found: str


@dataclass(frozen=True, slots=True)
class RegistryFacts:
    """What the registry says about an image, in the words of `CatalogMetadata`.

    Attributes
    ----------
    platforms
        Architectures by their OCI names; more than one for a multi-arch image.
    annotations
        The automotive annotations.
    systems
        Operating systems of the platforms.
    variants
        Variants of the platforms' architectures, where they name one.
    """

    platforms: tuple[str, ...]
    annotations: Mapping[str, str]
    systems: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()

    def annotated(self, field: str) -> str | None:
        """Return what the annotations say about a field."""
        return next((self.annotations[key] for key in _ANNOTATION_FIELDS[field] if self.annotations.get(key)), None)

    @classmethod
    def of(cls, image: CatalogImage) -> RegistryFacts:
        """Read the facts from an entry's status."""
        registry = image.status.registry_metadata
        if registry is None:
            return cls((), {})
        platforms: list[PlatformVariant] | list[Platform] = registry.platform_variants
        if not platforms and registry.platform is not None:
            platforms = [registry.platform]
        return cls(
            _distinct(platform.architecture for platform in platforms),
            registry.annotations,
            _distinct(platform.os for platform in platforms),
            _distinct(platform.variant for platform in platforms),
        )


def build_metadata(build: ImageBuild) -> dict[str, Any]:
    """Return what a build says about its image, as `CatalogMetadata` stands on the wire.

    What the field's schema cannot hold is left out: an odd architecture in a
    build must not keep its image out of the catalog.
    """
    candidate = {
        "architecture": build.architecture,
        "distro": build.distro,
        "targets": [{"name": build.target}] if build.target else None,
        "buildMode": build.mode,
        "bootcCapable": True if build.mode == "bootc" else None,
        "exportFormat": build.export_format,
    }
    return _keep_valid(candidate)


def published_metadata(said: Mapping[str, Any], facts: RegistryFacts) -> dict[str, Any]:
    """Return what a publication says: the wish's own word, and the registry's where it has none."""
    return {**_keep_valid(_registry_says(facts)), **_one_name(said)}


def merge_metadata(
    current: CatalogMetadata | None, published: Mapping[str, Any], *, last: Mapping[str, Any]
) -> dict[str, Any]:
    """Merge a publication's metadata into an entry's, three ways.

    A field that still has the value of the last publication follows the new
    one. A field that differs was changed by a person and is kept, and nothing
    is ever blanked.

    Parameters
    ----------
    current
        The entry's metadata; `None` for a new entry.
    published
        What the new publication says, as `published_metadata` gives it.
    last
        What the last publication said.

    Returns
    -------
    dict
        The metadata to write, as it stands on the wire.
    """
    have, last = (current.to_dict() if current else {}), _one_name(last)
    targets = _merge_targets(have.get("targets", []), published.get("targets", []), last.get("targets", []))
    published = {field: value for field, value in published.items() if field != "targets"}
    if "bootc" in have and "bootcCapable" not in have:
        # Under the name that the person chose: the API server refuses two that differ.
        published = {"bootc" if field == "bootcCapable" else field: value for field, value in published.items()}
        last["bootc"] = last.get("bootcCapable")
    return have | _following(have, published, last, _DEFAULTS) | ({"targets": targets} if targets else {})


def conflicts(image: CatalogImage) -> list[Conflict]:
    """Return where the person's word and the registry's disagree."""
    metadata, facts = image.spec.metadata, RegistryFacts.of(image)
    if metadata is None:
        return []
    return [
        Conflict(field, ", ".join(given), ", ".join(found))
        for field, given, found in _both_words(metadata, facts)
        if given and found and _compared(field, given).isdisjoint(_compared(field, found))
    ]


def describe_conflicts(found: Iterable[Conflict]) -> str:
    """Return where the two disagree, and what either says, as one sentence."""
    return "; ".join(f"{conflict.field} is {conflict.given}, the registry says {conflict.found}" for conflict in found)


def _both_words(
    metadata: CatalogMetadata, facts: RegistryFacts
) -> Iterator[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """Yield each field that both speak of, with what either says: one word or several, none for nothing."""
    flag = metadata.is_bootc_capable
    bootc = facts.annotated("bootcCapable")
    yield "architecture", _distinct([metadata.architecture]), facts.platforms or _said(facts, "architecture")
    # What the API server fills in is nobody's word.
    yield "os", _distinct([metadata.os if metadata.os != _DEFAULTS["os"] else None]), facts.systems
    yield "variant", _distinct([metadata.variant]), facts.variants
    yield "distro", _distinct([metadata.distro]), _said(facts, "distro")
    yield "targets", _distinct(target.name for target in metadata.targets), _said(facts, "target")
    yield (
        "bootcCapable",
        () if flag is None else (str(flag).lower(),),
        (bootc,) if bootc in {"true", "false"} else (),
    )
    yield "exportFormat", _distinct([metadata.export_format]), _said(facts, "exportFormat")


def _compared(field: str, words: Iterable[str]) -> set[str]:
    return {normalise_architecture(word) if field == "architecture" else word for word in words}


def _said(facts: RegistryFacts, field: str) -> tuple[str, ...]:
    return _distinct([facts.annotated(field)])


def _distinct(words: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for word in words if word))


def _registry_says(facts: RegistryFacts) -> dict[str, Any]:
    target, bootc = facts.annotated("target"), facts.annotated("bootcCapable")
    architecture = facts.platforms[0] if len(facts.platforms) == 1 else facts.annotated("architecture")
    return {
        "architecture": architecture,
        "os": facts.systems[0] if len(facts.systems) == 1 else None,
        "variant": facts.variants[0] if len(facts.variants) == 1 else None,
        "distro": facts.annotated("distro"),
        "targets": [{"name": target}] if target else None,
        "bootcCapable": bootc == "true" if bootc in {"true", "false"} else None,
        "exportFormat": facts.annotated("exportFormat"),
    }


def _one_name(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return metadata with ``bootc`` under its other name, ``bootcCapable``."""
    named = {field: value for field, value in said.items() if field != "bootc"}
    if said.get("bootc") is not None:
        named.setdefault("bootcCapable", said["bootc"])
    return named


def _following(
    have: Mapping[str, Any], published: Mapping[str, Any], last: Mapping[str, Any], defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the published fields that nobody has touched since the last publication."""
    return {
        field: value
        for field, value in published.items()
        if value is not None and (field not in have or have[field] == last.get(field, defaults.get(field)))
    }


def _merge_targets(
    have: list[dict[str, Any]], published: list[dict[str, Any]], last: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Unite targets by name: published ones first, a person's kept, the last publication's dropped."""
    current, before = _by_name(have), _by_name(last)
    merged = {
        name: current.get(name, {}) | _following(current.get(name, {}), target, before.get(name, {}), _TARGET_DEFAULTS)
        for name, target in _by_name(published).items()
    }
    for name, target in current.items():
        dropped = bool(published) and name in before and target == _TARGET_DEFAULTS | before[name]
        if not dropped:
            merged.setdefault(name, target)
    return list(merged.values())


def _by_name(targets: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        target["name"]: {field: value for field, value in target.items() if value is not None} for target in targets
    }


def _keep_valid(candidate: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that the schema can hold."""
    kept: dict[str, Any] = {}
    for field, value in candidate.items():
        if value is None:
            continue
        try:
            CatalogMetadata.model_validate({field: value})
        except ValidationError:
            continue
        kept[field] = value
    return kept
