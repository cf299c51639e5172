"""What every part of a simulated world works with."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from image_catalog.local.knative import CloudEvent
from image_catalog.testing.simulation.ambushes import Ambushes
from image_catalog.testing.simulation.chance import Chance
from image_catalog.testing.simulation.journal import Journal
from image_catalog.testing.simulation.virtual_time import VirtualLoop

if TYPE_CHECKING:
    import asyncio

__all__ = ["ACTOR", "ATTEMPT", "Attempt", "Ingress", "Parcel", "Surroundings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """An event that the broker has.

    Attributes
    ----------
    event
        The event.
    key
        Names it in chance: what it is, about what, and which of these.
    """

    event: CloudEvent
    key: str


@dataclass(slots=True, kw_only=True, eq=False)
class Attempt:
    """One delivery under way.

    Attributes
    ----------
    number
        Counts all deliveries.
    nth
        Counts those to its function in which it asks anybody anything; 0 until it does.
    function
        Who has the event.
    parcel
        The event.
    attempt
        How often this function was given this event, counted from 1.
    requests, calls
        How often anybody, and how often the API server, was asked in it.
    task
        Does the work.
    """

    number: int
    function: str
    parcel: Parcel
    attempt: int
    nth: int = 0
    requests: int = 0
    calls: int = 0
    task: asyncio.Task[None] | None = None


ATTEMPT: ContextVar[Attempt | None] = ContextVar("attempt", default=None)
"""The delivery that the running code belongs to."""

ACTOR: ContextVar[str] = ContextVar("actor", default="server")
"""Who is asking the API server at this moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What every part of a world works with.

    Attributes
    ----------
    loop
        Runs everything, and tells the time.
    chance
        Draws what no action says.
    journal
        Is told of everything.
    ambushes
        Knows the faults that wait.
    numbers
        Counts deliveries, by function; under the empty name all of them.
    """

    loop: VirtualLoop
    chance: Chance
    journal: Journal
    ambushes: Ambushes
    numbers: dict[str, int] = field(default_factory=dict)

    def count(self, name: str) -> int:
        """Count something and return how many there have been."""
        self.numbers[name] = number = self.numbers.get(name, 0) + 1
        return number


Ingress = Callable[[CloudEvent], bool]
"""Offers an event to the broker; `False` when it is closed."""
