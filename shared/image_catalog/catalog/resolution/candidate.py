"""What the choice of an image goes by, of one entry: read once from its object as JSON gave it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import Any

from pydantic import ValidationError

from image_catalog.catalog.held import Held
from image_catalog.catalog.index.values import publication_of
from image_catalog.catalog.inputs import verified_inputs
from image_catalog.catalog.plain import count, objects, part, text, texts
from image_catalog.models import CatalogImageSpec, Phase, Reference, format_time, normalise_architecture, parse_time

__all__ = ["Candidate", "PlatformImage", "RecallNote", "Standing", "read_recalls"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformImage:
    """One image that a board can run: of an index one of its platforms, else what the reference itself names.

    Attributes
    ----------
    digest
        Digest of its manifest.
    architecture
        By its OCI name; `None` when nobody knows it.
    os, variant
        By their OCI names.
    size_bytes
        Config and layers.
    """

    digest: str
    architecture: str | None
    os: str = "linux"
    variant: str | None = None
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallNote:
    """Somebody said that a content must not be used any more.

    Attributes
    ----------
    digest
        The content.
    message
        Why, by whom and when, as a sentence for people.
    """

    digest: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Whether an entry's image can be had.

    Attributes
    ----------
    phase
        Where the entry stands in its life.
    reason, message
        Why it is there.
    checked
        Whether the registry was asked about what the entry stands for now.
    leaving
        Whether the entry is being removed.
    """

    phase: str
    reason: str
    message: str
    checked: bool
    leaving: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An entry that is for a board, as far as the choice goes by it.

    Attributes
    ----------
    namespace, name
        The entry.
    registry_url
        Its reference as written.
    repository
        Registry and repository of the reference; `None` when it cannot be read.
    distro, distro_version, build_mode, bootc_capable, tags, targets
        What holds of the image, as lists of the catalog have it.
    architectures
        By their OCI names, the declared one first.
    architecture, os, variant
        The platform that a person declared it to be of.
    standing
        Whether it can be had.
    pin
        Digest that it shall have; `None` when it follows its tag.
    digest
        Digest that its reference was found to have.
    is_index
        Whether that is an index's.
    platforms
        The platforms of the index, or else the one image; none while the digest is not known.
    recalls
        What its own status says of recalled contents.
    verified
        Boards that its content is known to work on: by the last test, or by a person's word of this content.
    tested
        Boards that there is evidence of.
    availability
        Share of time that it was there, over 30 days or else 24 hours; `None` when unknown.
    published_at, published
        When it was published, or else made; and as it is written.
    rank
        The same as a number that also orders what was published within one second; the greatest is the newest.
    artifacts
        How many files belong to it.
    """

    namespace: str
    name: str
    registry_url: str
    repository: str | None
    distro: str | None
    distro_version: str | None
    build_mode: str | None
    bootc_capable: bool | None
    tags: frozenset[str]
    targets: tuple[str, ...]
    architectures: tuple[str, ...]
    architecture: str | None
    os: str
    variant: str | None
    standing: Standing
    pin: str | None
    digest: str | None
    is_index: bool
    platforms: tuple[PlatformImage, ...]
    recalls: tuple[RecallNote, ...]
    verified: frozenset[str]
    tested: frozenset[str]
    availability: float | None
    published_at: datetime | None
    published: str | None
    rank: int | None
    artifacts: int

    @property
    def order(self) -> tuple[float, str, str]:
        """Where it stands among all: what was published last comes first, and no two stand in one place."""
        return (inf if self.rank is None else -self.rank, self.namespace, self.name)

    @classmethod
    def of_object(cls, obj: Mapping[str, Any]) -> Candidate:
        """Read an entry's object.

        Parameters
        ----------
        obj
            The object as JSON gave it. What is missing, or is not what the
            schema says, is unknown.
        """
        metadata, spec, status = part(obj, "metadata"), part(obj, "spec"), part(obj, "status")
        said, registry = part(spec, "metadata"), part(status, "registryMetadata")
        held = Held.of_object(obj)
        declared, url = text(said, "architecture"), text(spec, "registryUrl") or ""
        boards = {name: target for target in objects(status.get("targets")) if (name := text(target, "name"))}
        variants = tuple(_variants(registry))
        published = _time(text(status, "publishedAt") or text(metadata, "creationTimestamp"))
        return cls(
            namespace=text(metadata, "namespace") or "",
            name=text(metadata, "name") or "",
            registry_url=url,
            repository=_repository(url),
            distro=held.distro,
            distro_version=text(said, "distroVersion"),
            build_mode=text(said, "buildMode"),
            bootc_capable=held.bootc_capable,
            tags=frozenset(texts(spec.get("tags"))),
            targets=held.targets,
            architectures=held.architectures,
            architecture=normalise_architecture(declared) if declared else None,
            os=text(said, "os") or "linux",
            variant=text(said, "variant"),
            standing=_standing(metadata, spec, status),
            pin=text(spec, "digest"),
            digest=text(registry, "resolvedDigest"),
            is_index=bool(variants),
            platforms=variants or tuple(_image(registry, held)),
            recalls=tuple(read_recalls(obj)),
            verified=frozenset(name for name, board in boards.items() if board.get("verified") is True),
            tested=frozenset(name for name, board in boards.items() if board.get("tested") is True),
            availability=_availability(part(status, "availability")),
            published_at=published,
            published=None if published is None else format_time(published),
            rank=publication_of(metadata, status),
            artifacts=sum(1 for _ in objects(status.get("artifactRefs"))),
        )


def read_recalls(obj: Mapping[str, Any]) -> Iterator[RecallNote]:
    """Return what an entry's status says of recalled contents.

    Parameters
    ----------
    obj
        The object as JSON gave it.
    """
    for recall in objects(part(obj, "status").get("recalls")):
        if digest := text(recall, "digest"):
            entry = "/".join(filter(None, (text(recall, "namespace"), text(recall, "name"))))
            told = (("by", text(recall, "recalledBy")), ("at", entry), ("on", text(recall, "recalledAt")))
            where = " ".join(f"{word} {value}" for word, value in told if value)
            why = text(recall, "reason") or "nobody said why"
            message = f"recalled {where}: {why}" if where else f"recalled: {why}"
            yield RecallNote(digest=digest, message=message)
            for platform in texts(recall.get("parts")):
                yield RecallNote(digest=platform, message=f"{message} (with all of {digest})")


def _standing(metadata: Mapping[str, Any], spec: Mapping[str, Any], status: Mapping[str, Any]) -> Standing:
    available: Mapping[str, Any] = next(
        (each for each in objects(status.get("conditions")) if each.get("type") == "Available"), {}
    )
    return Standing(
        phase=text(status, "phase") or Phase.PENDING.value,
        reason=text(available, "reason") or "",
        message=text(available, "message") or "",
        checked=_is_checked(metadata, spec, status),
        leaving=text(metadata, "deletionTimestamp") is not None,
    )


def _is_checked(metadata: Mapping[str, Any], spec: Mapping[str, Any], status: Mapping[str, Any]) -> bool:
    """Tell whether the status is about the spec as it is, in everything that a check depends on."""
    generation = metadata.get("generation")
    if generation is None or status.get("observedGeneration") == generation:
        return True
    try:
        return status.get("verifiedInputs") == verified_inputs(CatalogImageSpec.model_validate(spec))
    except ValidationError:
        return False


def _image(registry: Mapping[str, Any], held: Held) -> Iterator[PlatformImage]:
    if digest := text(registry, "resolvedDigest"):
        platform = part(registry, "platform")
        yield PlatformImage(
            digest=digest,
            architecture=held.architectures[0] if held.architectures else None,
            os=text(platform, "os") or "linux",
            variant=text(platform, "variant"),
            size_bytes=count(registry.get("sizeBytes")),
        )


def _variants(registry: Mapping[str, Any]) -> Iterator[PlatformImage]:
    for variant in objects(registry.get("platformVariants")):
        if digest := text(variant, "digest"):
            architecture = text(variant, "architecture")
            yield PlatformImage(
                digest=digest,
                architecture=normalise_architecture(architecture) if architecture else None,
                os=text(variant, "os") or "linux",
                variant=text(variant, "variant"),
                size_bytes=count(variant.get("sizeBytes")),
            )


def _repository(url: str) -> str | None:
    reference = Reference.try_parse(url)
    return reference.name if reference else None


def _availability(availability: Mapping[str, Any]) -> float | None:
    for period in ("last30d", "last24h"):
        share = availability.get(period)
        if isinstance(share, int | float) and not isinstance(share, bool):
            return float(share)
    return None


def _time(value: str | None) -> datetime | None:
    # By the second, as it is ordered: of one second none may be too old while an earlier built one is not.
    moment = parse_time(value)
    return moment.replace(microsecond=0) if isinstance(moment, datetime) else None
