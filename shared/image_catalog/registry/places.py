"""Places: how much of a process one registry may hold, so that one that is slow takes nothing from the others.

A process takes a bounded number of events at a time. A registry that hangs would in the end hold them all: each of
its images waits as long as a request may take, and those of registries that are well stand behind them. So each
registry has a number of places. It begins with a few, gets more with every check that was quick, and falls back when
answers are slow or do not come. Who finds no place waits only while there is progress; else the check is refused at
once, and whoever asked for it asks again later, when the process has long done something else.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta

from image_catalog.errors import RegistryBusyError
from image_catalog.registry.hosts import Target
from image_catalog.registry.metrics import count_refusal, show_places

__all__ = ["UNPROVEN", "Places"]

_SHARE = 4
"""A registry that is slow, or that nobody knows yet, has a fourth of its places, and no less than so many."""

_QUICK = timedelta(seconds=1)
"""An answer that took longer is slow: registries that are well need a tenth of it."""

_WAITING = 12
"""Who may wait for a registry that is slow or not known yet: with those in its places less than any function takes."""

_WAITING_PROVEN = 1024
"""The same for a registry that is quick: no function takes as many events at a time."""

_LONGEST_WAIT = timedelta(seconds=10)
"""A delivery to `publish` has 60 s, of which a check may take 45."""

UNPROVEN = 24
"""Places that all registries hold together that are slow or not known: about half of the checks of a process.

Names are typed by users, and whoever owns a domain has as many as he likes.
"""

_SLOW = 16
"""How many of those may be held when one comes that was slow: the rest is for registries that have yet to show it."""

_KEPT = 4096
"""Registries whose pace is remembered."""

_AGAIN = timedelta(seconds=5)
"""When it is worth asking again."""


@dataclass(slots=True, eq=False)
class _Lane:
    """The places of one registry."""

    most: int
    """What its administrator allows."""
    limit: int
    """How many there are at present."""
    inside: int = 0
    waiting: deque[asyncio.Future[bool]] = field(default_factory=deque)
    moved: float = 0.0
    """When something came to its end, in the loop's time; when the first came in, where nothing did."""
    proven: bool = False
    """Whether the last check that came to its end was quick."""
    answers: int = 0
    slowed: float = -1.0
    """When an answer was last slow, or did not come."""

    def slow_down(self) -> None:
        """Fall back to what a registry has that nobody knows."""
        self.proven, self.limit, self.slowed = False, _share(self.most), _now()


class Places:
    """Gives out the places of registries.

    Parameters
    ----------
    quick
        How long an answer may take that is not slow, and a registry may stand
        still before nobody waits for its places any more.
    longest
        How long anybody waits for one.
    """

    def __init__(self, *, quick: timedelta = _QUICK, longest: timedelta = _LONGEST_WAIT) -> None:
        self._quick = quick
        self._longest = longest.total_seconds()
        self._lanes: OrderedDict[tuple[str, int], _Lane] = OrderedDict()
        self._crowded: dict[_Lane, None] = {}
        """Lanes that somebody waits in; who came first is first."""
        self._unproven = 0

    @contextlib.asynccontextmanager
    async def take(self, target: Target) -> AsyncIterator[None]:
        """Hold a place of a registry.

        Parameters
        ----------
        target
            The registry.

        Raises
        ------
        RegistryBusyError
            Raised if there is none, and none is about to come free.
        """
        lane = self._lane(target)
        is_free = not lane.waiting and self._has_room(lane)
        unproven = self._enter(lane) if is_free else await self._wait(lane, target)
        self._show(lane, target)
        answers, entered = lane.answers, _now()
        try:
            yield
        finally:
            # A registry may refuse or ask for a token in no time, and then say nothing: only a whole check tells.
            if lane.answers > answers and lane.slowed < entered:
                lane.proven, lane.limit = True, min(lane.limit + 1, lane.most)
            self._leave(lane, unproven=unproven)
            self._show(lane, target)

    def answered(self, target: Target, took: timedelta) -> None:
        """Learn from an answer, whatever it says.

        Parameters
        ----------
        target
            The registry that was asked.
        took
            How long it took in all.
        """
        lane = self._lane(target)
        lane.moved = _now()
        lane.answers += 1
        if took > self._quick:
            lane.slow_down()

    def silent(self, target: Target) -> None:
        """Learn that no answer came in time.

        Parameters
        ----------
        target
            The registry that was asked.
        """
        self._lane(target).slow_down()

    def _lane(self, target: Target) -> _Lane:
        key = target.registry, target.concurrency
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = _Lane(target.concurrency, _share(target.concurrency))
            if len(self._lanes) > _KEPT:
                idle = next((key for key, old in self._lanes.items() if not old.inside and not old.waiting), key)
                del self._lanes[idle]
        self._lanes.move_to_end(key)
        return lane

    @staticmethod
    def _show(lane: _Lane, target: Target) -> None:
        show_places(target.registry, there=lane.limit, taken=lane.inside, awaited=len(lane.waiting))

    def _has_room(self, lane: _Lane) -> bool:
        together = UNPROVEN if lane.slowed < 0 else _SLOW
        return lane.inside < lane.limit and (lane.proven or self._unproven < together)

    def _enter(self, lane: _Lane) -> bool:
        """Take a place that is free, and tell whether its registry is one of those that hold a part together."""
        if lane.inside == 0:
            lane.moved = _now()
        lane.inside += 1
        # As it is now: it may be something else when the place comes free.
        unproven = not lane.proven
        self._unproven += unproven
        return unproven

    def _leave(self, lane: _Lane, *, unproven: bool) -> None:
        lane.inside -= 1
        lane.moved = _now()
        self._unproven -= unproven
        self._let_in()

    def _let_in(self) -> None:
        """Give the places that are free to those who wait, in the order in which they came to each registry."""
        for lane in list(self._crowded):
            while lane.waiting and self._has_room(lane):
                turn = lane.waiting.popleft()
                if not turn.done():
                    turn.set_result(self._enter(lane))
            if not lane.waiting:
                del self._crowded[lane]

    async def _wait(self, lane: _Lane, target: Target) -> bool:
        """Wait for a place as long as others come free."""
        began, patience = _now(), self._quick.total_seconds()
        if lane.inside and began - lane.moved > patience:
            raise _refusal(lane, target)
        if len(lane.waiting) >= (_WAITING_PROVEN if lane.proven else _WAITING):
            raise _refusal(lane, target)
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        lane.waiting.append(turn)
        self._crowded[lane] = None
        self._show(lane, target)
        try:
            while not turn.done():
                left = min(max(lane.moved, began) + patience, began + self._longest) - _now()
                if left <= 0:
                    break
                await asyncio.wait((turn,), timeout=left)
        except asyncio.CancelledError:
            if turn.done():
                self._leave(lane, unproven=turn.result())
            else:
                self._forget(lane, turn, target)
            raise
        if turn.done():
            return turn.result()
        self._forget(lane, turn, target)
        raise _refusal(lane, target)

    def _forget(self, lane: _Lane, turn: asyncio.Future[bool], target: Target) -> None:
        """Let somebody go who waits no longer."""
        turn.cancel()
        lane.waiting.remove(turn)
        if not lane.waiting:
            del self._crowded[lane]
        self._show(lane, target)


def _share(most: int) -> int:
    return max(most // _SHARE, min(most, _SHARE))


def _now() -> float:
    return asyncio.get_running_loop().time()


def _refusal(lane: _Lane, target: Target) -> RegistryBusyError:
    """Refuse a check of a registry; one that stands still no longer has the places of one that is quick."""
    count_refusal(target.registry, "busy")
    if not lane.inside:
        # It was not even asked: what others do must not take its part of the places that are kept for the new.
        message = (
            f"{target.registry} has to wait: registries that are slow, or not known yet, have all places that they may "
            "have together"
        )
        return RegistryBusyError(message, retry_after=_AGAIN)
    lane.slow_down()
    return RegistryBusyError(
        f"{target.registry} is slow: {lane.inside} checks of its images are under way and do not come to their end, "
        "so that this one has to wait until others, and those of other registries, have gone on",
        retry_after=_AGAIN,
    )
