"""A subscriber, a cluster's watch and a clock, each in the hands of a test."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import yaml
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from image_catalog.local.clients import everybody
from image_catalog.local.knative import (
    Clock,
    CloudEvent,
    LocalKnative,
    Observer,
    Settings,
    Watcher,
    read_event,
    read_manifests,
)
from image_catalog.local.knative.cloudevent import header_map

__all__ = [
    "ManualClock",
    "Received",
    "ScriptedSubscriber",
    "ScriptedWatcher",
    "SkippingClock",
    "render",
    "resource",
    "running_knative",
]

_API_VERSIONS = {
    "Broker": "eventing.knative.dev/v1",
    "Trigger": "eventing.knative.dev/v1",
    "Service": "serving.knative.dev/v1",
}

_PATIENCE = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Received:
    """A request that a subscriber got."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def event(self) -> CloudEvent:
        """The request's event."""
        return read_event(self.headers, self.body)


Answering = Callable[[Received], Awaitable[Response]]


class ScriptedSubscriber:
    """An ASGI application that answers as told, and 204 when it was told nothing.

    Attributes
    ----------
    received
        Every request, in order of arrival.
    answers
        The next answers, used up one by one: a status, or a whole answer.
    answering
        Takes over once `answers` is used up.
    """

    def __init__(self, *answers: int | Response) -> None:
        self.received: list[Received] = []
        self.answers: deque[int | Response] = deque(answers)
        self.answering: Answering | None = None
        self._arrived = asyncio.Condition()

    @property
    def events(self) -> list[CloudEvent]:
        """The events received."""
        return [received.event for received in self.received]

    async def wait_for(self, count: int) -> None:
        """Wait until so many requests have come in all."""
        async with asyncio.timeout(_PATIENCE.total_seconds()), self._arrived:
            await self._arrived.wait_for(lambda: len(self.received) >= count)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as ASGI has it."""
        request = Request(scope, receive)
        received = Received(request.url.path, header_map(request.headers.raw), await request.body())
        self.received.append(received)
        async with self._arrived:
            self._arrived.notify_all()
        response = await self._answer(received)
        await response(scope, receive, send)

    async def _answer(self, received: Received) -> Response:
        if self.answers:
            answer = self.answers.popleft()
            return answer if isinstance(answer, Response) else Response(status_code=answer)
        return await self.answering(received) if self.answering else Response(status_code=204)


class ScriptedWatcher:
    """A cluster's watch that gives what a test puts into it.

    Attributes
    ----------
    asked
        The arguments of each watch.
    existing
        The objects that each list gives.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str | None, str | None]] = []
        self.existing: list[Mapping[str, Any]] = []
        self._queue: asyncio.Queue[tuple[str, Mapping[str, Any]] | Exception] = asyncio.Queue()

    @property
    def waiting(self) -> int:
        """How many changes nobody has asked for yet."""
        return self._queue.qsize()

    def change(self, change: str, item: Mapping[str, Any]) -> None:
        """Let one watch give a change."""
        self._queue.put_nowait((change, item))

    def fail(self, error: Exception) -> None:
        """Let one watch end with an error."""
        self._queue.put_nowait(error)

    async def watch(
        self, api_version: str, kind: str, namespace: str | None, label_selector: str | None
    ) -> AsyncGenerator[tuple[str, Mapping[str, Any]], None]:
        """Watch as `image_catalog.local.knative.Watcher` says."""
        self.asked.append((api_version, kind, namespace, label_selector))
        for item in list(self.existing):
            yield "LISTED", item
        yield "SYNCED", {}
        while True:
            entry = await self._queue.get()
            if isinstance(entry, Exception):
                raise entry
            yield entry


@dataclass
class SkippingClock:
    """A clock on which every pause is over at once.

    Attributes
    ----------
    time
        What time it is; goes on by each pause.
    pauses
        Every pause, in order.
    """

    time: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    pauses: list[timedelta] = field(default_factory=list)

    def now(self) -> datetime:
        """Say what time it is."""
        return self.time

    async def sleep(self, duration: timedelta) -> None:
        """Note the pause and go on."""
        self.pauses.append(duration)
        self.time += duration
        await asyncio.sleep(0)


class ManualClock:
    """A clock that goes on only when it is told to.

    Parameters
    ----------
    time
        What time it is.
    """

    def __init__(self, time: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._time = time
        self._sleepers: list[tuple[datetime, asyncio.Future[None]]] = []
        self._fell_asleep = asyncio.Event()

    def now(self) -> datetime:
        """Say what time it is."""
        return self._time

    async def sleep(self, duration: timedelta) -> None:
        """Wait until `advance` has come that far."""
        sleeper = (self._time + duration, asyncio.get_running_loop().create_future())
        self._sleepers.append(sleeper)
        self._fell_asleep.set()
        try:
            await sleeper[1]
        finally:
            if sleeper in self._sleepers:
                self._sleepers.remove(sleeper)

    async def wait_for_sleeper(self, count: int = 1) -> None:
        """Wait until so many pauses are under way."""
        async with asyncio.timeout(_PATIENCE.total_seconds()):
            while len(self._sleepers) < count:
                self._fell_asleep.clear()
                await self._fell_asleep.wait()

    def advance(self, duration: timedelta) -> None:
        """Let time go on, and end the pauses that are over."""
        self._time += duration
        for sleeper in [sleeper for sleeper in self._sleepers if sleeper[0] <= self._time]:
            self._sleepers.remove(sleeper)
            if not sleeper[1].done():
                sleeper[1].set_result(None)


def resource(kind: str, name: str, spec: Mapping[str, Any], *, namespace: str = "default") -> dict[str, Any]:
    """Write a Knative resource."""
    return {
        "apiVersion": _API_VERSIONS.get(kind, "sources.knative.dev/v1"),
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": dict(spec),
    }


def render(*documents: Mapping[str, Any]) -> str:
    """Write a manifest of several documents."""
    return yaml.safe_dump_all([dict(document) for document in documents])


@asynccontextmanager
async def running_knative(
    *documents: Mapping[str, Any],
    subscribers: Mapping[str, ScriptedSubscriber],
    watcher: Watcher | None = None,
    clock: Clock | None = None,
    settings: Settings | None = None,
    observer: Observer | None = None,
) -> AsyncIterator[LocalKnative]:
    """Run manifests against subscribers, which are reached without a socket.

    Parameters
    ----------
    documents
        The manifests.
    subscribers
        By the name of their Service; each is a path of ``http://subscribers``.
    watcher
        Gives the changes of objects; without one there are none.
    clock
        A `SkippingClock` without one.
    settings
        As `LocalKnative` has them.
    observer
        As `LocalKnative` has it.
    """

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        await subscribers[scope["path"].split("/")[1]](scope, receive, send)

    mounts = {"http://subscribers": httpx.ASGITransport(dispatch)}
    async with httpx.AsyncClient(mounts=mounts, trust_env=False, verify=everybody(), timeout=None) as client:  # noqa: S113 (the sender has a limit of its own)
        knative = LocalKnative(
            read_manifests(render(*documents)),
            services={name: f"http://subscribers/{name}" for name in subscribers},
            watcher=watcher or ScriptedWatcher(),
            api_server_url="https://10.96.0.1:443",
            clock=clock or SkippingClock(),
            settings=settings,
            observer=observer,
            client=client,
        )
        async with knative:
            yield knative
