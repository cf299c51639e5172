"""What registries' limits mean for a tick, for figures, and for the sweep that counts their entries."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Self

import structlog
from prometheus_client import Gauge

from image_catalog.catalog.budget import Limit, Urgency, cost_of_check, left, remaining_wait
from image_catalog.catalog.pace import Demand, status_budgeted
from image_catalog.catalog.schedule import Schedule
from image_catalog.cluster import CatalogRegistries
from image_catalog.errors import CatalogError
from image_catalog.models import CatalogImage, CatalogRegistry, CatalogRegistryStatus, Reference

if TYPE_CHECKING:
    from image_catalog.registry import HostPolicy

__all__ = ["Census", "Lanes", "find_lanes", "show_budgets"]

_log = structlog.get_logger(__name__)

RATIO = Gauge(
    "image_catalog_registry_budget_ratio",
    "What a registry's limit allows of the checks that its entries ask for: below 1 it does not suffice.",
    ["registry"],
)
LEFT = Gauge(
    "image_catalog_registry_budget_requests_left",
    "Requests that a registry's limit still allows for what somebody asks for.",
    ["registry"],
)


class _Rules:
    """Finds the CatalogRegistry that speaks for a host, once for each host."""

    def __init__(self, registries: Iterable[CatalogRegistry]) -> None:
        self._registries = tuple(registries)
        self._hosts: HostPolicy | None = None
        self._found: dict[str, CatalogRegistry | None] = {}

    def find(self, registry_url: str) -> CatalogRegistry | None:
        """Return the CatalogRegistry that speaks for a reference; `None` if none does."""
        host = registry_url.partition("/")[0]
        if host not in self._found:
            reference = Reference.try_parse(registry_url)
            if reference is None:
                return None
            self._found[host] = self._policy().rule(reference.registry)
        return self._found[host]

    def speaks(self, registry: CatalogRegistry) -> bool:
        """Tell whether a CatalogRegistry is the one that speaks for its host: an older one goes before it."""
        from image_catalog.registry.hosts import normal_host  # noqa: PLC0415 - as below

        return self._policy().rule(normal_host(registry.spec.host)) is registry

    def _policy(self) -> HostPolicy:
        if self._hosts is None:
            # Only now: what speaks to registries takes a tenth of a second to load, which most ticks can spare.
            from image_catalog.registry import HostPolicy  # noqa: PLC0415 - see above

            self._hosts = HostPolicy(self._registries)
        return self._hosts


class Lanes:
    """Tells how many checks a tick may ask for of each registry that has a limit.

    Parameters
    ----------
    rules
        Finds the CatalogRegistry of an entry.
    room
        Checks by the CatalogRegistry's name; as many as there are of every other.
    """

    def __init__(self, rules: _Rules, room: dict[str, int]) -> None:
        self._rules = rules
        self._room = room

    def find(self, registry_url: str) -> tuple[str, int] | None:
        """Return whose limit an entry's check counts for, and how many checks that allows; `None` for no limit."""
        rule = self._rules.find(registry_url)
        room = None if rule is None else self._room.get(rule.metadata.name)
        return None if rule is None or room is None else (rule.spec.host, room)


def find_lanes(registries: Iterable[CatalogRegistry], *, now: datetime) -> Lanes | None:
    """Return what registries' limits allow a tick to ask for; `None` where there are no limits.

    Parameters
    ----------
    registries
        Every CatalogRegistry.
    now
        The time.
    """
    known = tuple(registries)
    room = {registry.metadata.name: checks for registry in known if (checks := _checks(registry, now)) is not None}
    return Lanes(_Rules(known), room) if room else None


def _checks(registry: CatalogRegistry, now: datetime) -> int | None:
    """Return how many checks may be asked for; `None` for as many as there are."""
    limit, budget = Limit.of(registry), registry.status.budget
    if remaining_wait(budget, now=now) is not None:
        return 0
    if limit is None:
        return None
    free, cost = left(limit, budget, Urgency.ROUTINE, now=now), cost_of_check(budget)
    # One that is begun with less than an average check needs waits for the next tick at most.
    return math.ceil(free / cost)


def show_budgets(registries: Iterable[CatalogRegistry], *, now: datetime) -> None:
    """Show in figures what is left of registries' limits, and how far they go.

    Only the function whose ticks come to one process does: another one would
    show what was true when it last had something to do.

    Parameters
    ----------
    registries
        Every CatalogRegistry; of one that is gone, or that speaks for nothing, nothing is shown.
    now
        The time.
    """
    known = tuple(registries)
    rules = _Rules(known)
    RATIO.clear()
    LEFT.clear()
    for registry in known:
        limit, budget, host = Limit.of(registry), registry.status.budget, registry.spec.host
        if limit is None or not rules.speaks(registry):
            continue
        LEFT.labels(host).set(left(limit, budget, Urgency.ASKED, now=now))
        if budget is not None and budget.ratio is not None:
            RATIO.labels(host).set(budget.ratio)


class Census:
    """Counts the entries of registries that have a limit, and tells in their status how far it goes.

    Parameters
    ----------
    known
        Every CatalogRegistry.
    registries
        Writes their status.
    schedule
        Knows how often an entry is to be checked.
    """

    def __init__(
        self, known: tuple[CatalogRegistry, ...], *, registries: CatalogRegistries, schedule: Schedule
    ) -> None:
        self._counted = [r for r in known if Limit.of(r) is not None or _tells_of_limit(r)]
        self._rules = _Rules(known)
        self._registries = registries
        self._schedule = schedule
        self._demands: dict[str, Demand] = {}

    @classmethod
    async def of(cls, registries: CatalogRegistries, *, schedule: Schedule) -> Self:
        """Prepare to count for the registries that there are.

        Raises
        ------
        ClusterUnavailableError
            Raised when the API server does not say which there are.
        """
        return cls(await registries.list_all(), registries=registries, schedule=schedule)

    def begin(self) -> None:
        """Forget what was counted: the list begins anew."""
        self._demands = {registry.metadata.name: Demand() for registry in self._counted}

    def add(self, image: CatalogImage) -> None:
        """Count an entry."""
        if not self._counted or image.metadata.deletion_timestamp is not None:
            return
        rule = self._rules.find(image.spec.registry_url)
        demand = None if rule is None else self._demands.get(rule.metadata.name)
        if demand is not None:
            demand.add(self._schedule.wished(image.spec))

    async def tell(self, now: datetime) -> None:
        """Write what was counted; trouble with one registry is nobody else's, and the next sweep counts again."""
        for registry in self._counted:
            demand = self._demands.get(registry.metadata.name, Demand())

            def decide(fresh: CatalogRegistry, demand: Demand = demand) -> CatalogRegistryStatus | None:
                return status_budgeted(fresh, demand, now=now)

            try:
                await self._registries.apply_status(registry.metadata.name, decide, start=registry)
            except CatalogError as e:
                _log.warning("entries not counted", registry=registry.metadata.name, error=e.message)


def _tells_of_limit(registry: CatalogRegistry) -> bool:
    return registry.status.condition("LimitsSuffice") is not None
