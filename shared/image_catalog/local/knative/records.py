"""What the broker tells about each delivery: the readable line per event is made of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

__all__ = ["DeliveryRecord", "Observer", "Outcome"]


class Outcome(StrEnum):
    """How an attempt ended."""

    DELIVERED = "delivered"
    RETRY = "retry"
    DEAD_LETTERED = "dead-lettered"
    DROPPED = "dropped"
    UNHEARD = "no subscriber"
    """Accepted, and no Trigger of the broker wants it."""


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """One attempt to deliver one event to one subscriber.

    Attributes
    ----------
    event_type
        The event's type.
    event_id
        The event's id.
    source
        The event's source.
    subject
        The object that the event is about, where it says so.
    trigger
        The Trigger's name.
    function
        The subscriber: a Service's name, or a URL.
    attempt
        Counts from 1; 0 when there was nobody to deliver to, or nobody left to deliver it.
    status
        The answer's HTTP status; `None` when there was none.
    elapsed
        From sending to the whole answer.
    outcome
        ``retry`` when another attempt follows, otherwise how it ended.
    error
        Why the attempt failed; empty when it did not.
    data
        The event's data, as it came.
    """

    event_type: str
    event_id: str
    source: str
    subject: str | None
    trigger: str
    function: str
    attempt: int
    status: int | None
    elapsed: timedelta
    outcome: Outcome
    error: str = ""
    data: bytes = field(default=b"", repr=False)

    @property
    def milliseconds(self) -> float:
        """How long the attempt took."""
        return self.elapsed / timedelta(milliseconds=1)


Observer = Callable[[DeliveryRecord], None]
"""Is told each attempt as it ends; must not block."""
