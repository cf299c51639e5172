"""The PingSource: ticks of the clock, sent to a sink as events.

It is best effort, as Knative's is: a tick that was missed is not caught up, and
an event that no attempt delivers is lost.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import croniter

from image_catalog.local.knative.cloudevent import CloudEvent
from image_catalog.local.knative.resources import PingSource
from image_catalog.local.knative.sending import SourceSender
from image_catalog.local.knative.settings import Clock, Settings

__all__ = ["PingRunner"]

_LONGEST_SLEEP = timedelta(seconds=30)
"""A laptop that slept notices after this time that its clock went on."""


class PingRunner:
    """Sends a PingSource's event at each tick.

    Parameters
    ----------
    source
        The PingSource.
    sink
        The URL to send to.
    sender
        Sends the events.
    clock
        Says when it is time.
    settings
        Says how far a tick is spread.
    """

    def __init__(
        self, source: PingSource, *, sink: str, sender: SourceSender, clock: Clock, settings: Settings
    ) -> None:
        self.name = source.name
        self._source = source
        self._sink = sink
        self._sender = sender
        self._clock = clock
        self._jitter = settings.ping_jitter
        self._zone = ZoneInfo(source.timezone)
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def idle(self) -> bool:
        """Whether no tick is being sent."""
        return self._idle.is_set()

    async def wait_idle(self) -> None:
        """Wait until no tick is being sent."""
        await self._idle.wait()

    def next_tick(self, after: datetime) -> datetime:
        """Say when the schedule is due next, without the random delay.

        Parameters
        ----------
        after
            An aware time.
        """
        schedule = croniter.croniter(self._source.schedule, after.astimezone(self._zone), second_at_beginning=True)
        due: datetime = schedule.get_next(datetime)
        return due

    async def run(self) -> None:
        """Tick until cancelled; a tick that was missed is not caught up."""
        while True:
            due = self.next_tick(self._clock.now())
            while (rest := due - self._clock.now()) > timedelta(0):
                await self._clock.sleep(min(rest, _LONGEST_SLEEP))
            if self._jitter:
                await self._clock.sleep(self._jitter * random.random())  # noqa: S311 (spreads load, guards nothing)
            await self.tick()

    async def tick(self) -> bool:
        """Send the event now; `False` says that it was dropped."""
        source = self._source
        attributes = {
            "specversion": "1.0",
            "id": str(uuid.uuid4()),
            "type": "dev.knative.sources.ping",
            "source": f"/apis/v1/namespaces/{source.namespace}/pingsources/{source.name}",
            "time": self._clock.now().isoformat().replace("+00:00", "Z"),
            "datacontenttype": source.content_type,
            **source.extensions,
        }
        self._idle.clear()
        try:
            return await self._sender.send(self._sink, CloudEvent(attributes, source.data))
        finally:
            self._idle.set()
