"""Ranks in order, in blocks of some hundred, so that what does not match is passed over and counted in steps."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from math import inf

from pyroaring import BitMap

__all__ = ["Bound", "Rank", "Ranks"]

Rank = tuple[float | str, str, str, int]
"""What is sorted by, namespace, name and slot; the smallest comes first."""

Bound = tuple[float | str, ...]
"""The beginning of a rank: smaller than every rank that goes on from there."""

_Place = tuple[int, int, int]
"""Where a bound stands: number of the span, of the block in it, and of the first slot there that is not before it."""

_BLOCK = 128
"""Slots in a block when it is cut in two: to pass over one costs a microsecond, to look through it five."""

_SPARSE = 32
"""Where one slot of so many matches, the matches are sorted faster than they are met on a walk."""

_DENSE = 4
"""Where a block has so many times the matches that are still wanted, the walk soon ends: no set is worth making."""

_SPANS = 48
"""Spans at most. Each knows what comes before it, a bit for each slot: together six bytes for each."""

_SPAN = 8
"""Blocks that a span may have in any case."""

_GONE: Rank = (inf, "", "", -1)
"""Rank of a slot that has none."""


class _Block:
    """Neighbours in the order: an array, because a walk through one touches no objects, which lie far apart."""

    __slots__ = ("order", "slots")

    def __init__(self, slots: Iterable[int]) -> None:
        self.order = array("I", slots)
        self.slots = BitMap(self.order)

    def count(self, matches: BitMap | None, end: int) -> int:
        """Tell how many of the first slots match."""
        if matches is None:
            return end
        # A bitmap is made and met with the matches in the time in which ten slots are looked up one by one.
        count = matches.intersection_cardinality
        if end <= len(self.order) // 2:
            return count(BitMap(self.order[:end]))
        return count(self.slots) - count(BitMap(self.order[end:]))


class _Span:
    """Blocks that follow one another, and every slot that comes before them."""

    __slots__ = ("before", "blocks")

    def __init__(self, blocks: list[_Block], before: BitMap) -> None:
        self.blocks = blocks
        self.before = before


class Ranks:
    """A sorted set of ranks, one for each slot, that counts what matches before any place without walking there.

    Parameters
    ----------
    block
        Slots in a block when it is cut in two.
    spans
        How many spans there are at most.
    """

    def __init__(self, *, block: int = _BLOCK, spans: int = _SPANS) -> None:
        self._block = block
        self._most = spans
        self._spans: list[_Span] = []
        self._of: list[Rank] = []
        self._count = 0
        self._blocks = 0
        # The bound that was looked for last, while nothing moves: a page begins where its count does.
        self._known: tuple[Bound, _Place] | None = None

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, slot: int) -> Rank:
        rank = self._of[slot]
        if rank is _GONE:
            raise KeyError(slot)
        return rank

    @property
    def blocks(self) -> int:
        """How many steps a walk takes that passes over everything."""
        return self._blocks

    def put(self, rank: Rank) -> None:
        """Put a slot's rank in its place; the one that it had goes. Slots are taken from 0, without a gap."""
        slot = rank[3]
        if slot == len(self._of):
            self._of.append(_GONE)
        known = self._of[slot]
        if known == rank:
            return
        if known is not _GONE:
            self.remove(slot)
        self._known = None
        self._of[slot] = rank
        self._count += 1
        if not self._spans:
            self._spans, self._blocks = [_Span([_Block((slot,))], BitMap())], 1
            return
        at = min(self._find_span(rank), len(self._spans) - 1)
        for later in self._spans[at + 1 :]:
            later.before.add(slot)
        span = self._spans[at]
        number = min(self._find_block(span, rank), len(span.blocks) - 1)
        block = span.blocks[number]
        block.order.insert(self._find(block, rank), slot)
        block.slots.add(slot)
        if len(block.order) > 2 * self._block:
            span.blocks[number : number + 1] = [_Block(block.order[: self._block]), _Block(block.order[self._block :])]
            self._blocks += 1
            if len(span.blocks) > max(_SPAN, 2 * self._blocks // self._most):
                self._split(at)

    def remove(self, slot: int) -> None:
        """Take out the rank of a slot that has one."""
        rank = self[slot]
        self._known = None
        at = self._find_span(rank)
        span = self._spans[at]
        number = self._find_block(span, rank)
        block = span.blocks[number]
        del block.order[self._find(block, rank)]
        block.slots.discard(slot)
        for later in self._spans[at + 1 :]:
            later.before.discard(slot)
        self._of[slot] = _GONE
        self._count -= 1
        if not block.order or (len(block.order) < self._block // 2 and len(span.blocks) > 1):
            self._shrink(at, number)

    def page(
        self, matches: BitMap | None, low: Bound | None, high: Bound | None, *, backwards: bool, limit: int
    ) -> list[int]:
        """Return the first matching slots between two bounds, in order.

        Parameters
        ----------
        matches
            The slots that count; `None` for all.
        low, high
            From the first on, up to but not with the second; `None` for an open end.
        backwards
            Whether the last comes first.
        limit
            How many at most; 0 for no limit.
        """
        found: list[int] = []
        for block, start, end in self._between(low, high, backwards=backwards):
            slots: Sequence[int] = block.order[start:end]
            if backwards:
                slots = slots[::-1]
            if matches is None:
                found += slots[: limit - len(found)] if limit else slots
            else:
                near = matches & block.slots
                wanted = limit - len(found) if limit else len(near)
                if len(near) * _SPARSE <= len(block.order):
                    found += self.sort(near, low, high, backwards=backwards)[:wanted]
                else:
                    # To look into a set of numbers takes half as long as into a bitmap, but it has to be made.
                    held = matches if len(near) > _DENSE * wanted else set(near)
                    found += islice(filter(held.__contains__, slots), wanted)
            if limit and len(found) == limit:
                break
        return found

    def sort(self, matches: BitMap, low: Bound | None, high: Bound | None, *, backwards: bool) -> list[int]:
        """Return the matching slots between two bounds, in order: for when there are few.

        Parameters
        ----------
        matches
            The slots that count; each has a rank.
        low, high
            From the first on, up to but not with the second; `None` for an open end.
        backwards
            Whether the last comes first.
        """
        ranks = list(map(self._of.__getitem__, matches))
        if low is not None:
            ranks = [rank for rank in ranks if rank > low]
        if high is not None:
            ranks = [rank for rank in ranks if rank < high]
        ranks.sort(reverse=backwards)
        return [rank[3] for rank in ranks]

    def count(self, matches: BitMap | None, low: Bound | None, high: Bound | None) -> int:
        """Tell how many ranks of matching slots lie between two bounds.

        Parameters
        ----------
        matches
            The slots that count; `None` for all.
        low, high
            From the first on, up to but not with the second; `None` for an open end.
        """
        upto = self._count_before(matches, high)
        return upto if low is None else max(upto - self._count_before(matches, low), 0)

    def _count_before(self, matches: BitMap | None, bound: Bound | None) -> int:
        at, number, end = (len(self._spans), 0, 0) if bound is None else self._place(bound)
        if at == len(self._spans):
            return self._count if matches is None else len(matches)
        span = self._spans[at]
        last = span.blocks[number].count(matches, end)
        if matches is None:
            return len(span.before) + sum([len(each.order) for each in span.blocks[:number]]) + last
        count = matches.intersection_cardinality
        if at + 1 < len(self._spans) and number > len(span.blocks) // 2:
            # The end of the span is nearer than its beginning.
            return count(self._spans[at + 1].before) - sum([count(each.slots) for each in span.blocks[number:]]) + last
        return count(span.before) + sum([count(each.slots) for each in span.blocks[:number]]) + last

    def _between(self, low: Bound | None, high: Bound | None, *, backwards: bool) -> Iterator[tuple[_Block, int, int]]:
        """Give the blocks between two bounds, each with the part of it that lies there."""
        spans = self._spans
        first, begin, start = (0, 0, 0) if low is None else self._place(low)
        last, end, stop = (len(spans), 0, 0) if high is None else self._place(high)
        numbers = range(first, min(last + 1, len(spans)))
        for at in reversed(numbers) if backwards else numbers:
            blocks = spans[at].blocks
            within = range(begin if at == first else 0, min(end + 1, len(blocks)) if at == last else len(blocks))
            for number in reversed(within) if backwards else within:
                block = blocks[number]
                lower = start if at == first and number == begin else 0
                upper = stop if at == last and number == end else len(block.order)
                if lower < upper:
                    yield block, lower, upper

    def _place(self, bound: Bound) -> _Place:
        """Return where a bound stands; behind everything that is the first slot of a span that there is not."""
        if self._known is not None and self._known[0] is bound:
            return self._known[1]
        place, at = (len(self._spans), 0, 0), self._find_span(bound)
        if at < len(self._spans):
            number = self._find_block(self._spans[at], bound)
            place = (at, number, self._find(self._spans[at].blocks[number], bound))
        self._known = (bound, place)
        return place

    def _find_span(self, bound: Bound) -> int:
        """Return the number of the first span that does not end before a bound."""
        of = self._of
        return bisect_left(self._spans, bound, key=lambda span: of[span.blocks[-1].order[-1]])

    def _find_block(self, span: _Span, bound: Bound) -> int:
        of = self._of
        return bisect_left(span.blocks, bound, key=lambda block: of[block.order[-1]])

    def _find(self, block: _Block, bound: Bound) -> int:
        return bisect_left(block.order, bound, key=self._of.__getitem__)

    def _shrink(self, at: int, number: int) -> None:
        """Join a block with a neighbour, lest an order that moves through the blocks leave them all nearly empty."""
        span = self._spans[at]
        first, before = max(number - 1, 0), len(span.blocks)
        joined = array("I", [slot for near in span.blocks[first : first + 2] for slot in near.order])
        half = len(joined) // 2
        parts = [joined[:half], joined[half:]] if half >= self._block else [joined]
        span.blocks[first : first + 2] = [_Block(part) for part in parts if part]
        self._blocks += len(span.blocks) - before
        if not span.blocks:
            del self._spans[at]
        elif len(span.blocks) == 1 and at:
            self._join(at)

    def _split(self, at: int) -> None:
        """Make two spans of one; where that is too many, join those two neighbours that are the smallest."""
        span = self._spans[at]
        half = len(span.blocks) // 2
        first, second = span.blocks[:half], span.blocks[half:]
        before = BitMap.union(span.before, *(block.slots for block in first))
        self._spans[at : at + 1] = [_Span(first, span.before), _Span(second, before)]
        if len(self._spans) > self._most:
            sizes = [len(each.blocks) for each in self._spans]
            self._join(min(range(1, len(sizes)), key=lambda number: sizes[number - 1] + sizes[number]))

    def _join(self, at: int) -> None:
        """Make one span of two neighbours."""
        left, right = self._spans[at - 1 : at + 1]
        self._spans[at - 1 : at + 1] = [_Span(left.blocks + right.blocks, left.before)]
