"""The broker: it hands every event to every function that listens, many at a time, until each has taken it."""

from __future__ import annotations

import asyncio
import base64
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

import durationpy

from image_catalog.local.knative import CloudEvent
from image_catalog.local.manifests import load_manifests
from image_catalog.testing.pipeline_functions import PipelineFunction
from image_catalog.testing.simulation.ambushes import label
from image_catalog.testing.simulation.invariants import AttemptSeen, DeliverySeen, LetterSeen
from image_catalog.testing.simulation.processes import Process
from image_catalog.testing.simulation.surroundings import Attempt, Parcel, Surroundings
from image_catalog.testing.simulation.troubles import BrokerClosed, EventTrouble

__all__ = ["Broker", "Patience", "patience_of", "slots_of"]

_RETRIED = frozenset({404, 408, 409, 429, *range(500, 600)})
_SUCCESS = range(200, 300)

_BACKOFF = timedelta(seconds=2)
"""First pause on a cluster; the local stack's manifests, which are read here, have a shorter one."""

_NEVER_QUIET = 6000
"""Deliveries after which a world that does not come to rest is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How hard the broker tries to deliver to a function.

    Attributes
    ----------
    retries
        Attempts after the first.
    timeout
        How long one may take.
    """

    retries: int
    timeout: timedelta

    def pause(self, number: int) -> float:
        """Return the seconds before a retry, counted from 1."""
        return float(_BACKOFF.total_seconds() * 2 ** (number - 1))


@cache
def _manifests() -> tuple[dict[str, Patience], dict[str, int]]:
    patience: dict[str, Patience] = {}
    slots: dict[str, int] = {}
    for manifest in load_manifests():
        name, spec = manifest["metadata"]["name"], manifest.get("spec", {})
        if manifest["kind"] == "Trigger":
            delivery = spec["delivery"]
            timeout = durationpy.from_str(delivery["timeout"].removeprefix("PT").lower())
            patience[spec["subscriber"]["ref"]["name"]] = Patience(retries=delivery["retry"], timeout=timeout)
        elif manifest["kind"] == "Service" and "template" in spec:
            slots[name] = spec["template"]["spec"]["containerConcurrency"]
    return patience, slots


def patience_of(function: str) -> Patience:
    """Return how hard a broker tries, as the manifests say."""
    return _manifests()[0][function]


def slots_of(function: str) -> int:
    """Return how many deliveries a function takes at once, as the manifests say."""
    return _manifests()[1][function]


class Broker:
    """Takes events and delivers them.

    Parameters
    ----------
    functions
        Who may listen.
    process_of
        Returns the living process of a function that gets an event, which is named as chance names it.
    surroundings
        Where it is.

    Attributes
    ----------
    closed
        Why it takes no events; `None` while it does.
    """

    def __init__(
        self,
        functions: Iterable[PipelineFunction],
        *,
        process_of: Callable[[str, str], Process],
        surroundings: Surroundings,
    ) -> None:
        self.closed: BrokerClosed | None = None
        known = tuple(functions)
        # The history of audit is in a database, which has threads: there is none here, and so nothing for it to do
        # but to take dead letters.
        self._functions = tuple(function for function in known if not function.takes_dead_letters)
        self._sinks = tuple(function for function in known if function.takes_dead_letters)
        self._process_of = process_of
        self._around = surroundings
        self._seen: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def idle(self) -> bool:
        """Whether nothing is on its way."""
        return not self._tasks

    async def wait(self, seconds: float) -> None:
        """Wait for something to arrive, for some seconds at most."""
        await asyncio.wait(self._tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)

    def offer(self, event: CloudEvent) -> bool:
        """Take an event from a function or from somebody outside, unless the broker is closed."""
        if self.closed is not None:
            self._around.journal.struck(self.closed, f"the broker refuses {label(event)} of {event.subject}")
            return False
        self.take(event)
        return True

    def take(self, event: CloudEvent) -> None:
        """Deliver an event to everybody who listens, or do to it what waits for it."""
        name = label(event)
        self._seen[name] += 1
        about = f"{name} {event.subject}"
        self._seen[about] += 1
        parcel = Parcel(event=event, key=f"{about} {self._seen[about]}")
        troubles = self._around.ambushes.event(name, self._seen[name])
        for function in self._functions:
            if function.listens_to(event.attributes):
                mine = [trouble for trouble in troubles if trouble.function in ("", function.name)]
                self._send(function, parcel, mine)

    def _send(self, function: PipelineFunction, parcel: Parcel, troubles: list[EventTrouble]) -> None:
        delay = self._delay(function.name, parcel.key)
        lost = False
        for trouble in troubles:
            self._around.journal.struck(trouble, f"{parcel.key} for {function.name}: {_told(trouble)}")
            lost = lost or trouble.kind == "lost"
            if trouble.kind == "late":
                delay += trouble.delay
            if trouble.kind == "twice":
                self._start(self._dispatch(function, parcel, delay + trouble.delay))
        if not lost:
            self._start(self._dispatch(function, parcel, delay))

    def _delay(self, function: str, key: str) -> float:
        """Draw how long an event is under way: milliseconds, and now and then seconds, so that others overtake it."""
        drawn = self._around.chance.draw("delivery", function, key)
        return drawn * 0.05 if drawn < 0.9 else (drawn - 0.9) * 30  # noqa: PLR2004 - one of ten takes up to 3 s

    def _start(self, dispatch: Coroutine[Any, Any, None]) -> None:
        task = self._around.loop.create_task(dispatch)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _dispatch(self, function: PipelineFunction, parcel: Parcel, delay: float) -> None:
        await asyncio.sleep(delay)
        patience = patience_of(function.name)
        statuses: list[int | None] = []
        for number in range(1, patience.retries + 2):
            if number > 1:
                await asyncio.sleep(patience.pause(number - 1))
            status = await self._attempt(function.name, parcel, number, patience.timeout)
            statuses.append(status)
            if status is not None and status not in _RETRIED:
                break
        if statuses[-1] not in _SUCCESS:
            await self._bury(function.name, parcel, statuses)

    async def _attempt(self, function: str, parcel: Parcel, number: int, timeout: timedelta) -> int | None:  # noqa: ASYNC109 - of the exchange, not of this coroutine
        around = self._around
        attempt = Attempt(number=around.count(""), function=function, parcel=parcel, attempt=number)
        if attempt.number > _NEVER_QUIET:
            around.journal.fail("comes-to-rest", f"{_NEVER_QUIET} deliveries, and still more to deliver: {parcel.key}")
        event = parcel.event
        around.journal.attempted(
            AttemptSeen(at=around.loop.now(), number=attempt.number, function=function, event=event, attempt=number)
        )
        done = self._process_of(function, f"{parcel.key} {number}").begin(attempt)
        status: int | None = None
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                status = await asyncio.shield(done)
        except TimeoutError:
            # The function works on; the broker has stopped listening, and asks again.
            around.journal.note(f"the broker gives up waiting for {function} (delivery {attempt.number})")
        around.journal.delivered(
            DeliverySeen(
                at=around.loop.now(),
                number=attempt.number,
                function=function,
                event=event,
                attempt=number,
                status=status,
                calls=attempt.calls,
            )
        )
        return status

    async def _bury(self, function: str, parcel: Parcel, statuses: list[int | None]) -> None:
        # https://knative.dev/docs/eventing/event-delivery/#dead-letter-sink-event-attributes
        code = statuses[-1]
        said = {
            "knativeerrordest": f"http://{function}.image-catalog.svc.cluster.local/",
            "knativeerrorcode": None if code is None else str(code),
            "knativeerrordata": base64.b64encode(b"{}").decode() if code is not None else None,
        }
        now = self._around.loop.now()
        self._around.journal.buried(LetterSeen(at=now, function=function, event=parcel.event, statuses=statuses))
        letter = Parcel(event=parcel.event.extended(said), key=f"letter {function} {parcel.key}")
        for sink in self._sinks:
            await self._attempt(sink.name, letter, 1, patience_of(sink.name).timeout)


def _told(trouble: EventTrouble) -> str:
    return trouble.kind if trouble.kind == "lost" else f"{trouble.kind} ({trouble.delay:.0f} s)"
