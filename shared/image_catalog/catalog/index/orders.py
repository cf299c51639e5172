"""One order of the catalog: pages of what matches, from any place in it, both ways."""

from __future__ import annotations

from math import inf, nextafter

from pyroaring import BitMap

from image_catalog.catalog.index.query import Position, Sort
from image_catalog.catalog.index.ranks import Bound, Rank, Ranks

__all__ = ["Order"]

_STEP = 2
"""To pass over a block of the order costs as much as to sort so many matches."""

_Range = tuple[Bound | None, Bound | None]


class Order:
    """Every entry in the order of one sort.

    Ranks ascend in the direction that the sort is wanted in most; for the
    newest first, that means that the moments in them are negative. A missing
    value is infinite, and so comes last.

    Parameters
    ----------
    sort
        What is sorted by.
    """

    def __init__(self, sort: Sort) -> None:
        self._sort = sort
        self._ranks = Ranks()

    def __getitem__(self, slot: int) -> Rank:
        return self._ranks[slot]

    def put(self, slot: int, value: float | str | None, namespace: str, name: str, *, like: Rank | None = None) -> Rank:
        """Give a slot its place; it leaves the one that it had. Slots are taken from 0, without a gap.

        Returns
        -------
        tuple
            Its rank; the one given as `like` where it is equal, so that two orders share it: one takes 100 bytes.
        """
        rank = (self._signed(value), namespace, name, slot)
        if rank == like:
            rank = like
        self._ranks.put(rank)
        return rank

    def remove(self, slot: int) -> None:
        """Take out a slot that is there."""
        self._ranks.remove(slot)

    def page(
        self, matches: BitMap | None, *, descending: bool | None, after: Position | None, limit: int
    ) -> tuple[list[int], int]:
        """Return the slots of a page, and how many match from its first on.

        Parameters
        ----------
        matches
            The slots that count; `None` for all.
        descending
            The direction; `None` for the one that is wanted in most.
        after
            Where the page begins; `None` for the start.
        limit
            Length of the page; 0 for no limit.

        Raises
        ------
        ValueError
            Raised if the position belongs to another sort.
        """
        mirrored = descending is not None and descending is not self._sort.descends
        ranges = self._ranges(after, mirrored=mirrored)
        if matches is not None and self._is_few(len(matches), limit):
            found = [slot for low, high in ranges for slot in self._ranks.sort(matches, low, high, backwards=mirrored)]
            return (found[:limit] if limit else found), len(found)
        page: list[int] = []
        for low, high in ranges:
            page += self._ranks.page(matches, low, high, backwards=mirrored, limit=limit and limit - len(page))
            if limit and len(page) == limit:
                break
        else:
            return page, len(page)
        if after is None:
            return page, len(self._ranks) if matches is None else len(matches)
        return page, sum(self._ranks.count(matches, low, high) for low, high in ranges)

    def at_least(self, value: float) -> BitMap:
        """Return the slots with that value or a greater one, of a sort that has the greatest first."""
        return self._ranks.before((nextafter(-value, inf),))

    def position(self, slot: int) -> Position:
        """Return the place right behind a slot."""
        value, namespace, name, _ = self._ranks[slot]
        if isinstance(value, str):
            return Position(value, namespace, name)
        known = None if value == inf else value
        return Position(-known if known is not None and self._sort.descends else known, namespace, name)

    def _is_few(self, matches: int, limit: int) -> bool:
        """Tell whether to sort all matches is faster than to walk through the order until the page is full."""
        return matches**2 <= _STEP * self._ranks.blocks * (limit or matches)

    def _signed(self, value: float | str | None) -> float | str:
        if value is None:
            return inf
        if isinstance(value, str):
            return value
        return -value if self._sort.descends else value

    def _ranges(self, after: Position | None, *, mirrored: bool) -> tuple[_Range, ...]:
        """Return what is left of the order behind a position, as ranges of ranks in the order that they come in."""
        place = None if after is None else self._bound(after)
        if self._sort is Sort.NAME or not mirrored:
            # One slot higher than any: a bound that is greater than the rank that it stands behind.
            return ((None, place),) if mirrored else ((None if place is None else (*place, inf), None),)
        if place is not None and place[0] == inf:
            return (((inf,), place),)
        return ((None, place or (inf,)), ((inf,), None))

    def _bound(self, after: Position) -> Bound:
        if after.value is None or isinstance(after.value, str) is (self._sort is Sort.NAME):
            return (self._signed(after.value), after.namespace, after.name)
        raise ValueError(f"the position is none of a list that is sorted by {self._sort}")
