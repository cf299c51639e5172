"""The entries that one tick asks for: those that are due longest, and of each registry as many as of the others."""

from __future__ import annotations

import heapq
from collections import defaultdict
from datetime import UTC, datetime

from image_catalog.cluster import ImageRow
from image_catalog_functions.reverify.budgets import Lanes

__all__ = ["Batch", "registry_of"]

_LONG_AGO = datetime.fromtimestamp(0, tz=UTC)
"""When an entry without a time was due: before every other."""


def registry_of(row: ImageRow) -> str:
    """Return the host of an entry's reference, as far as it takes to tell registries apart."""
    return row.registry_url.split("/", 1)[0].lower()


class Batch:
    """Keeps as many entries as there is room for, as they stream by.

    Where more is due, the registries share the room alike: entries of one
    that is slow stay due, and would else fill it tick by tick, the oldest of
    all. What leaves is the youngest entry of whoever has most.

    Parameters
    ----------
    room
        Most entries that are kept.
    lanes
        What registries' limits allow; `None` where there are no limits.
    """

    def __init__(self, room: int, lanes: Lanes | None = None) -> None:
        self._left = room
        self._lanes = lanes
        self._count = 0
        # Heaps of what is overdue longest: the keys are negated so that the youngest leaves first.
        self._kept: dict[str, list[tuple[float, int, ImageRow]]] = defaultdict(list)
        # Who has how many, so that whoever has most is found at once among any number of registries.
        self._sizes: dict[int, dict[str, None]] = defaultdict(dict)
        self._most = 0

    def add(self, row: ImageRow) -> None:
        """Keep an entry that is due, if it is due longer than others of its registry or that has less than its part."""
        self._count += 1
        lane = self._lanes.find(row.registry_url) if self._lanes is not None else None
        registry, due_at = lane[0] if lane else registry_of(row), row.next_verification or _LONG_AGO
        heapq.heappush(self._kept[registry], (-due_at.timestamp(), -self._count, row))
        self._resized(registry, 1)
        if lane is not None and len(self._kept[registry]) > lane[1]:
            heapq.heappop(self._kept[registry])
            self._resized(registry, -1)
            return
        if self._left:
            self._left -= 1
            return
        longest = next(iter(self._sizes[self._most]))
        heapq.heappop(self._kept[longest])
        self._resized(longest, -1)

    def rows(self) -> list[ImageRow]:
        """Return the entries, the oldest first."""
        items = [item for heap in self._kept.values() for item in heap]
        return [row for _, _, row in sorted(items, key=lambda item: item[:2], reverse=True)]

    def _resized(self, registry: str, by: int) -> None:
        size = len(self._kept[registry])
        self._sizes[size - by].pop(registry, None)
        if size:
            self._sizes[size][registry] = None
        else:
            del self._kept[registry]
        if size > self._most or not self._sizes[self._most]:
            self._most = size
