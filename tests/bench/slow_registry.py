"""Whether the images of other registries wait while one registry hangs."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
import uuid
from collections.abc import AsyncIterator
from enum import StrEnum
from typing import Any

import httpx
import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from tests.bench.builds import HOST, NAMESPACE, REPOSITORY, push_image
from tests.bench.figures import Figure, quantile

from image_catalog.cluster import CATALOG_IMAGE, CATALOG_REGISTRY
from image_catalog.events import EventType
from image_catalog.local.clients import IN_CLEAR
from image_catalog.local.knative import DeliveryRecord, Outcome
from image_catalog.local.serving import LoopbackServer
from image_catalog.local.stack import LocalStack

__all__ = ["Deliveries", "measure_slow_registry"]

_HUNG = "hung.example.com"
_IMAGES = 24
"""Images of the healthy registry, at most, which are asked about in turn."""
_PACE = 8
"""Events about them in a second: what two cores do with ease, so that waiting is told apart from work."""
_HUNG_PACE = 3
"""Enough to have all the places of both functions taken within seconds, and little work."""
_BAR = 1.2


class _Turn(StrEnum):
    WITHOUT = "without"
    WITH = "with"


class _HungRegistry:
    """Its API says that it is there, and of images nothing: no circuit opens, and each check takes all its time."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self.waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/v2/":
            await Response(status_code=200)(scope, receive, send)
            return
        self.waiting += 1
        let_go, left = asyncio.create_task(self.gone.wait()), asyncio.create_task(_disconnected(receive))
        try:
            await asyncio.wait({let_go, left}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.waiting -= 1
            let_go.cancel()
            left.cancel()
        await Response(status_code=404)(scope, receive, send)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class Deliveries:
    """Knows when events of ours came to their end."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[float]] = {}

    def expect(self, event_id: str) -> asyncio.Future[float]:
        """Return when an event's delivery comes to its end, by `time.perf_counter`."""
        return self._waiting.setdefault(event_id, asyncio.get_running_loop().create_future())

    def observe(self, record: DeliveryRecord) -> None:
        """Look at a delivery, as the broker tells of it."""
        waiting = self._waiting.get(record.event_id)
        is_ours = record.function in {"publish", "verify"} and record.outcome is not Outcome.RETRY
        if is_ours and waiting is not None and not waiting.done():
            waiting.set_result(time.perf_counter())


async def measure_slow_registry(
    stack: LocalStack, deliveries: Deliveries, *, seconds: float, pairs: int
) -> list[Figure]:
    """Verify and publish images of a registry that is well, by turns without and with another that hangs.

    Parameters
    ----------
    stack
        Where publish and verify run.
    deliveries
        What its broker tells of each delivery.
    seconds
        How long each turn lasts.
    pairs
        Turns of each kind.
    """
    hung = _HungRegistry()
    async with (
        LoopbackServer(hung) as server,
        httpx.AsyncClient(verify=IN_CLEAR, trust_env=False, timeout=30) as client,
    ):
        load = _Load(stack, client, deliveries, images=min(_IMAGES, int(_PACE * seconds)))
        await load.prepare(server.url)
        await load.healthy(min(seconds, 2))
        taken: dict[_Turn, list[float]] = {kind: [] for kind in _Turn}
        most = 0
        for kind in list(_Turn) * pairs:
            async with load.beside(hung) if kind is _Turn.WITH else contextlib.nullcontext():
                taken[kind] += await load.healthy(seconds)
                most = max(most, hung.waiting)
            await stack.knative.wait_idle()
    tail = {kind: quantile(values, 0.99) for kind, values in taken.items()}
    middle = {kind: quantile(values, 0.5) for kind, values in taken.items()}
    told = ", ".join(f"{kind} {tail[kind]:.0f} ms (p50 {middle[kind]:.0f})" for kind in _Turn)
    return [
        Figure(
            name="slow_registry_p99_ratio",
            value=tail[_Turn.WITH] / tail[_Turn.WITHOUT],
            unit="ratio",
            better="lower",
            bar=_BAR,
            note=f"p99: {told}; of {len(taken[_Turn.WITH])} events each, {pairs} turns of {seconds:g} s of each kind: "
            f"manual verifications and publications of images of a registry that is well, {_PACE} a second, from the "
            f"POST at the broker until the delivery has come to its end; without, and with, {_HUNG_PACE} a second "
            f"about images of another registry, which answers /v2/ and nothing else ({most} of its requests were under "
            "way at a turn's end); publish and verify are functions-framework processes",
        )
    ]


class _Load:
    """Sends events at a pace, however long those before them take."""

    def __init__(self, stack: LocalStack, client: httpx.AsyncClient, deliveries: Deliveries, *, images: int) -> None:
        self._stack = stack
        self._client = client
        self._deliveries = deliveries
        self._count = images
        self._images = itertools.cycle([f"image-{number}" for number in range(images)])
        self._hung = itertools.count()

    async def prepare(self, hung_url: str) -> None:
        """Make the entries of both registries."""
        api = self._stack.api
        spec = {"host": _HUNG, "endpoint": hung_url, "allowPrivateNetworks": True}
        await api.create(CATALOG_REGISTRY, {"metadata": {"name": "hung"}, "spec": spec})
        for name in itertools.islice(self._images, self._count):
            push_image(self._stack, name)
            await self._send(EventType.PUBLISH_REQUESTED, {"registryUrl": f"{HOST}/{REPOSITORY}:{name}", "name": name})
        await self._stack.knative.wait_idle()

    async def healthy(self, seconds: float) -> list[float]:
        """Ask for verifications, and for a publication each third time; return the milliseconds that each took."""
        tasks = []
        async for number in _paced(_PACE, seconds):
            name = next(self._images)
            if number % 3:
                data: dict[str, Any] = {"name": name, "reason": "manual"}
                tasks.append(asyncio.create_task(self._send(EventType.VERIFICATION_REQUESTED, data)))
            else:
                data = {"name": name, "registryUrl": f"{HOST}/{REPOSITORY}:{name}"}
                tasks.append(asyncio.create_task(self._send(EventType.PUBLISH_REQUESTED, data)))
        return await asyncio.gather(*tasks)

    @contextlib.asynccontextmanager
    async def beside(self, registry: _HungRegistry) -> AsyncIterator[None]:
        """Let a registry hang, and be asked about, meanwhile."""
        registry.gone.clear()
        asking = asyncio.create_task(self._ask_in_vain())
        try:
            yield
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            registry.gone.set()

    async def _ask_in_vain(self) -> None:
        api = self._stack.api
        tasks: set[asyncio.Task[Any]] = set()
        async for number in _paced(_HUNG_PACE, 3600):
            name = f"hung-{next(self._hung)}"
            url = f"{_HUNG}/{REPOSITORY}:{name}"
            if number % 3:
                entry = {"metadata": {"name": name}, "spec": {"registryUrl": url}}
                tasks.add(asyncio.create_task(api.create(CATALOG_IMAGE, entry, NAMESPACE)))
            else:
                tasks.add(asyncio.create_task(self._post(EventType.PUBLISH_REQUESTED, {"registryUrl": url}, name)))

    async def _send(self, event_type: EventType, data: dict[str, Any]) -> float:
        event_id = str(uuid.uuid4())
        done = self._deliveries.expect(event_id)
        begun = time.perf_counter()
        await self._post(event_type, data, event_id)
        return (await done - begun) * 1000

    async def _post(self, event_type: EventType, data: dict[str, Any], event_id: str) -> None:
        headers = {"ce-specversion": "1.0", "ce-id": event_id, "ce-source": "/bench", "ce-type": str(event_type)}
        body = orjson.dumps({"namespace": NAMESPACE, **data})
        headers["content-type"] = "application/json"
        response = await self._client.post(self._stack.knative.broker_url, headers=headers, content=body)
        response.raise_for_status()


async def _paced(pace: float, seconds: float) -> AsyncIterator[int]:
    """Count at a pace, without making up for what came too late."""
    loop, never = asyncio.get_running_loop(), asyncio.Event()
    begun = loop.time()
    for number in range(int(pace * seconds)):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(begun + number / pace):
                await never.wait()
        yield number
