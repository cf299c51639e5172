"""Probes registries that have a CatalogRegistry, and keeps what that says of them true."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

import structlog

from image_catalog.catalog.budget import Limit
from image_catalog.catalog.checker import Checker
from image_catalog.catalog.conditions import Finding
from image_catalog.catalog.reachability import (
    Probe,
    Probes,
    is_due,
    status_half_open,
    status_opened,
    status_probed,
    status_unprobed,
)
from image_catalog.cluster import CatalogRegistries, EventRecorder
from image_catalog.context import Context
from image_catalog.errors import CatalogError, RateLimitedError, RegistryFaultError, RegistryUnreachableError
from image_catalog.models import CatalogRegistry, CatalogRegistryStatus, RegistryPhase
from image_catalog.registry import complaint, probed_host

__all__ = ["Prober"]

_log = structlog.get_logger(__name__)

_AT_ONCE = 32
"""Probes under way at once: each may take as long as a request may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prober:
    """Finds out which registries answer, and tells the other functions and people.

    Trouble with one registry, or with writing its status, keeps nobody from
    the others: the next tick does what this one could not.

    Parameters
    ----------
    registries
        Reads and writes CatalogRegistries.
    checker
        Asks registries.
    recorder
        Writes Kubernetes Events.
    probes
        Remembers what is not written.
    interval
        Time between probes of one registry.
    recovery
        How long an open circuit is left alone.
    clock
        Tells the time.
    """

    registries: CatalogRegistries
    checker: Checker
    recorder: EventRecorder
    probes: Probes
    interval: timedelta
    recovery: timedelta
    clock: Callable[[], datetime]

    @classmethod
    def of(cls, context: Context) -> Self:
        """Make one of what a process works with."""
        return cls(
            registries=context.registries,
            checker=context.checker,
            recorder=context.recorder,
            probes=context.probes,
            interval=context.settings.probe_interval,
            recovery=context.settings.circuit_recovery,
            clock=context.clock,
        )

    async def probe_due(self) -> None:
        """Probe every registry that is due.

        Raises
        ------
        ClusterUnavailableError
            Raised when the API server does not say what registries there are.
        """
        registries = await self.checker.apply_policy()
        self.probes.keep(registries)
        now, turns = self.clock(), asyncio.Semaphore(_AT_ONCE)

        async def take_turn(registry: CatalogRegistry) -> None:
            async with turns:
                await _guarded(registry, self._probe(registry))

        due = [registry for registry in registries if self._is_due(registry, now)]
        await asyncio.gather(*(take_turn(registry) for registry in due))

    async def share(self) -> None:
        """Tell in their CatalogRegistry of the registries that checks in this process have found dead."""
        for opened in self.checker.registry.circuits.take_opened():
            rule = self.checker.hosts.rule(opened.registry)
            if rule is None or probed_host(rule) is None:
                continue

            def decide(
                fresh: CatalogRegistry, at: datetime = opened.at, message: str = opened.message
            ) -> CatalogRegistryStatus | None:
                return status_opened(fresh, at=at, message=message)

            await _guarded(rule, self._write(rule, decide))

    def _is_due(self, registry: CatalogRegistry, now: datetime) -> bool:
        last, limit = self.probes.last(registry), Limit.of(registry)
        # One that does not answer counts nothing, and others wait for what a probe finds.
        spare = limit is not None and registry.status.phase is RegistryPhase.REACHABLE
        interval = max(self.interval, limit.probe_interval) if limit is not None and spare else self.interval
        return is_due(registry, now=now, interval=interval, recovery=self.recovery, last=last)

    async def _probe(self, registry: CatalogRegistry) -> None:
        wrong, host = complaint(registry, self.checker.hosts), probed_host(registry)
        accepted = Finding("True", "Accepted", "it applies") if wrong is None else Finding("False", *wrong)
        if host is None or (wrong is not None and wrong.is_idle):
            why = "a wildcard names no host to probe, unless it has an endpoint" if wrong is None else wrong.message
            await self._write(registry, lambda fresh: status_unprobed(fresh, accepted, why, now=self.clock()))
            return
        if registry.is_shut(now=self.clock()):
            claimed = await self._write(registry, lambda fresh: status_half_open(fresh, now=self.clock()))
            if claimed is None:
                return  # Somebody else finds out.
            registry = claimed
        probe = await self._ask(host)
        if probe is None:
            return
        counts = self.probes.add(registry, probe)
        if await self._write(registry, lambda fresh: status_probed(fresh, probe, counts, accepted)) is not None:
            self.probes.written(registry)

    async def _ask(self, host: str) -> Probe | None:
        client, at = self.checker.registry, self.clock()
        try:
            await client.probe(host)
        except RateLimitedError:
            return None  # It answers, and has asked for this.
        except (RegistryUnreachableError, RegistryFaultError) as e:
            return Probe(at, e, is_open=client.circuits.is_open(self.checker.hosts.target(host)))
        except CatalogError as e:
            return Probe(at, e)
        return Probe(at)

    async def _write(
        self, registry: CatalogRegistry, decide: Callable[[CatalogRegistry], CatalogRegistryStatus | None]
    ) -> CatalogRegistry | None:
        """Write a status and tell people of what changed; return the object, or `None` when nothing was written."""
        before: CatalogRegistryStatus | None = None

        def change(fresh: CatalogRegistry) -> CatalogRegistryStatus | None:
            nonlocal before
            wanted = decide(fresh)
            before = None if wanted is None else fresh.status
            return wanted

        after = await self.registries.apply_status(registry.metadata.name, change, start=registry)
        if after is None or before is None:
            return None
        await self._tell(before, after)
        return after

    async def _tell(self, before: CatalogRegistryStatus, after: CatalogRegistry) -> None:
        """Write a Kubernetes Event when a registry goes down, and when it comes back."""
        reachable, phase = after.status.condition("Reachable"), after.status.phase
        went_down = phase is RegistryPhase.UNREACHABLE and before.phase is not RegistryPhase.UNREACHABLE
        came_back = phase is RegistryPhase.REACHABLE and before.phase is RegistryPhase.UNREACHABLE
        if reachable is None or not (went_down or came_back):
            return
        since = reachable.last_transition_time.isoformat()
        _log.info("registry came back" if came_back else "registry went down", registry=after.spec.host)
        await self.recorder.record(
            after,
            event_id=f"{after.metadata.uid}\n{phase}\n{since}",
            reason="RegistryReachable" if came_back else reachable.reason,
            message=f"{after.spec.host} answers again" if came_back else reachable.message,
            type="Normal" if came_back else "Warning",
        )


async def _guarded(registry: CatalogRegistry, work: Awaitable[object]) -> None:
    """Do what belongs to one registry; trouble with it is logged, and is nobody else's."""
    try:
        await work
    except CatalogError as e:
        _log.warning("registry status not written", registry=registry.metadata.name, error=e.message)
