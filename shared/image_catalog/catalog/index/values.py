"""What an entry is found by: one pass over the object as JSON gave it.

No model is built: a list of thousands is read in one go when the API starts,
and an object that breaks the schema must still be found by what is readable
of it. Queries go by the registry's word where person and registry disagree,
as `image_catalog.catalog.metadata.effective_metadata` has it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from image_catalog.catalog.metadata import RegistryFacts
from image_catalog.errors import InvalidReferenceError
from image_catalog.models import Reference, normalise_architecture, parse_time
from image_catalog.models.names import ANNOTATION_METADATA_OVERRIDE, LABEL_SCHEDULE

__all__ = ["GroupKey", "Values", "canonical_url", "part", "read_values", "searchable", "term", "text"]

_SEPARATOR = "\0"
"""Stands between the texts that are searched, so that no match spans two of them."""
_NOTHING: Mapping[str, Any] = {}

_SECOND = 1_000_000
_OLDEST = _SECOND - 1
_RECENT = _SECOND // 2
"""Seconds up to which an age counts by the second, six days; then it counts by the minute, for most of a year."""


class GroupKey(NamedTuple):
    """What images are versions of one another by: a schedule, or else all the rest."""

    namespace: str
    schedule: str | None
    distro: str | None
    architecture: str | None
    target: str | None


class Values(NamedTuple):
    """What an entry is found and sorted by.

    Attributes
    ----------
    terms
        Everything that a filter can ask for, as `term` writes it.
    searched
        Name, URL and tags, as `searchable` writes them.
    published, verified
        Microseconds since 1970; `None` when unknown.
    size
        Bytes; `None` when unknown.
    phase
        Its phase; that of an entry without one is Pending.
    groups
        The groups that it may be the newest of.
    """

    terms: tuple[str, ...]
    searched: str
    published: int | None
    size: int | None
    verified: int | None
    phase: str
    groups: tuple[GroupKey, ...]


def term(field: str, value: str) -> str:
    """Return the word for "this field has this value"; equal words are one object."""
    return sys.intern(f"{field}={value}")


def searchable(*texts: str) -> str:
    """Return texts as they are searched: without regard to case, and apart from one another."""
    return _SEPARATOR.join(texts).casefold()


def canonical_url(url: str) -> str:
    """Return the one spelling of a reference; text that is none stands for itself."""
    try:
        return Reference.parse(url).canonical
    except InvalidReferenceError:
        return url


def part(obj: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    """Return an object inside another; an empty one where there is none."""
    value = obj.get(field)
    return value if isinstance(value, dict) else _NOTHING


def text(obj: Mapping[str, Any], field: str) -> str | None:
    """Return a text; `None` where there is none or it is empty."""
    value = obj.get(field)
    return value if isinstance(value, str) and value else None


def read_values(obj: Mapping[str, Any], *, namespace: str, name: str) -> Values:
    """Read what an object is found by.

    Parameters
    ----------
    obj
        The object as JSON gave it. What is missing or is not what the schema
        says is left out.
    namespace, name
        What the API server knows it by.
    """
    metadata, spec, status = part(obj, "metadata"), part(obj, "spec"), part(obj, "status")
    said, registry = part(spec, "metadata"), part(status, "registryMetadata")
    held = _Held.of(said, registry, overridden=_is_overridden(metadata))
    url, tags = text(spec, "registryUrl"), tuple(_texts(spec.get("tags")))
    schedule, phase = text(part(metadata, "labels"), LABEL_SCHEDULE), text(status, "phase") or "Pending"
    terms = [
        term("namespace", namespace),
        term("phase", phase),
        *(term("architecture", architecture) for architecture in held.architectures),
        *(term("target", target) for target in held.targets),
        *(term("tag", tag) for tag in tags),
        *_identity_terms(spec, registry, url),
        *_build_terms(part(status, "sourceImageBuild")),
    ]
    for field, value in (
        ("distro", held.distro),
        ("bootcCapable", None if held.bootc_capable is None else str(held.bootc_capable).lower()),
        ("distroVersion", text(said, "distroVersion")),
        ("kernelVersion", text(said, "kernelVersion")),
        ("buildMode", text(said, "buildMode")),
        ("schedule", schedule),
    ):
        if value is not None:
            terms.append(term(field, value))
    return Values(
        terms=tuple(dict.fromkeys(terms)),
        searched=searchable(name, url or "", *tags),
        published=_publication(metadata, status),
        size=_count(registry.get("sizeBytes")),
        verified=_moment(status.get("lastVerificationTime")),
        phase=sys.intern(phase),
        groups=_groups(namespace, schedule, held),
    )


class _Held(NamedTuple):
    """What holds true of an image, of what a person and the registry say about it."""

    architectures: tuple[str, ...]
    distro: str | None
    targets: tuple[str, ...]
    bootc_capable: bool | None

    @classmethod
    def of(cls, said: Mapping[str, Any], registry: Mapping[str, Any], *, overridden: bool) -> _Held:
        facts = RegistryFacts(_platforms(registry), _annotations(registry))
        distro, bootc = text(said, "distro"), _flag(said)
        targets = tuple(filter(None, (text(target, "name") for target in _objects(said.get("targets")))))
        if facts.annotations:
            found = facts.annotated("distro")
            if found and (distro is None or not overridden):
                distro = found
            found = facts.annotated("target")
            if found and found not in targets and not (targets and overridden):
                targets = (found,)
            found = facts.annotated("bootcCapable")
            if found in {"true", "false"} and (bootc is None or not overridden):
                bootc = found == "true"
        return cls(_architectures(said, facts, overridden=overridden), distro, targets, bootc)


def _architectures(said: Mapping[str, Any], facts: RegistryFacts, *, overridden: bool) -> tuple[str, ...]:
    """Return OCI names: every platform of a multi-arch image, whichever of them a person named."""
    architecture = text(said, "architecture")
    if architecture and (overridden or not facts.platforms):
        return (normalise_architecture(architecture),)
    if facts.platforms:
        return facts.platforms
    annotated = facts.annotated("architecture") if facts.annotations else None
    return (normalise_architecture(annotated),) if annotated else ()


def _platforms(registry: Mapping[str, Any]) -> tuple[str, ...]:
    variants = [text(variant, "architecture") for variant in _objects(registry.get("platformVariants"))]
    named = variants or [text(part(registry, "platform"), "architecture")]
    return tuple(dict.fromkeys(normalise_architecture(architecture) for architecture in named if architecture))


def _annotations(registry: Mapping[str, Any]) -> dict[str, str]:
    return {key: value for key, value in part(registry, "annotations").items() if isinstance(value, str)}


def _flag(said: Mapping[str, Any]) -> bool | None:
    for field in ("bootcCapable", "bootc"):
        value = said.get(field)
        if isinstance(value, bool):
            return value
    return None


def _is_overridden(metadata: Mapping[str, Any]) -> bool:
    return part(metadata, "annotations").get(ANNOTATION_METADATA_OVERRIDE) == "true"


def _identity_terms(spec: Mapping[str, Any], registry: Mapping[str, Any], url: str | None) -> Iterator[str]:
    if url:
        yield term("registryUrl", canonical_url(url))
    for digest in (text(spec, "digest"), text(registry, "resolvedDigest")):
        if digest:
            yield term("digest", digest)


def _build_terms(build: Mapping[str, Any]) -> Iterator[str]:
    name, namespace = text(build, "name"), text(build, "namespace")
    if name:
        yield term("sourceImageBuild", name)
        if namespace:
            yield term("sourceImageBuild", f"{namespace}/{name}")


def _groups(namespace: str, schedule: str | None, held: _Held) -> tuple[GroupKey, ...]:
    if schedule:
        return (_group(namespace, schedule, None, None, None),)
    return tuple(
        _group(namespace, None, held.distro, architecture, target)
        for architecture in held.architectures or (None,)
        for target in dict.fromkeys(held.targets) or (None,)
    )


@lru_cache(maxsize=4096)
def _group(
    namespace: str, schedule: str | None, distro: str | None, architecture: str | None, target: str | None
) -> GroupKey:
    """Return a key; the cache lets the entries of a group share one."""
    return GroupKey(namespace, schedule, distro, architecture, target)


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else iter(())


def _texts(value: Any) -> Iterator[str]:
    return (item for item in value if isinstance(item, str)) if isinstance(value, list) else iter(())


def _publication(metadata: Mapping[str, Any], status: Mapping[str, Any]) -> int | None:
    """Return when an entry was published, or made; of those of one second, what was built later is later.

    Kubernetes keeps whole seconds, and a backlog of builds is published within one.
    What is below them says by how much the image is older than its publication.
    """
    created = _moment(metadata.get("creationTimestamp"))
    published = _moment(status.get("publishedAt"))
    moment = created if published is None else published
    if moment is None:
        return None
    built = _moment(part(status, "sourceImageBuild").get("completionTime"))
    origin = created if built is None else built
    if origin is None:
        return moment - moment % _SECOND
    age = max(moment - origin, 0) // _SECOND
    if age > _RECENT:
        age = min(_RECENT + (age - _RECENT) // 60, _OLDEST)
    return moment - moment % _SECOND + _OLDEST - age


def _moment(value: Any) -> int | None:
    moment = parse_time(value) if isinstance(value, str) else None
    return round(moment.timestamp() * 1_000_000) if isinstance(moment, datetime) else None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
