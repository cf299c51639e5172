"""The API over HTTP, the functions that it calls really running, and a registry that behaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from image_catalog.catalog.index import Index, Query
from image_catalog.cluster import (
    CATALOG_IMAGE,
    IMAGE_BUILD,
    AccessReviewer,
    CatalogImages,
    CatalogRegistries,
    EventRecorder,
    Secrets,
    TokenReviewer,
)
from image_catalog.config import Settings
from image_catalog.events import EventSink
from image_catalog.local.knative import read_event
from image_catalog.testing.functions import BrokerIngress
from image_catalog.testing.pipeline import Pipeline
from image_catalog.testing.pipeline_points import KilledError
from image_catalog.testing.world import NAMESPACE, World
from image_catalog_functions.api.access import Guard
from image_catalog_functions.api.http.asgi import ASGIApp
from image_catalog_functions.api.notifying.doors import Doors
from image_catalog_functions.api.notifying.requesting import PushPacer, PushRequester
from image_catalog_functions.api.reading.completed import BuildIndex
from image_catalog_functions.api.reading.feed import Feed
from image_catalog_functions.api.recalling import RecallKeeper, Teller, Watched
from image_catalog_functions.api.recording import Recorder
from image_catalog_functions.api.services import Services
from image_catalog_functions.api.writing import FunctionClient, Patience
from image_catalog_functions.api.writing.written import read_entry

BASE = "/api/v1alpha1/catalog"
RBAC = "rbac.authorization.k8s.io"
PATIENCE = Patience(
    budget=timedelta(seconds=2), first_pause=timedelta(milliseconds=1), longest_pause=timedelta(milliseconds=2)
)


@dataclass
class Calls(httpx.AsyncBaseTransport):
    """Carries the API's calls to the functions of a pipeline, and breaks where a test says so.

    Attributes
    ----------
    pipeline
        Serves the functions.
    before, after
        What happens to the next calls before and after their function has done its work, one each: an
        error is raised, an answer takes the place of the function's, `None` does nothing.
    requests
        Every call, in order.
    """

    pipeline: Pipeline
    before: list[Exception | httpx.Response | None] = field(default_factory=list)
    after: list[Exception | httpx.Response | None] = field(default_factory=list)
    requests: list[httpx.Request] = field(default_factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        _break(early := self.before.pop(0) if self.before else None)
        if isinstance(early, httpx.Response):
            return early
        headers = dict(request.headers)
        event = read_event(headers, await request.aread())
        passed = {name: headers[name] for name in ("prefer", "authorization", "traceparent") if name in headers}
        try:
            answer = await self.pipeline.deliver(request.url.host, event, **passed)
        except KilledError as e:
            raise httpx.ReadError("the function died") from e
        _break(late := self.after.pop(0) if self.after else None)
        if isinstance(late, httpx.Response):
            return late
        return httpx.Response(answer.status_code, headers=dict(answer.headers), content=bytes(answer.body))


def _break(fault: object) -> None:
    if isinstance(fault, Exception):
        raise fault


@dataclass
class Catalog:
    """What a test of the writing calls works with.

    Attributes
    ----------
    world
        The cluster, the functions and the registry.
    services
        What the API works with.
    client
        Asks the API with the token of ``person``, who may do everything in the namespace ``team-a``.
    calls
        The API's calls of the functions.
    broker
        What the API's own sink talks to.
    watched
        Where the API's watch puts what it sees.
    """

    world: World
    services: Services
    client: httpx.AsyncClient
    calls: Calls
    broker: BrokerIngress
    watched: Watched

    async def ask(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """Ask the API, by a path below its base; the answer to a refusal must be a problem document."""
        if body is not None:
            options["json"] = body
        params = {"namespace": NAMESPACE} | options.pop("params", {}) if path.startswith("/images") else None
        answer = await self.client.request(method, BASE + path, params=params, **options)
        if answer.is_error:
            problem = answer.json()
            assert answer.headers["content-type"] == "application/problem+json"
            assert problem["status"] == answer.status_code
            assert problem["detail"]
        return answer

    async def catch_up(self) -> None:
        """Let the functions do their part, then show the API everything, as its watch does, and let it settle."""
        await self.world.pipeline.drain()
        for obj in self.world.all("catalogimages"):
            self.watched.put(obj)
        for entry in self.services.index.find(Query(limit=0)).entries:
            if self.world.entry(entry.name, namespace=entry.namespace) is None:
                self.watched.remove(entry.namespace, entry.name)
        assert await self.services.recalls.settle()

    def token(self, account: str) -> dict[str, str]:
        """Return the header of another caller."""
        return {"authorization": f"Bearer {self.world.pipeline.cluster.token(account)}"}

    def grant(self, account: str, *rules: tuple[str, str], namespace: str = NAMESPACE) -> None:
        """Let an account use verbs on resources: ``("create", "catalogimages")``."""
        grant(self.world, account, *rules, namespace=namespace)


def grant(world: World, account: str, *rules: tuple[str, str], namespace: str = NAMESPACE) -> None:
    metadata = {"name": account, "namespace": namespace}
    role = [{"apiGroups": [CATALOG_IMAGE.group], "resources": [kind], "verbs": [verb]} for verb, kind in rules]
    world.pipeline.apply({"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": metadata, "rules": role})
    world.pipeline.apply(
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": account},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": "image-catalog"}],
        }
    )


@pytest.fixture
def serve(tmp_path: Path, world: World, application: Callable[[Services], ASGIApp]) -> Callable[..., Catalog]:
    """Return what builds the API; a test changes single services."""

    def build(**changes: Any) -> Catalog:
        cluster, clock = world.pipeline.cluster, world.clock.now
        api = cluster.api("api", restricted=True)
        token = tmp_path / "token"
        token.write_text(cluster.token("api", audiences=["image-catalog"]) + "\n")
        calls, broker = Calls(world.pipeline), BrokerIngress()
        functions = FunctionClient(
            client=httpx.AsyncClient(transport=calls),
            publish_url="http://publish",
            verify_url="http://verify",
            token_file=token,
            patience=PATIENCE,
        )
        sink = EventSink(client=httpx.AsyncClient(transport=httpx.MockTransport(broker)), url="http://broker.test/")
        index, builds, images = Index(), BuildIndex(), CatalogImages(api=api)
        sink = changes.get("sink", sink)
        filled = changes.pop("filled", None)
        if filled is None:
            filled = asyncio.Event()
            filled.set()
        recalls = RecallKeeper(
            index=index,
            images=images,
            read=lambda namespace, name: read_entry(api, index, namespace, name),
            teller=Teller(images=images, recorder=EventRecorder(api=api, clock=clock), sink=sink, clock=clock),
            filled=lambda: filled,
            clock=clock,
            pause=timedelta(milliseconds=10),
        )
        watched = Watched(index, recalls.see)
        parts: dict[str, Any] = {
            "settings": Settings(removal_wait=timedelta()),
            "clock": clock,
            "index": index,
            "builds": builds,
            "image_feed": Feed(name="images", watch=lambda: api.watch(CATALOG_IMAGE), collection=watched, clock=clock),
            "build_feed": Feed(name="builds", watch=lambda: api.watch(IMAGE_BUILD), collection=builds, clock=clock),
            "guard": Guard(tokens=TokenReviewer(api=api, clock=clock, audience=None), access=AccessReviewer(api=api)),
            "api": api,
            "images": images,
            "doors": Doors(registries=CatalogRegistries(api=api, clock=clock), secrets=Secrets(api=api), clock=clock),
            "pushes": PushRequester(
                index=index, sink=sink, pacer=PushPacer(interval=timedelta(seconds=10), rate=20), clock=clock
            ),
            "recalls": recalls,
            "functions": functions,
            "recorder": Recorder(audit=None, clock=clock),
            "sink": sink,
        }
        services = Services(**(parts | changes))
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(application(services)),
            base_url="http://catalog.test",
            headers={"authorization": f"Bearer {cluster.token('person')}"},
        )
        return Catalog(world, services, client, calls, broker, watched)

    grant(world, "person", ("*", "catalogimages"), ("*", "imagebuilds"))
    return build


@pytest.fixture
async def catalog(serve: Callable[..., Catalog]) -> AsyncIterator[Catalog]:
    served = serve()
    yield served
    await served.client.aclose()
    await served.services.functions.aclose()
