"""A process's part of what registries allow: taken before it is used, in the status of their CatalogRegistry."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from prometheus_client import Counter

from image_catalog.catalog.budget import Limit, Urgency, give, remaining_wait, slice_start
from image_catalog.cluster import CatalogRegistries
from image_catalog.errors import CatalogError, RegistryBusyError
from image_catalog.models import CatalogRegistry, CatalogRegistryStatus, RegistryBudget
from image_catalog.models.durations import format_duration
from image_catalog.registry.throttle import Throttle

__all__ = ["Allowances"]

_log = structlog.get_logger(__name__)

DEFERRED = Counter(
    "image_catalog_checks_deferred_total",
    "Checks that were left for later because the registry's limit was used up.",
    ["registry"],
)

_FIRST_COST = {True: 3.0, False: 5.0}
"""Requests of a check, of an image that is known and one that is not, until a few have told."""
_WEIGHT = 0.2


@dataclass(slots=True)
class _Account:
    """What this process has taken of one registry's limit."""

    free: float = 0.0
    """Requests that may be made; less than none were made without being taken."""
    until: datetime | None = None
    """When what is free lapses."""
    spent: int = 0
    """What the throttle had counted when this was last brought up to date."""
    held: float = 0.0
    """What the checks under way are expected to make of it."""
    inside: int = 0
    untold: int = 0
    """Checks that were begun with what was taken before."""
    cost: dict[bool, float] = field(default_factory=_FIRST_COST.copy)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def update(self, spent: int, now: datetime) -> None:
        """Subtract what was made since, and let lapse what was not used in time."""
        self.free -= spent - self.spent
        self.spent = spent
        if self.until is None or now >= self.until:
            self.free, self.until = min(self.free, 0.0), None


class Allowances:
    """Lets checks ask a registry as far as its limit goes.

    Each request is taken from the limit before it is made, a few at a time, by
    a write of the CatalogRegistry's status that fails if another process has
    written meanwhile. What a process has taken lapses within a part of the
    period; what a check needed beyond it is taken next time.

    Parameters
    ----------
    registries
        Reads and writes CatalogRegistries.
    throttle
        Counts what is really asked.
    clock
        Tells the time.
    """

    def __init__(self, *, registries: CatalogRegistries, throttle: Throttle, clock: Callable[[], datetime]) -> None:
        self._registries = registries
        self._throttle = throttle
        self._clock = clock
        self._accounts: dict[str, _Account] = {}

    @contextlib.asynccontextmanager
    async def take(self, registry: CatalogRegistry, urgency: Urgency, *, known: bool) -> AsyncIterator[None]:
        """Have what a check needs while it lasts.

        Parameters
        ----------
        registry
            The registry's CatalogRegistry.
        urgency
            Who wants the check.
        known
            Whether its content was looked at before, so that a look is cheap.

        Raises
        ------
        RegistryBusyError
            Raised on entry if the limit does not allow it yet.
        TransientError
            Raised on entry if the API server does not take note.
        """
        self._refuse_scarce(registry, urgency)
        limit, host = Limit.of(registry), registry.spec.host
        if limit is None:
            yield
            await self._share(registry)
            return
        account = self._accounts.setdefault(host, _Account(spent=self._throttle.spent(host)))
        async with account.lock:
            cost = math.ceil(account.cost[known] - 0.25)
            await self._cover(account, registry, limit, urgency, cost)
            account.held += cost
            account.inside += 1
            account.untold += 1
        before = self._throttle.spent(host)
        try:
            yield
        finally:
            # Of what others have asked meanwhile this is a part; whoever is alone learns the truth.
            took = (self._throttle.spent(host) - before) / account.inside
            account.cost[known] += _WEIGHT * (max(took, 1.0) - account.cost[known])
            account.held -= cost
            account.inside -= 1
        await self._share(registry)

    async def _cover(
        self, account: _Account, registry: CatalogRegistry, limit: Limit, urgency: Urgency, cost: int
    ) -> None:
        """Take what is missing for a check of some requests."""
        now, host = self._clock(), registry.spec.host
        account.update(self._throttle.spent(host), now)
        missing = math.ceil(cost + account.held - account.free)
        if missing <= 0:
            return
        refused: timedelta | None = None
        given = 0

        def decide(fresh: CatalogRegistry) -> CatalogRegistryStatus | None:
            nonlocal refused, given
            found = give(limit, fresh.status.budget, urgency, wanted=missing, now=now, checks=account.untold)
            refused, given = (found, 0) if isinstance(found, timedelta) else (None, found[1])
            return None if isinstance(found, timedelta) else fresh.status.model_copy(update={"budget": found[0]})

        await self._registries.apply_status(registry.metadata.name, decide, start=registry)
        if refused is not None:
            period = format_duration(limit.window)
            told = f"{host} allows {limit.requests} requests in any {period}, and they are used up for now"
            raise _refusal(host, told, refused)
        account.free += given
        account.untold = 0
        account.until = slice_start(limit, now) + limit.part

    def _refuse_scarce(self, registry: CatalogRegistry, urgency: Urgency) -> None:
        """Leave to people what is left, where the registry itself has told that it is little."""
        wait = remaining_wait(registry.status.budget, now=self._clock())
        if wait is not None and urgency is Urgency.ROUTINE:
            raise _refusal(registry.spec.host, f"{registry.spec.host} says that its limit is nearly used up", wait)

    async def _share(self, registry: CatalogRegistry) -> None:
        """Tell the other processes that little is left, unless they know."""
        scarcity = self._throttle.scarcity(registry.spec.host)
        if scarcity is None or remaining_wait(registry.status.budget, now=self._clock()) is not None:
            return

        def decide(fresh: CatalogRegistry) -> CatalogRegistryStatus | None:
            if remaining_wait(fresh.status.budget, now=self._clock()) is not None:
                return None
            budget = (fresh.status.budget or RegistryBudget()).model_copy(
                update={"remaining": scarcity.remaining, "remaining_until": scarcity.until}
            )
            return fresh.status.model_copy(update={"budget": budget})

        try:
            await self._registries.apply_status(registry.metadata.name, decide, start=registry)
        except CatalogError as e:
            # The check is done; its outcome must not hang on what others are told.
            _log.warning("budget not shared", registry=registry.metadata.name, error=e.message)


def _refusal(host: str, told: str, wait: timedelta) -> RegistryBusyError:
    DEFERRED.labels(host).inc()
    return RegistryBusyError(told, retry_after=wait)
