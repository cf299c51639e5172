"""Completed builds that can be published, in the API's memory."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from pydantic import ValidationError

from image_catalog.models import ImageBuild, format_time
from image_catalog.models.names import ANNOTATION_PUBLISH

__all__ = ["BuildIndex", "BuildKey", "CompletedBuild"]

_LONG_AGO: Final = datetime(1, 1, 1, tzinfo=UTC)

BuildKey: TypeAlias = tuple[float, str, str]
"""Where a build stands: newest first, then by namespace and name."""


@dataclass(frozen=True, slots=True)
class CompletedBuild:
    """A completed build that can be published.

    Attributes
    ----------
    namespace, name, uid
        The build.
    key
        Where it stands in the order.
    facts
        What is answered of it, without its entry.
    opted_out
        Whether its owner keeps it out of the catalog.
    """

    namespace: str
    name: str
    uid: str
    key: BuildKey
    facts: Mapping[str, Any]
    opted_out: bool


class BuildIndex:
    """Every completed build that can be published, the last completed first."""

    def __init__(self) -> None:
        self._builds: dict[tuple[str, str], CompletedBuild] = {}
        self._everywhere: list[CompletedBuild] = []
        self._by_namespace: dict[str, list[CompletedBuild]] = {}
        self._unlisted: set[tuple[str, str]] | None = None
        self.resource_version = ""

    def __len__(self) -> int:
        """Return how many builds are known."""
        return len(self._builds)

    def put(self, obj: Mapping[str, Any], /) -> bool:
        """Take in a build as the API server gave it; one that cannot be published is none."""
        meta = obj.get("metadata") or {}
        identity = (str(meta.get("namespace") or ""), str(meta.get("name") or ""))
        if self._unlisted is not None:
            self._unlisted.discard(identity)
        build = _completed(obj)
        self._drop(identity)
        if build is not None:
            self._builds[identity] = build
            for builds in (self._everywhere, self._by_namespace.setdefault(build.namespace, [])):
                insort(builds, build, key=_by_key)
        if version := meta.get("resourceVersion"):
            self.advance(str(version))
        return build is not None

    def remove(self, namespace: str, name: str, *, uid: str | None = None, resource_version: str | None = None) -> bool:
        """Forget a build; false when it was not known."""
        del resource_version
        known = self._builds.get((namespace, name))
        if known is None or (uid is not None and known.uid != uid):
            return False
        self._drop((namespace, name))
        return True

    @contextmanager
    def relist(self) -> Iterator[None]:
        """Forget at the end what was not put meanwhile; nothing when an error ends it."""
        self._unlisted = set(self._builds)
        try:
            yield
            for identity in self._unlisted:
                self._drop(identity)
        finally:
            self._unlisted = None

    def advance(self, resource_version: str, /) -> None:
        """Remember that everything up to a version has been seen."""
        if not self.resource_version or _number(resource_version) > _number(self.resource_version):
            self.resource_version = resource_version

    def page(self, namespace: str | None, *, limit: int, after: BuildKey | None) -> tuple[list[CompletedBuild], int]:
        """Return a page of builds, and how many follow it.

        Parameters
        ----------
        namespace
            Where; `None` for everywhere.
        limit
            How many at most.
        after
            The key of the last build of the page before.
        """
        builds = self._everywhere if namespace is None else self._by_namespace.get(namespace, [])
        start = 0 if after is None else bisect_right(builds, after, key=_by_key)
        found = builds[start : start + limit]
        return found, len(builds) - start - len(found)

    def _drop(self, identity: tuple[str, str]) -> None:
        build = self._builds.pop(identity, None)
        if build is None:
            return
        for builds in (self._everywhere, self._by_namespace[build.namespace]):
            del builds[bisect_left(builds, build.key, key=_by_key)]
        if not self._by_namespace[build.namespace]:
            del self._by_namespace[build.namespace]


def _completed(obj: Mapping[str, Any]) -> CompletedBuild | None:
    try:
        build = ImageBuild.model_validate(obj)
    except ValidationError:
        return None
    if not build.is_completed or build.published_reference is None:
        return None
    meta = build.metadata
    completed = build.completion_time
    facts = {
        "name": meta.name,
        "namespace": meta.namespace,
        "uid": meta.uid,
        "completionTime": None if completed is None else format_time(completed),
        "registryUrl": build.published_reference,
        "architecture": build.architecture,
        "distro": build.distro,
        "target": build.target,
        "mode": build.mode,
        "exportFormat": build.export_format,
        "schedule": build.schedule,
    }
    key = (-(completed or _LONG_AGO).timestamp(), meta.namespace, meta.name)
    opted_out = meta.annotations.get(ANNOTATION_PUBLISH, "").lower() == "false"
    return CompletedBuild(meta.namespace, meta.name, meta.uid, key, facts, opted_out)


def _by_key(build: CompletedBuild) -> BuildKey:
    return build.key


def _number(resource_version: str) -> int:
    return int(resource_version) if resource_version.isdecimal() else 0
