"""What somebody who follows a collection is told."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from image_catalog.cluster._transport import JSON
from image_catalog.errors import ClusterUnavailableError

__all__ = ["Bookmarked", "ChangeType", "Changed", "Interrupted", "Relisted", "WatchItem"]


class ChangeType(Enum):
    """What happened to an object."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class Changed:
    """An object was added, changed or deleted.

    Attributes
    ----------
    type
        What happened to it. An object that leaves the selection counts as deleted.
    object
        The object afterwards; of a deleted one, its last state.
    """

    type: ChangeType
    object: JSON


@dataclass(frozen=True, slots=True)
class Relisted:
    """A page of the whole collection: at the start, and when changes were missed.

    After the page with ``last``, whatever was not listed since the page with
    ``first`` is gone. A list that comes as a stream may name an object twice, the
    later state last, and have a `Changed` between its pages: what was deleted while
    it came.

    Attributes
    ----------
    objects
        The objects of this page.
    first
        Whether the list starts (again) here.
    last
        Whether the list is complete now.
    resource_version
        The version of the whole list; empty on the pages before the last one of a
        list that comes as a stream.
    """

    objects: tuple[JSON, ...]
    first: bool
    last: bool
    resource_version: str = ""


@dataclass(frozen=True, slots=True)
class Bookmarked:
    """Everything up to a version has been seen, though nothing may have changed.

    It also comes when a lost connection is there again.

    Attributes
    ----------
    resource_version
        Where a later watch can go on.
    """

    resource_version: str


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The connection is lost and will be tried again: what is known grows old.

    Attributes
    ----------
    error
        Why.
    """

    error: ClusterUnavailableError


WatchItem = Changed | Relisted | Bookmarked | Interrupted
