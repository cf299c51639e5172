"""What the guard remembers, and how it asks each question once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

__all__ = ["Memory", "SingleFlight"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Memory(Generic[K, V]):
    """Remembers answers for seconds, and only so many of them.

    The oldest is forgotten first, and not the least used: every answer ends
    soon anyhow, and a read then costs one look into a dictionary.

    Parameters
    ----------
    clock
        Seconds of a clock that never goes back.
    limit
        How many answers are remembered.
    """

    def __init__(self, clock: Callable[[], float], limit: int) -> None:
        self._clock = clock
        self._limit = limit
        self._answers: dict[K, tuple[float, V]] = {}

    def get(self, key: K) -> V | None:
        """Return the answer, `None` when there is none that is still good."""
        answer = self._answers.get(key)
        return answer[1] if answer is not None and answer[0] > self._clock() else None

    def expiry(self, key: K) -> float:
        """Return until when an answer is good, by the clock; in the past when there is none."""
        answer = self._answers.get(key)
        return answer[0] if answer is not None else 0.0

    def put(self, key: K, value: V, seconds: float, *, until: float = float("inf")) -> None:
        """Remember an answer.

        Parameters
        ----------
        key, value
            The question and the answer.
        seconds
            How long the answer is good.
        until
            When it ends at the latest, by the clock.
        """
        # Taken out first, so that it moves to the end of the row in which answers are forgotten.
        self._answers.pop(key, None)
        if len(self._answers) >= self._limit:
            del self._answers[next(iter(self._answers))]
        self._answers[key] = (min(self._clock() + seconds, until), value)


class SingleFlight(Generic[K, V]):
    """Asks a question once for all who ask it at the same time."""

    def __init__(self) -> None:
        self._flights: dict[K, asyncio.Task[V]] = {}

    async def run(self, key: K, ask: Callable[[], Awaitable[V]]) -> V:
        """Return the answer to a question, which is asked now unless it is being asked.

        Parameters
        ----------
        key
            What makes two questions the same.
        ask
            Asks it. It goes on when the caller who came first leaves, because
            others may wait for it.
        """
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = asyncio.ensure_future(_call(ask))
            flight.add_done_callback(lambda done: self._land(key, done))
        return await asyncio.shield(flight)

    def _land(self, key: K, flight: asyncio.Task[V]) -> None:
        del self._flights[key]
        if not flight.cancelled():
            flight.exception()  # Looked at, so that nobody is told of one that all who waited have left.


async def _call(ask: Callable[[], Awaitable[V]]) -> V:
    return await ask()
