"""What is asked of the index, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from image_catalog.catalog.index.entry import Entry
from image_catalog.models import AvailabilityWindow

__all__ = ["Listing", "Position", "Query", "Sort"]


class Sort(StrEnum):
    """What a list is sorted by."""

    PUBLISHED = "published"
    NAME = "name"
    SIZE = "size"
    VERIFIED = "verified"
    AVAILABILITY = "availability"

    @property
    def descends(self) -> bool:
        """Whether the greatest comes first when nobody says otherwise."""
        return self is not Sort.NAME


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a sorted list: right behind one entry, be that still there or not.

    Attributes
    ----------
    value
        What the entry is sorted by: microseconds since 1970, bytes, a share,
        or its name; `None` where that is unknown.
    namespace, name
        The entry.
    """

    value: float | str | None
    namespace: str
    name: str


class Query(NamedTuple):
    """Which entries are asked for, and in which order; `None` asks for nothing in particular.

    Attributes
    ----------
    namespace
        `None` for every namespace.
    architecture
        Under any of its names; a multi-arch image has several.
    target
        Any of an image's targets.
    phase
        An entry without one counts as Pending.
    digest
        The pinned or the resolved one.
    registry_url
        In any spelling that means the same image.
    source_image_build
        ``name`` or ``namespace/name`` of the build.
    q
        Part of the name, the URL or a tag, in any case.
    tags
        All of which an entry must have.
    bootc_capable
        An entry of which nobody knows is neither.
    verified_on
        A board that the image is known to work on.
    recalled
        Whether the current content, or a part of it, is recalled.
    min_availability
        The least share of known time that the image was there for; an entry of
        which nothing is known has none.
    availability_window
        The time that this is counted over, and that `Sort.AVAILABILITY` goes by.
    latest
        Only the newest of its versions, among what the other filters leave:
        the newest of a schedule, or else of a distribution, architecture and
        target, within a namespace. An image with several targets is given when
        it is the newest for one of them. Newest is what was published last, and
        within one second what was built last, or else made last; then the name
        decides, a before z.
    descending
        `None` for the order that the sort is wanted in most: newest, largest,
        most available, and A to Z. Ties go by namespace and name there; the other order is its
        mirror image. What has no value comes last in both.
    limit
        0 for no limit.
    after
        Where to go on.
    """

    namespace: str | None = None
    architecture: str | None = None
    distro: str | None = None
    distro_version: str | None = None
    target: str | None = None
    phase: str | None = None
    build_mode: str | None = None
    digest: str | None = None
    registry_url: str | None = None
    kernel_version: str | None = None
    source_image_build: str | None = None
    schedule: str | None = None
    q: str | None = None
    tags: tuple[str, ...] = ()
    bootc_capable: bool | None = None
    verified_on: str | None = None
    recalled: bool | None = None
    min_availability: float | None = None
    availability_window: AvailabilityWindow = AvailabilityWindow.DAY
    latest: bool = False
    sort: Sort = Sort.PUBLISHED
    descending: bool | None = None
    limit: int = 20
    after: Position | None = None


class Listing(NamedTuple):
    """One page of what was asked for.

    Attributes
    ----------
    entries
        The page.
    total
        How many match on all pages.
    remaining
        How many come after this page.
    next
        Where the next page begins; `None` when there is none.
    state
        Equal for the same versions of the same entries, in this process and any
        other; accesses are not in it.
    """

    entries: tuple[Entry, ...]
    total: int
    remaining: int
    next: Position | None
    state: bytes
