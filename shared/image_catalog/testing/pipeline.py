"""The whole pipeline in one process: cluster, sources, broker and functions, on one clock.

::

    async with Pipeline(functions, connect=network.connect) as pipeline:
        pipeline.apply(image_build)
        await pipeline.drain()
        assert pipeline.emitted_types() == ["image.published", "image.available"]

Events travel as bytes and functions are served as functions-framework would
serve them, so that what breaks on the wire breaks here too. Each function calls
as its ServiceAccount, with what the manifests grant and nothing more.
"""

from __future__ import annotations

import base64
import random
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from types import TracebackType
from typing import Any, Self

import httpx
import orjson
from starlette.responses import Response

from image_catalog.config import Settings
from image_catalog.context import Context
from image_catalog.events import EventSink, EventType, SourceType
from image_catalog.events.lifecycle import Lifecycle
from image_catalog.events.serving import ServedFunction
from image_catalog.local.knative import CloudEvent, read_event
from image_catalog.local.kubernetes.storage.store import Change
from image_catalog.local.manifests import load_manifests
from image_catalog.models.names import PING_REVERIFY, PING_SWEEP
from image_catalog.registry import connect
from image_catalog.registry.connections import ConnectionFactory
from image_catalog.registry.limits import Timeouts
from image_catalog.testing.cluster import FUNCTIONS_NAMESPACE, InProcessCluster
from image_catalog.testing.knative import ManualClock
from image_catalog.testing.pipeline_functions import PipelineFunction, post_request
from image_catalog.testing.pipeline_points import KilledError, Points, observe_connections, observe_transport
from image_catalog.testing.source_events import change_event

__all__ = ["Delivery", "Pipeline", "PipelineFunction"]

_RBAC = frozenset({"ServiceAccount", "ClusterRole", "ClusterRoleBinding"})
_RETRIED = frozenset({404, 408, 409, 429, *range(500, 600)})
_ATTEMPTS = 4
"""Deliveries of one event to one function, before it becomes a dead letter."""

_NEVER_QUIET = 5000
"""Events after which a pipeline that does not come to rest is given up."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event given to one function.

    Attributes
    ----------
    function
        Its name.
    event
        The event.
    status
        What it answered; `None` when it died.
    """

    function: str
    event: CloudEvent
    status: int | None


class Pipeline:
    """Runs functions against a cluster and a broker of its own.

    Parameters
    ----------
    functions
        The functions.
    connect
        Makes the connections to registries.
    settings
        What the functions are configured with; a ``service_account`` in it
        stands for each function's own.
    environment
        What they find in their environment beside: auth files, proxies.
    clock
        Everybody's clock.
    namespaces
        Namespaces that are there from the start.
    seed
        Decides how functions that run side by side get in each other's way.
    timeouts
        How long a registry is waited for.
    streaming_lists
        Whether the API server can begin a watch with the list, which older ones cannot.

    Attributes
    ----------
    cluster
        The cluster; a test makes calls fail there.
    emitted
        Every event that the broker took from a function, in order.
    deliveries
        Every event that was given to a function, in order.
    dead_letters
        Events that no function could take.
    points
        Where functions can be killed.
    sources_run
        Whether changes of objects become events. What happens while they do
        not is never told.
    ingress
        What the broker answers; 202 is well.
    """

    def __init__(
        self,
        functions: Iterable[PipelineFunction],
        *,
        connect: ConnectionFactory = connect,
        settings: Settings | None = None,
        environment: Mapping[str, str] | None = None,
        clock: ManualClock | None = None,
        namespaces: Iterable[str] = ("team-a", "team-b"),
        seed: int = 0,
        timeouts: Timeouts | None = None,
        streaming_lists: bool = True,
    ) -> None:
        self.clock = clock or ManualClock()
        self.settings = settings or Settings()
        self.environment = environment
        self.cluster = InProcessCluster(namespaces=namespaces, clock=self.clock.now, streaming_lists=streaming_lists)
        self.points = Points(rng=_rng(seed))
        self.emitted: list[CloudEvent] = []
        self.deliveries: list[Delivery] = []
        self.dead_letters: list[CloudEvent] = []
        self.sources_run = True
        self.ingress: Callable[[CloudEvent], int] = lambda _: 202
        self._functions = {function.name: function for function in functions}
        self._connect = connect
        self._timeouts = timeouts
        self._served: dict[str, ServedFunction[Any, Context]] = {}
        self._contexts: list[Context] = []
        self._queue: deque[CloudEvent] = deque()
        self.cluster.furnish(_roles())
        self.cluster.server.store.listen(self._changed)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for context in self._contexts:
            await context.aclose()
        await self.cluster.__aexit__(kind, error, traceback)

    # The world

    def apply(self, manifest: Mapping[str, Any]) -> None:
        """Create or replace an object, past every rule of access; its status is a second write, as on a cluster."""
        server, status = self.cluster.server, manifest.get("status")
        server.apply({key: value for key, value in manifest.items() if key != "status"})
        if status is not None:
            resource = server.registry.find_kind(manifest["apiVersion"], manifest["kind"])
            assert resource is not None  # noqa: S101  # it was applied
            kind, metadata = (resource.group, resource.plural), manifest["metadata"]
            key = (metadata.get("namespace", ""), metadata["name"])
            stored = server.store.bucket(kind).get(key)
            assert stored is not None  # noqa: S101  # the same
            server.store.put(kind, key, {**stored.body, "status": dict(status)})

    def request(self, event_type: EventType, data: Mapping[str, Any], **attributes: str) -> CloudEvent:
        """Send a catalog event to the broker's ingress, as anybody in the cluster can.

        Parameters
        ----------
        event_type
            Its type.
        data
            Its data.
        attributes
            Others than a random ``id`` and the present ``time``.
        """
        event = self.event(event_type, data, **attributes)
        self.take(event)
        return event

    def take(self, event: CloudEvent) -> None:
        """Take an event at the broker's ingress as it came."""
        self._queue.append(event)

    def event(self, event_type: str, data: Mapping[str, Any], **attributes: str) -> CloudEvent:
        """Make an event without sending it."""
        basic = {
            "specversion": "1.0",
            "id": str(uuid.uuid4()),
            "source": "/tests",
            "type": str(event_type),
            "time": self.clock.now().isoformat(),
            "datacontenttype": "application/json",
        }
        return CloudEvent(basic | attributes, orjson.dumps(data))

    def tick(self, source: str = PING_REVERIFY) -> CloudEvent:
        """Let the PingSource ``reverify`` tick."""
        return self.request(SourceType.PING, {}, source=source)  # type: ignore[arg-type]  # a source's type is as good

    def sweep(self) -> CloudEvent:
        """Let the PingSource ``sweep`` tick."""
        return self.tick(PING_SWEEP)

    # The broker

    async def drain(self) -> None:
        """Deliver until nothing is left to be delivered.

        Raises
        ------
        RuntimeError
            Raised if the functions keep each other busy for ever.
        """
        for _ in range(_NEVER_QUIET):
            if not self._queue:
                return
            event = self._queue.popleft()
            for function in self._functions.values():
                if function.listens_to(event.attributes):
                    await self._dispatch(function, event)
        raise RuntimeError(f"still busy after {_NEVER_QUIET} events; the last was {self.deliveries[-1]}")

    async def deliver(self, function: str, event: CloudEvent, **headers: str) -> Response:
        """Give an event to a function once, as the broker does, and return its answer.

        Parameters
        ----------
        function
            The function.
        event
            The event.
        headers
            More of the request's, ``prefer`` for example.

        Raises
        ------
        KilledError
            Raised if the function died; the next one starts anew.
        """
        served = self._served.get(function) or self._serve(self._functions[function])
        # A broker passes on the header that the event was sent with, which a sender sets like the attribute.
        traced = {name: event.attributes[name] for name in ("traceparent",) if name in event.attributes}
        status: int | None = None
        try:
            response = await served.answer(post_request(event, traced | headers))
            status = response.status_code
        except KilledError:
            self.restart(function)
            raise
        finally:
            self.deliveries.append(Delivery(function, event, status))
        return response

    def restart(self, function: str) -> None:
        """Let a function start anew at its next event, with nothing in its memory."""
        self._served.pop(function, None)

    def discard(self) -> list[CloudEvent]:
        """Take away and return what waits for its delivery."""
        waiting = list(self._queue)
        self._queue.clear()
        return waiting

    def emitted_types(self) -> list[str]:
        """Return the types of what was emitted, without the catalog's prefix."""
        return [EventType(event.type).short for event in self.emitted]

    # Its parts

    async def _dispatch(self, function: PipelineFunction, event: CloudEvent) -> None:
        response: Response | None = None
        for _ in range(_ATTEMPTS):
            try:
                response = await self.deliver(function.name, event)
            except KilledError:
                continue
            if response.status_code not in _RETRIED:
                break
        if response is None or response.status_code >= 300:  # noqa: PLR2004 - anything but a success
            await self._bury(function, event, response)

    async def _bury(self, function: PipelineFunction, event: CloudEvent, response: Response | None) -> None:
        # https://knative.dev/docs/eventing/event-delivery/#dead-letter-sink-event-attributes
        said = {
            "knativeerrordest": f"http://{function.name}.{FUNCTIONS_NAMESPACE}.svc.cluster.local/",
            "knativeerrorcode": str(response.status_code) if response else None,
            "knativeerrordata": base64.b64encode(bytes(response.body)).decode() if response else None,
        }
        letter = event.extended(said)
        self.dead_letters.append(letter)
        for sink in self._functions.values():
            if sink.takes_dead_letters:
                await self.deliver(sink.name, letter)

    def _serve(self, function: PipelineFunction) -> ServedFunction[Any, Context]:
        served = ServedFunction(
            function.name,
            tuple(function.triggers),
            frozenset(function.emits),
            function.handler,
            Lifecycle(self._context_of(function.name)),
        )
        self._served[function.name] = served
        return served

    def _context_of(self, name: str) -> Callable[[], Awaitable[Context]]:
        async def build() -> Context:
            client = httpx.AsyncClient(transport=httpx.MockTransport(lambda request: self._ingress(request, name)))
            context = Context.build(
                settings=self._settings_of(name),
                environment=self.environment,
                transport=observe_transport(self.cluster.transport(name, restricted=True), self.points, name),
                sink=EventSink(client=client, url="http://broker.test/"),
                component=f"image-catalog-{name}",
                clock=self.clock.now,
                rng=_rng(0),
                connect=observe_connections(self._connect, self.points, name),
                timeouts=self._timeouts,
            )
            self._contexts.append(context)
            return context

        return build

    def _settings_of(self, name: str) -> Settings:
        if self.settings.service_account is None:
            return self.settings
        return self.settings.model_copy(update={"service_account": f"{FUNCTIONS_NAMESPACE}/{name}"})

    async def _ingress(self, request: httpx.Request, name: str) -> httpx.Response:
        event = read_event(dict(request.headers), await request.aread())
        await self.points.reach(f"before {name}: emits {event.type}")
        status = self.ingress(event)
        if status == 202:  # noqa: PLR2004 - what an ingress says
            self.emitted.append(event)
            self._queue.append(event)
        await self.points.reach(f"after {name}: emits {event.type}")
        return httpx.Response(status)

    def _changed(self, kind: tuple[str, str], change: Change) -> None:
        """Make the event of a change, as an ApiServerSource of mode Resource does."""
        event = change_event(kind, change) if self.sources_run else None
        if event is not None:
            self._queue.append(event)


@cache
def _roles() -> tuple[dict[str, Any], ...]:
    """Return what the functions may do, from the manifests that a cluster gets."""
    return tuple(manifest for manifest in load_manifests() if manifest["kind"] in _RBAC)


def _rng(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - the same in every run, guards nothing
