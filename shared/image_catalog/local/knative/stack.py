"""The one object that runs ingress, dispatchers and sources of a rendered overlay."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self
from urllib.parse import urljoin

import httpx

from image_catalog.errors import ClusterUnavailableError, InvalidObjectError
from image_catalog.local.clients import IN_CLEAR, everybody
from image_catalog.local.knative.apiserver import Watcher, WatchRunner
from image_catalog.local.knative.broker import EventBroker, Ingress
from image_catalog.local.knative.dispatcher import Dispatcher, Replies, Route
from image_catalog.local.knative.ping import PingRunner
from image_catalog.local.knative.records import DeliveryRecord, Observer
from image_catalog.local.knative.resources import Broker, Destination, Manifests, Trigger
from image_catalog.local.knative.sending import Sender, SourceSender
from image_catalog.local.knative.settings import Clock, Settings, SystemClock
from image_catalog.local.serving import LoopbackServer

__all__ = ["LocalKnative"]


_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=128, keepalive_expiry=1.0)
"""Functions close an idle connection after two seconds; an event that met one just closing would count as a failure."""


class LocalKnative:
    """Sources and brokers of one rendered overlay, in this process.

    An asynchronous context manager. Inside it, every source watches; leaving
    it drops what is not delivered yet and leaves no task behind.

    Parameters
    ----------
    manifests
        What `read_manifests` gave.
    services
        The base URL of each Service by name.
    watcher
        Watches objects for the ApiServerSources.
    api_server_url
        Becomes the attribute ``source`` of their events.
    host
        Where the ingress listens.
    port
        The ingress's port; 0 takes a free one, which is known once everything
        runs. With any other, `broker_url` and `sink_of` answer before.
    settings
        Limits, and the scale of the pauses.
    observer
        Is told of each delivery.
    clock
        Replaced in tests.
    client
        Reaches the Services; its owner closes it. `None` makes one that
        follows no proxy and no redirect.

    Attributes
    ----------
    manifests
        As given.
    server
        The ingress's: it may be stopped and started, and what was accepted is delivered all the same.
    """

    def __init__(
        self,
        manifests: Manifests,
        *,
        services: Mapping[str, str],
        watcher: Watcher,
        api_server_url: str,
        host: str = "127.0.0.1",
        port: int = 0,
        settings: Settings | None = None,
        observer: Observer | None = None,
        clock: Clock | None = None,
        client: httpx.AsyncClient | None = None,
    ) -> None:
        self.manifests = manifests
        self._services = services
        self._watcher = watcher
        self._api_server_url = api_server_url
        self._settings = settings or Settings()
        self._observer = observer or _ignore
        self._clock = clock or SystemClock()
        self._client = client
        self._exit = AsyncExitStack()
        self._brokers: dict[tuple[str, str], EventBroker] = {}
        ingress = Ingress(self._brokers, max_event_bytes=self._settings.max_event_bytes)
        self.server = LoopbackServer(ingress, host=host, port=port)
        self._watches: list[WatchRunner] = []
        self._watching: list[asyncio.Task[None]] = []
        self._pings: dict[str, PingRunner] = {}

    @property
    def url(self) -> str:
        """The ingress's base URL."""
        return self.server.url

    @property
    def broker_url(self) -> str:
        """The URL of the overlay's first Broker."""
        broker = self.manifests.brokers[0]
        return self._broker_url(broker.namespace, broker.name)

    def sink_of(self, service: str) -> str | None:
        """Say what ``K_SINK`` a SinkBinding gives to a Service; `None` without one.

        Parameters
        ----------
        service
            The Service's name.
        """
        bindings = self.manifests.sink_bindings
        return next((self.resolve(binding.sink) for binding in bindings if binding.subject.name == service), None)

    def resolve(self, destination: Destination) -> str:
        """Give a destination's URL.

        Raises
        ------
        InvalidObjectError
            Raised if nothing of that name runs here.
        """
        if not destination.kind:
            return destination.uri
        if destination.kind == "Broker":
            url = self._broker_url(destination.namespace, destination.name)
            known = any(
                (b.namespace, b.name) == (destination.namespace, destination.name) for b in self.manifests.brokers
            )
        else:
            url = self._services.get(destination.name, "")
            known = bool(url)
        if not known:
            raise InvalidObjectError(f"no {destination} runs here")
        return urljoin(f"{url}/", destination.uri.lstrip("/")) if destination.uri else url

    @property
    def idle(self) -> bool:
        """Whether nothing is being sent, waiting or backing off."""
        return all(part.idle for part in self._parts())

    async def wait_idle(self) -> None:
        """Wait until nothing is being sent, waiting or backing off."""
        while not self.idle:
            for part in self._parts():
                await part.wait_idle()

    async def tick(self, name: str | None = None) -> None:
        """Let PingSources tick now, whatever their schedules say.

        Parameters
        ----------
        name
            Only this one; `None` means all.

        Raises
        ------
        KeyError
            Raised if there is no PingSource of this name.
        """
        runners = list(self._pings.values()) if name is None else [self._pings[name]]
        await asyncio.gather(*(runner.tick() for runner in runners))

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the watches of ApiServerSources."""
        return tuple(watch.name for watch in self._watches)

    async def restart_source(self, name: str) -> None:
        """Let a watch of an ApiServerSource end and start anew, as its adapter's Pod that dies.

        What it was about to send, and what changes until it watches again, is never told.

        Parameters
        ----------
        name
            One of `sources`.
        """
        for place, watch in enumerate(self._watches):
            if watch.name == name:
                self._watching[place].cancel()
                await asyncio.gather(self._watching[place], return_exceptions=True)
                self._watches[place] = watch.successor()
                self._watching[place] = _start(self._watches[place])

    async def lose_undelivered(self, trigger: str | None = None) -> int:
        """Lose what the brokers have accepted and not delivered yet, as in-memory channels whose Pods die.

        Parameters
        ----------
        trigger
            Only what this Trigger holds; `None` means all of them.

        Returns
        -------
        int
            How many deliveries that were; the observer is told of each.
        """
        return sum(await asyncio.gather(*(broker.lose(trigger) for broker in self._brokers.values())))

    async def __aenter__(self) -> Self:
        """Start everything; return when every source watches, or keeps trying because its kind is not installed.

        Raises
        ------
        InvalidObjectError
            Raised if a manifest names a Service or a Broker that does not run here.
        ClusterUnavailableError
            Raised if the API server does not answer the sources' lists.
        PermanentError
            Raised if the port is taken.
        """
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.server)
            client = self._client
            if client is None:
                client = await stack.enter_async_context(_client(self._addresses()))
            sender = Sender(client=client, max_answer_bytes=self._settings.max_answer_bytes)
            for broker in self.manifests.brokers:
                self._brokers[broker.namespace, broker.name] = self._build_broker(broker, sender)
            self._build_sources(SourceSender(sender=sender, clock=self._clock, settings=self._settings))
            # Closed before the ingress: a broker that is closed answers the senders that it holds back.
            for running in self._brokers.values():
                stack.push_async_callback(running.close)
            stack.push_async_callback(self._end_watches)
            self._watching = [_start(watch) for watch in self._watches]
            for ping in self._pings.values():
                await stack.enter_async_context(_running(ping.run(), ping.name))
            await self._wait_watching()
            self._exit = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop everything: sources first, so that nothing new arrives."""
        await self._exit.aclose()

    async def _end_watches(self) -> None:
        for task in self._watching:
            task.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)

    def _parts(self) -> Iterable[EventBroker | WatchRunner | PingRunner]:
        return (*self._watches, *self._pings.values(), *self._brokers.values())

    def _broker_url(self, namespace: str, name: str) -> str:
        return f"{self.url}/{namespace}/{name}"

    def _triggers(self, broker: Broker) -> list[Trigger]:
        return [t for t in self.manifests.triggers if (t.namespace, t.broker) == (broker.namespace, broker.name)]

    def _addresses(self) -> list[str]:
        """Return every URL that events are sent to."""
        routes = [self._route(trigger) for broker in self.manifests.brokers for trigger in self._triggers(broker)]
        sinks = [source.sink for source in self.manifests.api_server_sources]
        sinks += [source.sink for source in self.manifests.ping_sources]
        sent = [address for route in routes for address in (route.subscriber, route.ingress, route.dead_letter or "")]
        return [*filter(None, sent), *(self.resolve(sink) for sink in sinks)]

    def _build_broker(self, broker: Broker, sender: Sender) -> EventBroker:
        triggers = self._triggers(broker)

        def build(replies: Replies) -> Iterator[Dispatcher]:
            for trigger in triggers:
                yield Dispatcher(
                    trigger,
                    route=self._route(trigger),
                    sender=sender,
                    replies=replies,
                    clock=self._clock,
                    settings=self._settings,
                    observer=self._observer,
                )

        return EventBroker(
            broker.namespace,
            broker.name,
            dispatchers=build,
            clock=self._clock,
            settings=self._settings,
            observer=self._observer,
        )

    def _route(self, trigger: Trigger) -> Route:
        dead_letter, subscriber = trigger.delivery.dead_letter_sink, self.resolve(trigger.subscriber)
        return Route(
            subscriber=subscriber,
            address=_cluster_address(trigger.subscriber) or subscriber,
            ingress=self._broker_url(trigger.namespace, trigger.broker),
            dead_letter=self.resolve(dead_letter) if dead_letter else None,
        )

    def _build_sources(self, sender: SourceSender) -> None:
        for source in self.manifests.api_server_sources:
            for resource in source.resources:
                self._watches.append(
                    WatchRunner(
                        source,
                        resource,
                        sink=self.resolve(source.sink),
                        api_server_url=self._api_server_url,
                        watcher=self._watcher,
                        sender=sender,
                        clock=self._clock,
                    )
                )
        for ping in self.manifests.ping_sources:
            self._pings[ping.name] = PingRunner(
                ping, sink=self.resolve(ping.sink), sender=sender, clock=self._clock, settings=self._settings
            )

    async def _wait_watching(self) -> None:
        try:
            async with asyncio.timeout(self._settings.start_limit.total_seconds()):
                for watch in self._watches:
                    await watch.wait_started()
        except TimeoutError as e:
            waiting = ", ".join(watch.name for watch in self._watches if not watch.watching)
            raise ClusterUnavailableError(f"the API server gives no list to {waiting}") from e


def _start(watch: WatchRunner) -> asyncio.Task[None]:
    return asyncio.create_task(watch.run(), name=f"source-{watch.name}")


def _cluster_address(destination: Destination) -> str:
    """Return the URL that a Service has in a cluster; empty for a destination that is given by its URL."""
    if not destination.kind:
        return ""
    host = f"{destination.name}.{destination.namespace}.svc.cluster.local"
    return urljoin(f"http://{host}/", destination.uri.lstrip("/"))


def _ignore(_record: DeliveryRecord) -> None:
    pass


def _client(addresses: Iterable[str]) -> httpx.AsyncClient:
    """Return what reaches these addresses, with connections of its own to each server.

    At each request and each answer, a pool looks through every connection that it has.
    """
    origins = {str(httpx.URL(address).copy_with(raw_path=b"/")) for address in addresses}
    trust = everybody() if any(origin.startswith("https://") for origin in origins) else IN_CLEAR
    mounts = {origin: httpx.AsyncHTTPTransport(trust_env=False, verify=trust, limits=_LIMITS) for origin in origins}
    # Neither a proxy nor a .netrc of the user has a say in what runs on one machine, and a broker follows no redirect.
    return httpx.AsyncClient(trust_env=False, verify=trust, timeout=None, limits=_LIMITS, mounts=mounts)  # noqa: S113 (each exchange has a limit of its own)


@contextlib.asynccontextmanager
async def _running(work: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
    task = asyncio.create_task(work, name=f"source-{name}")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
