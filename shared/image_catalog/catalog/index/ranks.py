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

_BLOCK = 512
"""Ranks in a block when it is cut in two: passing over one costs about a microsecond, looking through it thirty."""

_Place = tuple[int, int]


class _Block:
    """Neighbours in the order."""

    __slots__ = ("ranks", "slots")

    def __init__(self, ranks: list[Rank]) -> None:
        self.ranks = ranks
        self.slots = BitMap([rank[3] for rank in ranks])


class Ranks:
    """A sorted set of ranks that knows which slots are near one another."""

    def __init__(self) -> None:
        self._blocks: list[_Block] = []
        self._lasts: list[Rank] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, rank: Rank) -> None:
        """Put a rank in its place."""
        self._count += 1
        if not self._blocks:
            self._blocks.append(_Block([rank]))
            self._lasts.append(rank)
            return
        at = min(bisect_left(self._lasts, rank), len(self._blocks) - 1)
        block = self._blocks[at]
        block.ranks.insert(bisect_left(block.ranks, rank), rank)
        block.slots.add(rank[3])
        self._lasts[at] = block.ranks[-1]
        if len(block.ranks) > 2 * _BLOCK:
            self._replace(at, at + 1, [block.ranks[:_BLOCK], block.ranks[_BLOCK:]])

    def remove(self, rank: Rank) -> None:
        """Take a rank out that is there."""
        self._count -= 1
        at = bisect_left(self._lasts, rank)
        block = self._blocks[at]
        del block.ranks[bisect_left(block.ranks, rank)]
        block.slots.discard(rank[3])
        if len(block.ranks) >= _BLOCK // 2:
            self._lasts[at] = block.ranks[-1]
            return
        # A shrunken block joins a neighbour, lest an order that moves through the blocks leave them all nearly empty.
        first = max(at - 1, 0)
        joined = [rank for near in self._blocks[first : at + 1] for rank in near.ranks]
        half = len(joined) // 2
        self._replace(first, at + 1, [joined[:half], joined[half:]] if half >= _BLOCK else [joined])

    def _replace(self, start: int, end: int, lists: list[list[Rank]]) -> None:
        blocks = [_Block(ranks) for ranks in lists if ranks]
        self._blocks[start:end] = blocks
        self._lasts[start:end] = [block.ranks[-1] for block in blocks]

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
        for block, start, end in self._between(low, high):
            if start == 0 and end == len(block.ranks):
                counted += end if matches is None else matches.intersection_cardinality(block.slots)
            elif matches is None:
                counted += end - start
            else:
                counted += sum(rank[3] in matches for rank in block.ranks[start:end])
        return counted

    def walk(self, matches: BitMap | None, low: Bound | None, high: Bound | None, *, backwards: bool) -> Iterator[Rank]:
        """Give the ranks of matching slots between two bounds, one after another.

        Parameters
        ----------
        matches
            The slots that count; `None` for all.
        low, high
            From the first on, up to but not with the second; `None` for an open end.
        backwards
            Whether the last comes first.
        """
        step = -1 if backwards else 1
        for block, start, end in list(self._between(low, high))[::step]:
            if matches is None:
                yield from block.ranks[start:end][::step]
            elif not matches.isdisjoint(block.slots):
                yield from (rank for rank in block.ranks[start:end][::step] if rank[3] in matches)

    def _between(self, low: Bound | None, high: Bound | None) -> Iterator[tuple[_Block, int, int]]:
        """Give the blocks between two bounds, each with the part of it that lies there."""
        first, start = self._place(low) if low is not None else (0, 0)
        last, end = self._place(high) if high is not None else (len(self._blocks), 0)
        for at in range(first, min(last + 1, len(self._blocks))):
            block = self._blocks[at]
            begins = start if at == first else 0
            ends = end if at == last else len(block.ranks)
            if begins < ends:
                yield block, begins, ends

    def _place(self, bound: Bound) -> _Place:
        at = bisect_left(self._lasts, bound)
        return (at, bisect_left(self._blocks[at].ranks, bound)) if at < len(self._blocks) else (at, 0)
