"""What a registry's limit allows, and who may take of it: pure decisions over a CatalogRegistry's status.

A limit is so many requests in any period. What is taken of it stands in
`status.budget.taken`, by parts of the period, and is written before the
requests are made: however many processes ask, and whenever one of them dies,
together they never make more than the limit says. A part counts until
everything that was taken in it is a period ago.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum

from image_catalog.models import BudgetSlice, CatalogRegistry, RegistryBudget

__all__ = ["Limit", "Urgency", "cost_of_check", "give", "left", "remaining_wait", "slice_start"]

PARTS = 12
"""Parts of a period: what was taken counts for a twelfth of it too long at most."""

_TICK = timedelta(minutes=1)
"""How often what is due is asked for: in parts that are shorter many ask for nothing, and the others make up for it."""

_PROBES = 0.04
"""Share of a limit that goes into probes."""

_LEAST = 2
"""Requests of a check that finds nothing new, and needs a token for it."""

_COST = 2.0
_MOST_COST = 8.0
_TELLING = 8
"""Requests of a check: what is assumed until so many checks have told better, and what is believed of them at most."""


class Urgency(IntEnum):
    """Who wants a check, the most patient first."""

    ROUTINE = 0
    """Its time has come."""
    SEEN = 1
    """An entry was made or edited."""
    ASKED = 2
    """Somebody waits for it: a publication, or a request."""


_SHARES = {Urgency.ROUTINE: 0.8, Urgency.SEEN: 0.87, Urgency.ASKED: 0.94}
"""How much of a limit may be taken in all: the rest is for who is more urgent, and past the last for probes."""


@dataclass(frozen=True, slots=True)
class Limit:
    """Requests that may be made in any period.

    Attributes
    ----------
    requests
        How many.
    window
        The period.
    """

    requests: int
    window: timedelta

    @classmethod
    def of(cls, registry: CatalogRegistry) -> Limit | None:
        """Return the limit that an administrator gave; `None` without one."""
        limits = registry.spec.limits
        if limits is None or limits.requests is None:
            return None
        return cls(limits.requests, limits.window)

    @property
    def part(self) -> timedelta:
        """The length of a part: what was taken in one is used before it ends."""
        return self.window / PARTS

    @property
    def chunk(self) -> int:
        """What is taken at once at least: a hundredth, so that a busy process writes seldom."""
        return max(self.requests // 100, 1)

    @property
    def probe_interval(self) -> timedelta:
        """Shortest time between two probes."""
        return self.window / (self.requests * _PROBES)

    def share(self, urgency: Urgency) -> int:
        """Return how much of it may be taken in a period, by all together, until somebody must wait."""
        return max(int(self.requests * _SHARES[urgency]), 1)

    @property
    def sustained(self) -> float:
        """Return how many requests a second checks that come by themselves may make for ever."""
        return self.share(Urgency.ROUTINE) / (self.window + self.part).total_seconds()


def slice_start(limit: Limit, now: datetime) -> datetime:
    """Return when the present part of a limit's period began, the same for every process."""
    length = limit.part.total_seconds()
    return datetime.fromtimestamp(math.floor(now.timestamp() / length) * length, tz=UTC)


def left(limit: Limit, budget: RegistryBudget | None, urgency: Urgency, *, now: datetime, wanted: int = _LEAST) -> int:
    """Return how many requests somebody may take at present.

    Parameters
    ----------
    limit
        The limit.
    budget
        What is taken of it.
    urgency
        Who asks.
    now
        The time.
    wanted
        Requests of one check: as many may be taken at the beginning of a part,
        however small its share is.
    """
    counting = _counting(limit, budget, now)
    free = limit.share(urgency) - sum(part.requests for part in counting)
    if urgency is Urgency.ROUTINE and limit.part >= _TICK:
        # No more in one part than its even share: a backlog is worked off evenly, not as fast as may be and then not.
        start = slice_start(limit, now)
        present = sum(part.requests for part in counting if part.since >= _second(start))
        even = math.ceil(limit.share(urgency) / PARTS)
        free = min(free, even - present if present else max(even, wanted))
    return max(free, 0)


def give(
    limit: Limit, budget: RegistryBudget | None, urgency: Urgency, *, wanted: int, now: datetime, checks: int = 0
) -> tuple[RegistryBudget, int] | timedelta:
    """Take of a limit.

    Parameters
    ----------
    limit
        The limit.
    budget
        What is taken of it.
    urgency
        Who asks.
    wanted
        Requests that are needed; with less nothing can be begun.
    now
        The time.
    checks
        Checks that were made with what was taken before.

    Returns
    -------
    tuple or timedelta
        The budget to write, and how many requests it gives: more than were
        wanted where there is enough. Or how long to wait for them.
    """
    budget = budget or RegistryBudget()
    wanted = min(wanted, limit.share(urgency))
    free = left(limit, budget, urgency, now=now, wanted=wanted)
    if free < wanted:
        return _wait(limit, budget, urgency, wanted, now)
    given = min(max(wanted, limit.chunk), free)
    start = _second(slice_start(limit, now))
    parts = [part for part in _counting(limit, budget, now) if part.since != start]
    before = next((part for part in budget.taken if part.since == start), BudgetSlice(since=start))
    parts.append(BudgetSlice(since=start, requests=before.requests + given, checks=before.checks + checks))
    # More than fit is what a clock that goes wrong has left; the oldest count for least.
    kept = sorted(parts, key=lambda part: part.since)[-_MOST_PARTS:]
    return budget.model_copy(update={"taken": kept}), given


_MOST_PARTS = PARTS + 4


def cost_of_check(budget: RegistryBudget | None) -> float:
    """Return how many requests a check has taken of late, on average."""
    parts = budget.taken if budget else ()
    checks = sum(part.checks for part in parts)
    if checks < _TELLING:
        return _COST
    return min(max(sum(part.requests for part in parts) / checks, 1.0), _MOST_COST)


def remaining_wait(budget: RegistryBudget | None, *, now: datetime) -> timedelta | None:
    """Return how long what is left by the registry's own word is kept for who is asked for; `None` if it is not."""
    until = budget.remaining_until if budget else None
    return until - now if until is not None and now < until else None


def _counting(limit: Limit, budget: RegistryBudget | None, now: datetime) -> list[BudgetSlice]:
    """Return the parts that still count, one that a wrong clock wrote ahead of the time included."""
    oldest = now - limit.window - limit.part
    # Times are written to the second, which may put the end of a part that much too early.
    return [part for part in (budget.taken if budget else ()) if part.since + _SECOND > oldest]


_SECOND = timedelta(seconds=1)


def _second(at: datetime) -> datetime:
    return at.replace(microsecond=0)


def _wait(limit: Limit, budget: RegistryBudget, urgency: Urgency, wanted: int, now: datetime) -> timedelta:
    """Return when enough of what was taken counts no more."""
    for at in sorted(_moments(limit, _counting(limit, budget, now), now)):
        if left(limit, budget, urgency, now=at, wanted=wanted) >= wanted:
            return max(at - now, _SECOND)
    return limit.window


def _moments(limit: Limit, parts: Iterable[BudgetSlice], now: datetime) -> list[datetime]:
    following = slice_start(limit, now) + limit.part + _SECOND
    return [following, *(part.since + _SECOND + limit.part + limit.window for part in parts)]
