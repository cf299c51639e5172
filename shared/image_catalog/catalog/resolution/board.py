"""Where the candidates for a board come from: the index."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

from image_catalog.catalog.index import Entry, Index, Query
from image_catalog.catalog.resolution.candidate import Candidate, RecallNote, read_recalls
from image_catalog.catalog.resolution.wish import Wish
from image_catalog.models import Phase

__all__ = ["Board", "CandidateCache", "IndexedBoard", "IndexedRecalls"]

_PAGE: Final = 32
"""Entries that are looked up first: most answers need fewer. Each further page is twice as long, up to the largest."""
_LARGEST_PAGE: Final = 1024

_CACHED: Final = 20_000
"""Candidates that are kept, about a kilobyte each: reading one takes as long as judging thirty."""


class Board(Protocol):
    """Every entry for a board, the last published first."""

    def count(self) -> int:
        """Tell how many there are."""

    def every(self) -> Iterator[Candidate]:
        """Yield all of them."""

    def as_asked(self, *, usable: bool) -> Iterator[Candidate]:
        """Yield those of the kind that is wanted; if so told, only those that may be usable by phase and tests."""


class CandidateCache:
    """Candidates of the index's entries, each read once per change of its entry."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[str, str, Candidate]] = {}

    def of(self, entry: Entry) -> Candidate:
        """Return what the choice goes by of an entry."""
        key = (entry.namespace, entry.name)
        known = self._known.get(key)
        if known is not None and known[0] == entry.resource_version and known[1] == entry.uid:
            return known[2]
        if len(self._known) >= _CACHED:
            self._known.clear()
        candidate = Candidate.of_object(entry.object)
        self._known[key] = (entry.resource_version, entry.uid, candidate)
        return candidate


class IndexedBoard:
    """Candidates as the index has them: what is not looked at costs nothing.

    Parameters
    ----------
    index
        Every entry.
    wish
        What is wanted.
    cache
        Keeps what was read.
    """

    def __init__(self, index: Index, wish: Wish, cache: CandidateCache) -> None:
        self._index = index
        self._cache = cache
        self._every = Query(namespace=wish.namespace, target=wish.target, limit=_PAGE)
        self._asked = self._every._replace(
            distro=wish.distro,
            distro_version=wish.distro_version,
            architecture=wish.architecture,
            tags=wish.tags,
            build_mode=wish.build_mode,
            bootc_capable=wish.bootc_capable,
        )
        self._usable = self._asked._replace(
            phase=Phase.AVAILABLE.value, verified_on=wish.target if wish.verified_only else None
        )

    def count(self) -> int:
        """Tell how many there are."""
        return self._index.find(self._every._replace(limit=1)).total

    def every(self) -> Iterator[Candidate]:
        """Yield all of them."""
        return self._walk(self._every)

    def as_asked(self, *, usable: bool) -> Iterator[Candidate]:
        """Yield those of the kind that is wanted."""
        return self._walk(self._usable if usable else self._asked)

    def _walk(self, query: Query) -> Iterator[Candidate]:
        while True:
            found = self._index.find(query)
            for entry in found.entries:
                yield self._cache.of(entry)
            if found.next is None:
                return
            query = query._replace(after=found.next, limit=min(2 * query.limit, _LARGEST_PAGE))


class IndexedRecalls:
    """Recalls as the index's entries tell of them.

    Parameters
    ----------
    index
        Every entry.
    """

    def __init__(self, index: Index) -> None:
        self._index = index

    def find(self, namespace: str, digest: str) -> RecallNote | None:
        """Return what is said of a content in a namespace; `None` when nothing is."""
        entry = self._index.recaller(namespace, digest)
        if entry is None:
            return None
        return next((note for note in read_recalls(entry.object) if note.digest == digest), None)
