"""A function's process: it can die at any request, and takes everything in its memory along."""

from __future__ import annotations

import asyncio
import contextvars
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import httpx

from image_catalog.cluster import Response, StreamingResponse, Transport
from image_catalog.config import Settings
from image_catalog.context import Context
from image_catalog.errors import ClusterUnavailableError
from image_catalog.events import EventSink
from image_catalog.events.lifecycle import Lifecycle
from image_catalog.events.serving import ServedFunction
from image_catalog.local.knative import CloudEvent, read_event
from image_catalog.local.knative.cloudevent import header_map
from image_catalog.registry.hosts import Security
from image_catalog.testing.cluster_faults import Effect, answer, parse_call
from image_catalog.testing.pipeline_functions import PipelineFunction, post_request
from image_catalog.testing.simulation.invariants import EventSeen
from image_catalog.testing.simulation.registries import Registries
from image_catalog.testing.simulation.surroundings import ACTOR, ATTEMPT, Attempt, Ingress, Surroundings
from image_catalog.testing.simulation.troubles import Frozen, Killed

__all__ = ["Process", "Reach"]

T = TypeVar("T")

_MILLISECONDS = re.compile(rb'"milliseconds":\d+')


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What a function's process can ask.

    Attributes
    ----------
    cluster
        The API server, as the function's ServiceAccount.
    registries
        Every registry.
    ingress
        The broker.
    """

    cluster: Transport
    registries: Registries
    ingress: Ingress


class Process:
    """One life of a function.

    Parameters
    ----------
    function
        What it runs.
    surroundings, reach
        Where it lives.
    settings
        What it is configured with.
    slots
        How many deliveries it takes at once, its ``containerConcurrency``.
    life
        Which of the function's lives this is.

    Attributes
    ----------
    alive
        Whether it lives; what is left of a dead one reaches nobody.
    """

    def __init__(
        self,
        function: PipelineFunction,
        *,
        surroundings: Surroundings,
        reach: Reach,
        settings: Settings,
        slots: int,
        life: int,
    ) -> None:
        self.alive = True
        self._frozen_until = 0.0
        self._around = surroundings
        self._reach = reach
        self._settings = settings
        self._name = function.name
        self._life = life
        self._slots = asyncio.Semaphore(slots)
        self._running: dict[Attempt, asyncio.Future[int | None]] = {}
        self._served: ServedFunction[Any, Context] = ServedFunction(
            function.name,
            tuple(function.triggers),
            frozenset(function.emits),
            function.handler,
            Lifecycle(self._build),
        )

    def begin(self, attempt: Attempt) -> asyncio.Future[int | None]:
        """Take a delivery, and return what will be its answer: `None` when it never gets one."""
        loop = self._around.loop
        done: asyncio.Future[int | None] = loop.create_future()
        context = contextvars.copy_context()
        context.run(ATTEMPT.set, attempt)
        context.run(ACTOR.set, self._name)
        self._running[attempt] = done
        attempt.task = loop.create_task(self._work(attempt, done), context=context)
        return done

    def kill(self) -> None:
        """End at once: nothing that is under way gets any further, or an answer."""
        self.alive = False
        running, self._running = self._running, {}
        for attempt, done in running.items():
            if attempt.task is not None:
                attempt.task.cancel()
            if not done.done():
                done.set_result(None)

    async def _work(self, attempt: Attempt, done: asyncio.Future[int | None]) -> None:
        status: int | None = None
        try:
            async with self._slots:
                response = await self._served.answer(post_request(attempt.parcel.event, {}))
                status = response.status_code
        except asyncio.CancelledError:
            status = None
        finally:
            self._running.pop(attempt, None)
            if not done.done():
                done.set_result(status)

    async def cross(self, name: str, slowness: float, deed: Callable[[], Awaitable[T]]) -> T:
        """Ask somebody outside, which takes time, and may be the last that this process does.

        Parameters
        ----------
        name
            Whom, for chance.
        slowness
            Seconds that the way there and back usually takes.
        deed
            Asks.
        """
        self._check_alive()
        attempt = ATTEMPT.get()
        if attempt is None:
            key: tuple[object, ...] = (name, self._name, self._life)
        else:
            attempt.requests += 1
            if attempt.requests == 1:
                attempt.nth = self._around.count(f"{self._name} asking")
            key = (name, self._name, attempt.parcel.key, attempt.attempt, attempt.requests)
            if (end := self._end_of(attempt, after=False)) is not None:
                await self._meet(end, attempt, after=False)
        there, back = self._delays(slowness, key)
        await asyncio.sleep(there)
        if self._frozen_until:
            await self._thaw()
        self._check_alive()
        answered = await deed()
        if attempt is not None and (end := self._end_of(attempt, after=True)) is not None:
            await self._meet(end, attempt, after=True)
        await asyncio.sleep(back)
        if self._frozen_until:
            await self._thaw()
        self._check_alive()
        return answered

    def _delays(self, slowness: float, key: tuple[object, ...]) -> tuple[float, float]:
        """Draw how long the ways there and back take: mostly as usual, now and then a hundred times as long."""
        drawn = self._around.chance.draw(*key)
        whole = slowness * (100.0 if drawn > 0.98 else 0.1 + 3 * drawn * drawn)  # noqa: PLR2004 - one way in fifty
        share = (drawn * 1000) % 1.0
        return whole * share, whole * (1 - share)

    def _check_alive(self) -> None:
        if not self.alive:
            raise asyncio.CancelledError("the process is dead")

    async def _thaw(self) -> None:
        """Wait while the whole process is frozen."""
        left = self._frozen_until - self._around.loop.time()
        if left > 0:
            await asyncio.sleep(left)

    def _end_of(self, attempt: Attempt, *, after: bool) -> Killed | Frozen | None:
        """Return what waits for this process at a request, if anything does."""
        end = self._around.ambushes.death(self._name, attempt.nth, attempt.requests, after=after)
        return end if self.alive else None

    async def _meet(self, killed: Killed | Frozen, attempt: Attempt, *, after: bool) -> None:
        moment = f"{'after' if after else 'before'} request {attempt.requests} of delivery {attempt.number}"
        if isinstance(killed, Frozen):
            self._around.journal.struck(killed, f"{self._name} is frozen for {killed.seconds:.0f} s {moment}")
            self._frozen_until = self._around.loop.time() + killed.seconds
            await self._thaw()
            self._check_alive()
            return
        if killed.gently:
            self._around.journal.struck(killed, f"{self._name} is cancelled {moment}")
            if attempt.task is not None:
                attempt.task.cancel()
            return
        self._around.journal.struck(killed, f"{self._name} is killed {moment}")
        self.kill()
        raise asyncio.CancelledError("the process was killed")

    async def _build(self) -> Context:
        around = self._around
        client = httpx.AsyncClient(transport=_SinkTransport(self, self._reach.ingress), trust_env=False)
        return Context.build(
            settings=self._settings,
            transport=_ClusterTransport(self, self._reach.cluster),
            sink=EventSink(client=client, url="http://broker.test/"),
            component=f"image-catalog-{self._name}",
            clock=around.loop.now,
            ticks=around.loop.time,
            rng=around.chance.random("process", self._name, self._life),
            connect=self._connect,
        )

    def _connect(self, security: Security, proxy: str | None) -> httpx.AsyncBaseTransport:
        del security, proxy
        return _RegistryTransport(self, self._reach.registries)

    @property
    def name(self) -> str:
        """The function's name."""
        return self._name

    @property
    def around(self) -> Surroundings:
        """Where it lives."""
        return self._around


class _ClusterTransport:
    """The way to the API server."""

    def __init__(self, process: Process, inner: Transport) -> None:
        self._process = process
        self._inner = inner

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        timeout: timedelta,  # noqa: ASYNC109 - the Protocol's parameter
        **options: Any,
    ) -> Response:
        """Send one request; see `image_catalog.cluster.Transport.request`."""
        process = self._process
        attempt = ATTEMPT.get()
        if attempt is not None:
            attempt.calls += 1

        async def ask() -> Response:
            effect = process.around.ambushes.call(parse_call(process.name, method, path, query))
            if effect is not None and effect not in (Effect.TIMEOUT_BEFORE, Effect.TIMEOUT_AFTER):
                return answer(effect)
            if effect is not Effect.TIMEOUT_BEFORE:
                response = await self._inner.request(method, path, query=query, timeout=timeout, **options)
            if effect is not None:
                await asyncio.sleep(timeout.total_seconds())
                raise ClusterUnavailableError(f"{method} {path}: no answer in time")
            return response

        return await process.cross("cluster", 0.008, ask)

    def stream(
        self, path: str, *, query: Mapping[str, str] | None = None, timeout: timedelta
    ) -> AbstractAsyncContextManager[StreamingResponse]:
        """Open a stream; see `image_catalog.cluster.Transport.stream`."""
        return self._inner.stream(path, query=query, timeout=timeout)

    async def close(self) -> None:
        """Do nothing: the next life uses the same way."""


class _RegistryTransport(httpx.AsyncBaseTransport):
    """The way to every registry."""

    def __init__(self, process: Process, registries: Registries) -> None:
        self._process = process
        self._registries = registries

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request."""
        return await self._process.cross(
            "registry", 0.06, lambda: self._registries.answer(request, function=self._process.name)
        )


class _SinkTransport(httpx.AsyncBaseTransport):
    """The way to the broker's ingress."""

    def __init__(self, process: Process, ingress: Ingress) -> None:
        self._process = process
        self._ingress = ingress

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one event."""
        return await self._process.cross("sink", 0.004, lambda: self._offer(request))

    async def _offer(self, request: httpx.Request) -> httpx.Response:
        process = self._process
        around = process.around
        body = _MILLISECONDS.sub(b'"milliseconds":0', await request.aread())
        # The events' own time is the machine's, and so is what a step took: neither may reach the world.
        event = read_event(header_map(request.headers.raw), body).extended({"time": around.loop.now().isoformat()})
        trouble = around.ambushes.sink(process.name)
        taken = False
        if trouble is None or trouble.kind == "unheard":
            taken = self._ingress(event)
        attempt = ATTEMPT.get()
        seen = EventSeen(
            at=around.loop.now(),
            function=process.name,
            delivery=attempt.number if attempt else None,
            event=event,
            taken=taken,
        )
        around.journal.emitted(seen)
        if trouble is not None and (trouble.kind != "unheard" or taken):
            around.journal.struck(trouble, f"{process.name} emits {_short(event)}: {trouble.kind}")
        if trouble is not None and trouble.kind != "refused":
            # httpx's own client would wait ten seconds for an answer that does not come.
            await asyncio.sleep(10.0 if trouble.kind == "unheard" else 0.0)
            raise (httpx.ReadTimeout if trouble.kind == "unheard" else httpx.ConnectError)(
                trouble.kind, request=request
            )
        return httpx.Response(202 if taken else 503)


def _short(event: CloudEvent) -> str:
    return f"{event.type.rsplit('catalog.', 1)[-1]} of {event.subject}"
