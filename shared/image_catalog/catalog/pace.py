"""How often entries of a registry can be checked, decided from its limit and how many there are.

Entries share a limit alike: where it does not suffice for a check of each in
its interval, none is checked more often than its even share allows. Those that
ask for less keep their interval.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from image_catalog.catalog.budget import Limit, cost_of_check
from image_catalog.catalog.conditions import Finding, merge_conditions
from image_catalog.models import CatalogRegistry, CatalogRegistryStatus, Condition, RegistryBudget
from image_catalog.models.durations import format_duration, parse_duration

__all__ = ["Demand", "Pace", "budget_ratio", "status_budgeted", "stretched"]

_TELLING = 0.05
"""Change of the ratio that is worth a write."""

_STEPS = 4
"""Steps from a length of time to its double."""


@dataclass(slots=True)
class Demand:
    """What the entries of a registry ask for.

    Attributes
    ----------
    entries
        How many there are.
    checks_per_second
        How often they would be checked, all together.
    """

    entries: int = 0
    checks_per_second: float = 0.0

    def add(self, interval: timedelta) -> None:
        """Count an entry that is to be checked once in an interval."""
        self.entries += 1
        self.checks_per_second += 1 / interval.total_seconds()


@dataclass(frozen=True, slots=True)
class Pace:
    """What a registry's limit allows each of its entries.

    Attributes
    ----------
    interval
        Shortest time between two checks of an entry.
    why
        What the limit is, and how many share it.
    """

    interval: timedelta
    why: str

    @classmethod
    def of(cls, registry: CatalogRegistry | None) -> Pace | None:
        """Read the pace of a registry; `None` where its entries are checked as they ask."""
        budget = registry.status.budget if registry else None
        limit = Limit.of(registry) if registry else None
        if registry is None or budget is None or limit is None or budget.interval is None:
            return None
        try:
            interval = parse_duration(budget.interval)
        except ValueError:
            return None  # Edited by hand; the next count writes it anew.
        return cls(interval, f"{_allows(registry, limit)}, and {budget.entries} entries share them")


def stretched(limit: Limit, demand: Demand, cost: float) -> timedelta:
    """Return the shortest interval that a limit allows so many entries.

    In steps, of which four double it: entries keep their time within their
    interval only while that stays the same.
    """
    seconds = demand.entries * cost / limit.sustained
    if seconds <= 1:
        return timedelta(seconds=1)
    mantissa, exponent = math.frexp(seconds)
    step = 2.0 * _STEPS
    return timedelta(seconds=math.ceil(math.ldexp(math.ceil(mantissa * step) / step, exponent)))


def budget_ratio(limit: Limit, demand: Demand, cost: float) -> float | None:
    """Return what a limit allows of the checks that are asked for; `None` where none is."""
    asked = demand.checks_per_second * cost
    return round(limit.sustained / asked, 3) if asked else None


def status_budgeted(registry: CatalogRegistry, demand: Demand, *, now: datetime) -> CatalogRegistryStatus | None:
    """Return the status of a registry whose entries were counted; `None` if it says so already.

    Parameters
    ----------
    registry
        The registry as it is.
    demand
        What its entries ask for.
    now
        The time.
    """
    status, limit = registry.status, Limit.of(registry)
    if limit is None:
        return _without_limit(status)
    before = status.budget or RegistryBudget()
    cost = cost_of_check(status.budget)
    ratio = budget_ratio(limit, demand, cost)
    interval = None if ratio is None or ratio >= 1 else format_duration(stretched(limit, demand, cost))
    budget = before.model_copy(update={"entries": demand.entries, "ratio": ratio, "interval": interval})
    finding = _suffices(registry, limit, demand, ratio, interval)
    conditions = merge_conditions(
        status.conditions, {"LimitsSuffice": finding}, generation=registry.metadata.generation, now=now
    )
    same = (before.entries, before.interval) == (budget.entries, budget.interval) and _is_near(before.ratio, ratio)
    if same and _says(status.conditions) == finding.status:
        return None
    return status.model_copy(update={"budget": budget, "conditions": conditions})


def _without_limit(status: CatalogRegistryStatus) -> CatalogRegistryStatus | None:
    """Take away what is said of a limit that is there no more."""
    if _says(status.conditions) is None and (status.budget is None or status.budget.entries is None):
        return None
    conditions = [condition for condition in status.conditions if condition.type != "LimitsSuffice"]
    return status.model_copy(update={"budget": None, "conditions": conditions})


def _suffices(
    registry: CatalogRegistry, limit: Limit, demand: Demand, ratio: float | None, interval: str | None
) -> Finding:
    allowed = _allows(registry, limit)
    if interval is None:
        return Finding("True", "Sufficient", f"{allowed}; that is enough for the {demand.entries} entries there are")
    message = (
        f"{allowed}: that is {ratio:.0%} of what its {demand.entries} entries ask for, so that each is checked "
        f"once in {interval} at most; allow more, ask for longer intervals, or for fewer images"
    )
    return Finding("False", "Insufficient", message)


def _allows(registry: CatalogRegistry, limit: Limit) -> str:
    return f"{registry.spec.host} allows {limit.requests} requests in any {format_duration(limit.window)}"


def _says(conditions: Iterable[Condition]) -> str | None:
    return next((condition.status for condition in conditions if condition.type == "LimitsSuffice"), None)


def _is_near(before: float | None, now: float | None) -> bool:
    if before is None or now is None:
        return before is now
    return abs(before - now) <= _TELLING * max(before, now)
