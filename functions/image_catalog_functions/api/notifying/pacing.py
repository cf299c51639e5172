"""How often an entry, and all of a registry, is asked for: what comes faster is put together.

A storm of pushes must cost the registry no more than it can bear. An entry's first
push is passed on at once. One that comes within the interval waits for its end, and
each later one takes its place: the last is honoured, whatever came before. What a
registry's rate does not allow waits, too, in the order in which it came.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import Generic, TypeVar

__all__ = ["Pacer"]

K = TypeVar("K", bound=Hashable)
W = TypeVar("W")


@dataclass(slots=True)
class _Lane(Generic[K, W]):
    """What goes through for one registry."""

    left: float
    """Wishes that may go at once, at the moment `counted`."""
    counted: float
    waiting: OrderedDict[K, W] = field(default_factory=OrderedDict)
    gone: OrderedDict[K, float] = field(default_factory=OrderedDict)
    """When each went that went within the interval, the first first."""


class Pacer(Generic[K, W]):
    """Says which wishes may go, and keeps the others: one for each key, so that there are never more than keys.

    Parameters
    ----------
    interval
        Shortest time between two wishes of a key.
    rate
        Wishes a second of all keys of a lane, one second's at once.
    clock
        Seconds of a clock that never goes back.
    """

    def __init__(self, *, interval: timedelta, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = interval.total_seconds()
        self._rate = rate
        self._burst = max(1.0, rate)
        self._clock = clock
        self._lanes: dict[str, _Lane[K, W]] = {}

    def __len__(self) -> int:
        """Tell how many wishes wait."""
        return sum(len(lane.waiting) for lane in self._lanes.values())

    def admit(self, lane: str, key: K, wish: W) -> bool:
        """Tell whether a wish may go now; one that may not is kept, in the place of an earlier one of its key.

        Parameters
        ----------
        lane
            The registry.
        key
            What is asked for.
        wish
            How.
        """
        of = self._lane(lane)
        if key not in of.waiting and key not in of.gone and of.left >= 1:
            self._go(of, key)
            return True
        of.waiting[key] = wish
        return False

    def keep(self, lane: str, key: K, wish: W) -> None:
        """Keep a wish that was let go and did not arrive; one that came meanwhile is newer."""
        of = self._lane(lane)
        of.gone.pop(key, None)
        of.waiting.setdefault(key, wish)

    def release(self, limit: int) -> list[tuple[str, K, W]]:
        """Let go what has waited long enough, of each registry in the order in which it came.

        Parameters
        ----------
        limit
            How many at most.
        """
        released: list[tuple[str, K, W]] = []
        for name in self._lanes:
            of = self._lane(name)
            room = max(0, min(int(of.left), limit - len(released)))
            for key in list(islice((key for key in of.waiting if key not in of.gone), room)):
                self._go(of, key)
                released.append((name, key, of.waiting.pop(key)))
        return released

    def take_all(self) -> list[tuple[str, K, W]]:
        """Let everything go."""
        return [(name, *of.waiting.popitem(last=False)) for name, of in self._lanes.items() for _ in list(of.waiting)]

    def wait(self) -> float | None:
        """Return in how many seconds something may go; `None` while nothing waits."""
        return min(self._waits(), default=None)

    def _waits(self) -> Iterator[float]:
        now = self._clock()
        for name, of in self._lanes.items():
            if not of.waiting:
                continue
            self._lane(name)
            # No more are gone than the rate lets through in an interval: the walk is short however many wait.
            is_ripe = any(key not in of.gone for key in of.waiting)
            first = 0.0 if is_ripe else min(of.gone[key] for key in of.waiting) + self._interval - now
            yield max(0.0, first, (1 - of.left) / self._rate)

    def _lane(self, name: str) -> _Lane[K, W]:
        """Return a lane as it is now."""
        now = self._clock()
        of = self._lanes.setdefault(name, _Lane(self._burst, now))
        of.left = min(self._burst, of.left + (now - of.counted) * self._rate)
        of.counted = now
        while of.gone and next(iter(of.gone.values())) + self._interval <= now:
            of.gone.popitem(last=False)
        return of

    def _go(self, of: _Lane[K, W], key: K) -> None:
        of.left -= 1
        of.gone[key] = of.counted
