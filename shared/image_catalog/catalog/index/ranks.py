"""Ranks in order, in blocks of some hundred, so that a block without a match is passed over in one step."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from pyroaring import BitMap

__all__ = ["Bound", "Rank", "Ranks"]

Rank = tuple[float | str, str, str, int]
"""What is sorted by, namespace, name and slot; the smallest comes first."""

Bound = tuple[float | str, ...]
"""The beginning of a rank: smaller than every rank that goes on from there."""

_BLOCK = 768
"""Ranks in a block when it is cut in two: to pass over one costs about a microsecond, to look through it thirty."""

_SPARSE = 10
"""Where one rank of so many matches, the matches are sorted faster than they are met on a walk."""


class _Block:
    """Neighbours in the order."""

    __slots__ = ("ranks", "slots")

    def __init__(self, ranks: list[Rank]) -> None:
        self.ranks = ranks
        self.slots = _slots(ranks)


class Ranks:
    """A sorted set of ranks, one for each slot, that knows which slots are near one another."""

    def __init__(self) -> None:
        self._blocks: list[_Block] = []
        self._lasts: list[Rank] = []
        self._of: list[Rank | None] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, slot: int) -> Rank:
        rank = self._of[slot]
        if rank is None:
            raise KeyError(slot)
        return rank

    def put(self, rank: Rank) -> None:
        """Put a slot's rank in its place; the one that it had goes. Slots are taken from 0, without a gap."""
        slot = rank[3]
        if slot == len(self._of):
            self._of.append(None)
        known = self._of[slot]
        if known == rank:
            return
        if known is not None:
            self.remove(slot)
        self._of[slot] = rank
        self._count += 1
        if not self._blocks:
            self._replace(0, 0, [[rank]])
            return
        at = min(bisect_left(self._lasts, rank), len(self._blocks) - 1)
        block = self._blocks[at]
        block.ranks.insert(bisect_left(block.ranks, rank), rank)
        block.slots.add(slot)
        self._lasts[at] = block.ranks[-1]
        if len(block.ranks) > 2 * _BLOCK:
            self._replace(at, at + 1, [block.ranks[:_BLOCK], block.ranks[_BLOCK:]])

    def remove(self, slot: int) -> None:
        """Take out the rank of a slot that has one."""
        rank, self._of[slot] = self[slot], None
        self._count -= 1
        at = bisect_left(self._lasts, rank)
        block = self._blocks[at]
        del block.ranks[bisect_left(block.ranks, rank)]
        block.slots.discard(slot)
        if block.ranks and (len(block.ranks) >= _BLOCK // 2 or len(self._blocks) == 1):
            self._lasts[at] = block.ranks[-1]
            return
        # A shrunken block joins a neighbour, lest an order that moves through the blocks leave them all nearly empty.
        first = max(at - 1, 0)
        joined = [rank for near in self._blocks[first : first + 2] for rank in near.ranks]
        half = len(joined) // 2
        self._replace(first, first + 2, [joined[:half], joined[half:]] if half >= _BLOCK else [joined])

    def sort(self, matches: BitMap, low: Bound | None, high: Bound | None, *, backwards: bool) -> list[Rank]:
        """Return the ranks of matching slots between two bounds, in order: for when there are few.

        Parameters
        ----------
        matches
            The slots that count.
        low, high
            From the first on, up to but not with the second; `None` for an open end.
        backwards
            Whether the last comes first.
        """
        ranks = [self[slot] for slot in matches]
        if low is not None:
            ranks = [rank for rank in ranks if rank > low]
        if high is not None:
            ranks = [rank for rank in ranks if rank < high]
        ranks.sort(reverse=backwards)
        return ranks

    def walk(self, matches: BitMap | None, low: Bound | None, high: Bound | None, *, backwards: bool) -> Iterator[Rank]:
        """Give the ranks of matching slots between two bounds, in order, one after another.

        Parameters
        ----------
        matches
            The slots that count; `None` for all.
        low, high
            From the first on, up to but not with the second; `None` for an open end.
        backwards
            Whether the last comes first.
        """
        for block, start, end in self._between(low, high, backwards=backwards):
            if matches is not None:
                near = matches & block.slots
                if len(near) * _SPARSE <= len(block.ranks):
                    yield from self.sort(near, low, high, backwards=backwards)
                    continue
            ranks = block.ranks[start:end]
            if backwards:
                ranks.reverse()
            yield from ranks if matches is None else (rank for rank in ranks if rank[3] in matches)

    def count(self, matches: BitMap | None, low: Bound | None, high: Bound | None) -> int:
        """Tell how many ranks of matching slots lie between two bounds.

        Parameters
        ----------
        matches
            The slots that count; `None` for all.
        low, high
            From the first on, up to but not with the second; `None` for an open end.
        """
        counted = 0
        for block, start, end in self._between(low, high, backwards=False):
            if matches is None:
                counted += end - start
            elif end - start > len(block.ranks) // 2:
                counted += matches.intersection_cardinality(block.slots)
                rest = block.ranks[:start] + block.ranks[end:]
                counted -= matches.intersection_cardinality(_slots(rest)) if rest else 0
            else:
                counted += matches.intersection_cardinality(_slots(block.ranks[start:end]))
        return counted

    def _between(self, low: Bound | None, high: Bound | None, *, backwards: bool) -> Iterator[tuple[_Block, int, int]]:
        """Give the blocks between two bounds, each with the part of it that lies there."""
        first, start = (0, 0) if low is None else self._place(low)
        last, end = (len(self._blocks), 0) if high is None else self._place(high)
        blocks = range(first, min(last + 1, len(self._blocks)))
        for at in reversed(blocks) if backwards else blocks:
            block = self._blocks[at]
            begins = start if at == first else 0
            ends = end if at == last else len(block.ranks)
            if begins < ends:
                yield block, begins, ends

    def _place(self, bound: Bound) -> tuple[int, int]:
        at = bisect_left(self._lasts, bound)
        return (at, bisect_left(self._blocks[at].ranks, bound)) if at < len(self._blocks) else (at, 0)

    def _replace(self, start: int, end: int, lists: list[list[Rank]]) -> None:
        blocks = [_Block(ranks) for ranks in lists if ranks]
        self._blocks[start:end] = blocks
        self._lasts[start:end] = [block.ranks[-1] for block in blocks]


def _slots(ranks: list[Rank]) -> BitMap:
    return BitMap([rank[3] for rank in ranks])
