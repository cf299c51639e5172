"""Where events come from by themselves: changes of the cluster, and the hands of the clock."""

from __future__ import annotations

import asyncio
import uuid

from image_catalog.local.knative import CloudEvent
from image_catalog.local.kubernetes.storage.store import Change
from image_catalog.models.names import PING_REVERIFY, PING_SWEEP
from image_catalog.testing.simulation.broker import Broker
from image_catalog.testing.simulation.surroundings import ACTOR, ATTEMPT, Surroundings
from image_catalog.testing.simulation.troubles import SourceStopped
from image_catalog.testing.source_events import change_event

__all__ = ["Sources", "Ticker"]

_KEPT = frozenset({"imagebuilds", "catalogimages", "leases"})
"""What the invariants are told of."""

_SWEEP = 600.0
"""Seconds between two sweeps, as the manifests have it."""


class Sources:
    """Makes an event of each change, as an ApiServerSource does, unless it is away.

    Parameters
    ----------
    broker
        Gets the events.
    surroundings
        Where they are.

    Attributes
    ----------
    stopped
        Why there are no events; `None` while there are. What happens meanwhile is never told.
    """

    def __init__(self, broker: Broker, *, surroundings: Surroundings) -> None:
        self.stopped: SourceStopped | None = None
        self._broker = broker
        self._around = surroundings

    def changed(self, kind: tuple[str, str], change: Change) -> None:
        """Tell of a change that was just committed."""
        plural = kind[1]
        if plural in _KEPT:
            attempt = ATTEMPT.get()
            delivery = attempt.number if attempt else None
            self._around.journal.changed(plural, change, actor=ACTOR.get(), delivery=delivery)
        event = change_event(kind, change)
        if event is None:
            return
        if self.stopped is not None:
            self._around.journal.struck(self.stopped, f"nobody is told of {plural} {change.key[1]} {change.kind}")
            return
        self._broker.take(event)


class Ticker:
    """Ticks as the two PingSources do.

    Parameters
    ----------
    broker
        Gets the ticks.
    period
        Seconds between two ticks of ``reverify``.
    surroundings
        Where it is.
    """

    def __init__(self, broker: Broker, *, period: float, surroundings: Surroundings) -> None:
        self.period = period
        self._broker = broker
        self._around = surroundings

    async def run(self) -> None:
        """Tick until cancelled."""
        loop = self._around.loop
        swept = 0.0
        while True:
            now = loop.time()
            await asyncio.sleep(self.period - now % self.period)
            self.tick(PING_REVERIFY)
            if loop.time() - swept >= _SWEEP:
                swept = loop.time()
                self.tick(PING_SWEEP)

    def tick(self, source: str) -> None:
        """Send one tick."""
        now = self._around.loop.now()
        attributes = {
            "specversion": "1.0",
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{source} {now.isoformat()}")),
            "source": source,
            "type": "dev.knative.sources.ping",
            "time": now.isoformat(),
            "datacontenttype": "application/json",
        }
        self._broker.take(CloudEvent(attributes, b"{}"))
