"""What an entry is found by: one pass over the object as JSON gave it.

No model is built: a list of thousands is read in one go when the API starts,
and an object that breaks the schema must still be found by what is readable
of it. Queries go by the registry's word where person and registry disagree,
as `image_catalog.catalog.held` has it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple

from image_catalog.catalog.held import Held
from image_catalog.catalog.index.reliability import Watched, read_watched
from image_catalog.catalog.plain import count, objects, part, text, texts
from image_catalog.catalog.recalls import is_recalled
from image_catalog.errors import InvalidReferenceError
from image_catalog.models import Reference, parse_time
from image_catalog.models.names import LABEL_SCHEDULE

__all__ = ["RECALLED", "GroupKey", "Values", "canonical_url", "publication_of", "read_values", "searchable", "term"]

_SEPARATOR = "\0"
"""Stands between the texts that are searched, so that no match spans two of them."""

RECALLED: Final = "isRecalled=true"
"""The word for "its current content, or a part of it, is recalled"; an entry of which that is not so has none."""

_IDENTITIES = frozenset({"digest", "recalled", "registryUrl", "sourceImageBuild"})
"""Fields whose values are mostly one entry's alone: to intern what nobody shares costs an entry 150 bytes."""

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
    watched
        What it says of its availability.
    """

    terms: tuple[str, ...]
    searched: str
    published: int | None
    size: int | None
    verified: int | None
    phase: str
    groups: tuple[GroupKey, ...]
    watched: Watched


def term(field: str, value: str) -> str:
    """Return the word for "this field has this value"; equal words of what entries share are one object."""
    word = f"{field}={value}"
    return word if field in _IDENTITIES else sys.intern(word)


def searchable(*texts: str) -> str:
    """Return texts as they are searched: without regard to case, and apart from one another."""
    return _SEPARATOR.join(texts).casefold()


def canonical_url(url: str) -> str:
    """Return the one spelling of a reference; text that is none stands for itself."""
    try:
        return Reference.parse(url).canonical
    except InvalidReferenceError:
        return url


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
    held = Held.of_object(obj)
    url, tags = text(spec, "registryUrl"), tuple(texts(spec.get("tags")))
    reference = Reference.try_parse(url) if url else None
    schedule, phase = text(part(metadata, "labels"), LABEL_SCHEDULE), text(status, "phase") or "Pending"
    terms = [
        term("namespace", namespace),
        term("phase", phase),
        *(term("architecture", architecture) for architecture in held.architectures),
        *(term("target", target) for target in held.targets),
        *(term("tag", tag) for tag in tags),
        *_identity_terms(spec, registry, url, reference),
        *_build_terms(part(status, "sourceImageBuild")),
        *_recall_terms(status),
        *_verified_terms(status),
        *((RECALLED,) if is_recalled(obj) else ()),
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
        published=publication_of(metadata, status),
        size=count(registry.get("sizeBytes")),
        verified=_moment(status.get("lastVerificationTime")),
        phase=sys.intern(phase),
        groups=_groups(namespace, schedule, held),
        watched=read_watched(status, None if reference is None else sys.intern(reference.registry)),
    )


def _identity_terms(
    spec: Mapping[str, Any], registry: Mapping[str, Any], url: str | None, reference: Reference | None
) -> Iterator[str]:
    if url:
        yield term("registryUrl", url if reference is None else reference.canonical)
        if reference is not None:
            yield term("repository", reference.name)
    for digest in (text(spec, "digest"), text(registry, "resolvedDigest")):
        if digest:
            yield term("digest", digest)


def _build_terms(build: Mapping[str, Any]) -> Iterator[str]:
    name, namespace = text(build, "name"), text(build, "namespace")
    if name:
        yield term("sourceImageBuild", name)
        if namespace:
            yield term("sourceImageBuild", f"{namespace}/{name}")


def _recall_terms(status: Mapping[str, Any]) -> Iterator[str]:
    """Return a word for each content that an entry says is recalled, and the namespace in which that holds."""
    for recall in objects(status.get("recalls")):
        namespace, digest = text(recall, "namespace"), text(recall, "digest")
        if namespace and digest:
            for content in (digest, *texts(recall.get("parts"))):
                yield term("recalled", f"{namespace}/{content}")


def _verified_terms(status: Mapping[str, Any]) -> Iterator[str]:
    for board in objects(status.get("targets")):
        if board.get("verified") is True and (name := text(board, "name")):
            yield term("verified", name)


def _groups(namespace: str, schedule: str | None, held: Held) -> tuple[GroupKey, ...]:
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


def publication_of(metadata: Mapping[str, Any], status: Mapping[str, Any]) -> int | None:
    """Return when an entry was published, or made; of those of one second, what was built later is later.

    Kubernetes keeps whole seconds, and a backlog of builds is published within one.
    What is below them says by how much the image is older than its publication.

    Parameters
    ----------
    metadata, status
        Of the object as JSON gave it.

    Returns
    -------
    int
        Microseconds since 1970; `None` when unknown.
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
