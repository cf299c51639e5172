"""Ranks in order, in blocks of some hundred, so that what does not match is passed over and counted in steps."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
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

_SPANS = 48
"""Spans at most. Each knows what comes before it, a bit for each slot: together six bytes for each."""

_SPAN = 8
"""Blocks that a span may have in any case."""

_KNOWN = 8
"""Places that are remembered: a query has three bounds at most."""

_GONE: Rank = (inf, "", "", -1)
"""Rank of a slot that has none."""


class _Block:
    """Neighbours in the order: an array, because a walk through one touches no objects, which lie far apart."""

    __slots__ = ("numbered", "order", "slots")

    def __init__(self, slots: Iterable[int]) -> None:
        self.order = array("I", slots)
        self.slots = BitMap(self.order)
        self.numbered = False

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
    """Blocks that follow one another, the last rank of each, and every slot that comes before them."""

    __slots__ = ("before", "blocks", "ends")

    def __init__(self, blocks: list[_Block], before: BitMap, ranks: Sequence[Rank]) -> None:
        self.blocks = blocks
        self.before = before
        self.ends = [ranks[block.order[-1]] for block in blocks]


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
        # The last rank of each span: a place is found without a look at what lies in between.
        self._ends: list[Rank] = []
        self._of: list[Rank] = []
        # Which of its block's slots a slot is, where the block is numbered: to sort by it touches no objects either.
        self._number = array("H")
        self._count = 0
        self._blocks = 0
        # The bounds that were looked for lately, while nothing moves: a page begins where its count does.
        self._known: dict[Bound, _Place] = {}

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
            self._number.append(0)
        known = self._of[slot]
        if known == rank:
            return
        if known is not _GONE:
            self.remove(slot)
        self._known.clear()
        self._of[slot] = rank
        self._count += 1
        if not self._spans:
            self._spans, self._blocks = [_Span([_Block((slot,))], BitMap(), self._of)], 1
            self._ends = [rank]
            return
        at = min(bisect_left(self._ends, rank), len(self._spans) - 1)
        for later in self._spans[at + 1 :]:
            later.before.add(slot)
        span = self._spans[at]
        number = min(bisect_left(span.ends, rank), len(span.blocks) - 1)
        block = span.blocks[number]
        block.order.insert(self._find(block, rank), slot)
        block.numbered = False
        block.slots.add(slot)
        if len(block.order) > 2 * self._block:
            halves = [_Block(block.order[: self._block]), _Block(block.order[self._block :])]
            self._replace(at, number, number + 1, halves)
            if len(span.blocks) > max(_SPAN, 2 * self._blocks // self._most):
                self._split(at)
        else:
            self._close(at, number)

    def remove(self, slot: int) -> None:
        """Take out the rank of a slot that has one."""
        rank = self[slot]
        self._known.clear()
        at = bisect_left(self._ends, rank)
        span = self._spans[at]
        number = bisect_left(span.ends, rank)
        block = span.blocks[number]
        del block.order[self._find(block, rank)]
        block.numbered = False
        block.slots.discard(slot)
        for later in self._spans[at + 1 :]:
            later.before.discard(slot)
        self._of[slot] = _GONE
        self._count -= 1
        if not block.order or (len(block.order) < self._block // 2 and len(span.blocks) > 1):
            self._shrink(at, number)
        else:
            self._close(at, number)

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
        begin, end = self._places(low, high)
        last = min(end[0], len(self._spans) - 1)
        at = last if backwards else begin[0]
        while begin[0] <= at <= last:
            before = len(found)
            for block, start, stop in self._within(at, begin, end, backwards=backwards):
                wanted = limit - len(found) if limit else stop - start
                found += self._take(block, start, stop, matches, wanted, backwards=backwards)
                if limit and len(found) == limit:
                    return found
            at += -1 if backwards else 1
            if matches is not None and len(found) == before:
                at = self._next_held(at, matches, backwards=backwards)
        return found

    def _take(
        self, block: _Block, start: int, stop: int, matches: BitMap | None, wanted: int, *, backwards: bool
    ) -> Iterable[int]:
        """Return the first matching slots of a part of a block."""
        order = block.order
        if matches is not None:
            near = matches & block.slots
            # To sort a match costs about what a look at a slot costs on a walk that ends when enough are found.
            if len(near) ** 2 <= len(order) * wanted:
                return self._sort_near(block, near, start, stop, backwards=backwards)[:wanted]
        slots: Sequence[int] = order if stop - start == len(order) else order[start:stop]
        if backwards:
            slots = slots[::-1]
        return slots[:wanted] if matches is None else islice(filter(near.__contains__, slots), wanted)

    def _sort_near(self, block: _Block, near: BitMap, start: int, stop: int, *, backwards: bool) -> list[int]:
        """Return those of a block's slots that are in a part of it, in order."""
        numbers = self._number
        if not block.numbered:
            for number, slot in enumerate(block.order):
                numbers[slot] = number
            block.numbered = True
        slots = sorted(near, key=numbers.__getitem__, reverse=backwards)
        if stop - start == len(block.order):
            return slots
        return [slot for slot in slots if start <= numbers[slot] < stop]

    def _next_held(self, at: int, matches: BitMap, *, backwards: bool) -> int:
        """Return the next span, from one on, that holds a match: a filter can leave a far part of the order alone."""
        count, spans = matches.intersection_cardinality, self._spans
        if not 0 <= at < len(spans) - 1:
            return at
        if backwards:
            upto = count(spans[at + 1].before)
            return bisect_left(spans, upto, hi=at + 1, key=lambda span: count(span.before)) - 1
        return bisect_right(spans, count(spans[at].before), lo=at, key=lambda span: count(span.before)) - 1

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

    def before(self, bound: Bound) -> BitMap:
        """Return the slots whose rank is smaller than a bound."""
        at, number, end = self._place(bound)
        if at == len(self._spans):
            return BitMap.union(self._spans[-1].before, *(b.slots for b in self._spans[-1].blocks)) if at else BitMap()
        span = self._spans[at]
        slots = (block.slots for block in span.blocks[:number])
        return BitMap.union(span.before, *slots, BitMap(span.blocks[number].order[:end]))

    def _count_before(self, matches: BitMap | None, bound: Bound | None) -> int:
        at, number, end = (len(self._spans), 0, 0) if bound is None else self._place(bound)
        if at == len(self._spans):
            return self._count if matches is None else len(matches)
        span = self._spans[at]
        last = span.blocks[number].count(matches, end)
        if matches is None:
            return len(span.before) + sum([len(each.order) for each in span.blocks[:number]]) + last
        count = matches.intersection_cardinality
        if number > len(span.blocks) // 2:
            # The end of the span is nearer than its beginning.
            upto = count(self._spans[at + 1].before) if at + 1 < len(self._spans) else len(matches)
            return upto - sum([count(each.slots) for each in span.blocks[number:]]) + last
        return count(span.before) + sum([count(each.slots) for each in span.blocks[:number]]) + last

    def _within(self, at: int, begin: _Place, end: _Place, *, backwards: bool) -> Iterator[tuple[_Block, int, int]]:
        """Give a span's blocks between two places, each with the part of it that lies there."""
        blocks = self._spans[at].blocks
        first, start = begin[1:] if at == begin[0] else (0, 0)
        last, stop = end[1:] if at == end[0] else (len(blocks) - 1, len(blocks[-1].order))
        for number in range(last, first - 1, -1) if backwards else range(first, last + 1):
            block = blocks[number]
            lower, upper = start if number == first else 0, stop if number == last else len(block.order)
            if lower < upper:
                yield block, lower, upper

    def _places(self, low: Bound | None, high: Bound | None) -> tuple[_Place, _Place]:
        begin = (0, 0, 0) if low is None else self._place(low)
        return begin, (len(self._spans), 0, 0) if high is None else self._place(high)

    def _place(self, bound: Bound) -> _Place:
        """Return where a bound stands; behind everything that is the first slot of a span that there is not."""
        place = self._known.get(bound)
        if place is None:
            place, at = (len(self._spans), 0, 0), bisect_left(self._ends, bound)
            if at < len(self._spans):
                span = self._spans[at]
                number = bisect_left(span.ends, bound)
                place = (at, number, self._find(span.blocks[number], bound))
            if len(self._known) >= _KNOWN:
                self._known.clear()
            self._known[bound] = place
        return place

    def _find(self, block: _Block, bound: Bound) -> int:
        return bisect_left(block.order, bound, key=self._of.__getitem__)

    def _close(self, at: int, number: int) -> None:
        """Take note of how a block ends after one of its slots came or went."""
        span = self._spans[at]
        span.ends[number] = self._of[span.blocks[number].order[-1]]
        self._ends[at] = span.ends[-1]

    def _replace(self, at: int, first: int, last: int, blocks: Sequence[_Block]) -> None:
        """Put other blocks in the place of some of a span, of which some are left."""
        span = self._spans[at]
        self._blocks += len(blocks) - (last - first)
        span.blocks[first:last] = blocks
        span.ends[first:last] = [self._of[block.order[-1]] for block in blocks]
        self._ends[at] = span.ends[-1]

    def _shrink(self, at: int, number: int) -> None:
        """Join a block with a neighbour, lest an order that moves through the blocks leave them all nearly empty."""
        span = self._spans[at]
        first = max(number - 1, 0)
        joined = array("I", [slot for near in span.blocks[first : first + 2] for slot in near.order])
        if not joined:
            # The last block of the span is empty.
            self._blocks -= 1
            del self._spans[at], self._ends[at]
            return
        half = len(joined) // 2
        parts = [joined[:half], joined[half:]] if half >= self._block else [joined]
        self._replace(at, first, min(first + 2, len(span.blocks)), [_Block(part) for part in parts])
        if len(span.blocks) == 1 and at:
            self._join(at)

    def _split(self, at: int) -> None:
        """Make two spans of one; where that is too many, join those two neighbours that are the smallest."""
        span = self._spans[at]
        half = len(span.blocks) // 2
        first, second = span.blocks[:half], span.blocks[half:]
        before = BitMap.union(span.before, *(block.slots for block in first))
        self._set(at, at + 1, [_Span(first, span.before, self._of), _Span(second, before, self._of)])
        if len(self._spans) > self._most:
            sizes = [len(each.blocks) for each in self._spans]
            self._join(min(range(1, len(sizes)), key=lambda number: sizes[number - 1] + sizes[number]))

    def _join(self, at: int) -> None:
        """Make one span of two neighbours."""
        left, right = self._spans[at - 1 : at + 1]
        self._set(at - 1, at + 1, [_Span(left.blocks + right.blocks, left.before, self._of)])

    def _set(self, first: int, last: int, spans: Sequence[_Span]) -> None:
        self._spans[first:last] = spans
        self._ends[first:last] = [span.ends[-1] for span in spans]
