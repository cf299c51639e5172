"""What holds of an image where a person and the registry disagree: the one rule, for all who show or search.

The registry's word counts, unless the entry is marked with the override
annotation; then the person's does. Labels, tables, the index and today's flat
form all go by it, so that none of them contradicts another.

It is computed from plain JSON and builds no model: the API reads a list of
thousands in one go, and an object that breaks the schema must still be found.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from image_catalog.catalog.metadata import RegistryFacts
from image_catalog.catalog.plain import objects, part, text
from image_catalog.models import CatalogImage, CatalogImageStatus, EffectiveMetadata, normalise_architecture
from image_catalog.models.names import ANNOTATION_METADATA_OVERRIDE

__all__ = ["Held", "is_overridden", "with_effective_metadata"]

_MAX_ARCHITECTURES = 16
"""Architectures that an entry is found by; each is a label, and an index may name any number."""

_LABEL_VALUE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")


class Held(NamedTuple):
    """What holds true of an image.

    Attributes
    ----------
    architectures
        OCI names: every platform of a multi-arch image, the one that a person
        named first; exactly the person's word where it overrides.
    distro
        The distribution.
    targets
        Names of the boards that the image is for.
    bootc_capable
        Whether bootc can run it.
    export_format
        Format of the disk image.
    """

    architectures: tuple[str, ...]
    distro: str | None
    targets: tuple[str, ...]
    bootc_capable: bool | None
    export_format: str | None

    @classmethod
    def of(cls, said: Mapping[str, Any], facts: RegistryFacts, *, overridden: bool) -> Held:
        """Decide between two words.

        Parameters
        ----------
        said
            The entry's ``spec.metadata``.
        facts
            What the registry says.
        overridden
            Whether the person's word counts where there is one.
        """
        distro, bootc, export_format = text(said, "distro"), _flag(said), text(said, "exportFormat")
        targets = tuple(filter(None, (text(target, "name") for target in objects(said.get("targets")))))
        if facts.annotations:
            found = _word(facts.annotated("distro"))
            if found and not (distro and overridden):
                distro = found
            found = _word(facts.annotated("target"))
            if found and found not in targets and not (targets and overridden):
                targets = (found,)
            found = facts.annotated("bootcCapable")
            if found in {"true", "false"} and (bootc is None or not overridden):
                bootc = found == "true"
            found = facts.annotated("exportFormat")
            if found and not (export_format and overridden):
                export_format = found
        return cls(_architectures(said, facts, overridden=overridden), distro, targets, bootc, export_format)

    @classmethod
    def of_object(cls, obj: Mapping[str, Any]) -> Held:
        """Decide for an entry as JSON gave it."""
        registry = part(part(obj, "status"), "registryMetadata")
        facts = RegistryFacts(_platforms(registry), _annotations(registry))
        override = part(part(obj, "metadata"), "annotations").get(ANNOTATION_METADATA_OVERRIDE)
        return cls.of(part(part(obj, "spec"), "metadata"), facts, overridden=override == "true")

    @classmethod
    def of_image(cls, image: CatalogImage, facts: RegistryFacts | None = None) -> Held:
        """Decide for an entry.

        Parameters
        ----------
        image
            The entry.
        facts
            What the registry says; `None` goes by the entry's status.
        """
        said = image.spec.metadata.to_dict() if image.spec.metadata else {}
        return cls.of(said, facts or RegistryFacts.of(image), overridden=is_overridden(image))

    def to_status(self) -> EffectiveMetadata:
        """Return it as it stands in the entry's status."""
        return EffectiveMetadata(
            architecture=",".join(self.architectures) or None,
            distro=self.distro,
            targets=list(dict.fromkeys(self.targets)),
            bootc_capable=self.bootc_capable,
            export_format=self.export_format,
        )


def is_overridden(image: CatalogImage) -> bool:
    """Whether an entry is marked so that the person's word counts."""
    return image.metadata.annotations.get(ANNOTATION_METADATA_OVERRIDE) == "true"


def with_effective_metadata(image: CatalogImage, status: CatalogImageStatus) -> CatalogImageStatus:
    """Return an entry's next status, saying what holds of the image by it."""
    after = image.model_copy(update={"status": status})
    return status.model_copy(update={"effective_metadata": Held.of_image(after).to_status()})


def _architectures(said: Mapping[str, Any], facts: RegistryFacts, *, overridden: bool) -> tuple[str, ...]:
    """Return OCI names: every platform of a multi-arch image, whichever of them a person named."""
    given = text(said, "architecture")
    named = normalise_architecture(given) if given else None
    if named and overridden:
        return (named,)
    found = tuple(dict.fromkeys(normalise_architecture(word) for word in facts.platforms if _word(word)))
    if not found:
        noted = _word(facts.annotated("architecture")) if facts.annotations else None
        found = (normalise_architecture(noted),) if noted else ()
    if named and (named in found or not found):
        found = (named, *(word for word in found if word != named))
    return found[:_MAX_ARCHITECTURES]


def _platforms(registry: Mapping[str, Any]) -> tuple[str, ...]:
    variants = [text(variant, "architecture") for variant in objects(registry.get("platformVariants"))]
    named = variants or [text(part(registry, "platform"), "architecture")]
    return tuple(filter(None, named))


def _annotations(registry: Mapping[str, Any]) -> dict[str, str]:
    return {key: value for key, value in part(registry, "annotations").items() if isinstance(value, str)}


def _flag(said: Mapping[str, Any]) -> bool | None:
    for field in ("bootcCapable", "bootc"):
        value = said.get(field)
        if isinstance(value, bool):
            return value
    return None


@lru_cache(maxsize=1024)
def _word(found: str | None) -> str | None:
    """Return a registry's word; `None` for one that cannot be a label, which says nothing."""
    return found if found and _LABEL_VALUE.fullmatch(found) else None
