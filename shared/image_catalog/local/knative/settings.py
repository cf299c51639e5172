"""What may differ between a laptop and a cluster, each with its reason."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

__all__ = ["Clock", "Settings", "SystemClock"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the local broker and sources run.

    Attributes
    ----------
    backoff_scale
        Factor on every pause between two deliveries: people at a laptop do not
        wait half a minute to see a retry. 1 is what a cluster does.
    concurrency
        Requests in flight per Trigger, as many as the Services of publish and verify take at once.
    queue_limit
        Events that one Trigger may hold: waiting, in flight or backing off.
    patience
        How long the ingress holds a sender back when a Trigger is full, before
        it answers 500 as for a channel that failed.
    request_timeout
        How long one attempt may take where ``delivery.timeout`` says nothing.
    max_event_bytes
        Larger events are answered 413.
    max_answer_bytes
        A subscriber's answer that is larger counts as a failure.
    ping_jitter
        The longest of the random delays before a tick.
    start_limit
        An API server that has given the sources no list by then is not there.
    """

    backoff_scale: float = 1.0
    concurrency: int = 50
    queue_limit: int = 4096
    patience: timedelta = timedelta(seconds=5)
    request_timeout: timedelta = timedelta(seconds=60)
    max_event_bytes: int = 4 * 1024 * 1024
    max_answer_bytes: int = 1024 * 1024
    ping_jitter: timedelta = timedelta(milliseconds=500)
    start_limit: timedelta = timedelta(seconds=15)


class Clock(Protocol):
    """Time, so that tests need not wait for it."""

    def now(self) -> datetime:
        """Say what time it is, in UTC."""
        ...

    async def sleep(self, duration: timedelta) -> None:
        """Wait."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Say what time it is, in UTC."""
        return datetime.now(UTC)

    async def sleep(self, duration: timedelta) -> None:
        """Wait."""
        await asyncio.sleep(duration.total_seconds())
