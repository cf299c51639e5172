"""The pipeline with every function and a registry that behaves."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import jsonschema_rs
import orjson
import pytest
from fastapi import FastAPI

from image_catalog.cluster import AUDIENCE
from image_catalog.config import ApiAuth, Settings
from image_catalog.context import Context
from image_catalog.events import EventSink, EventType
from image_catalog.events.schema import SCHEMAS_FOLDER, schema_file
from image_catalog.local.knative import read_event
from image_catalog.models import CatalogImage
from image_catalog.testing.lifespan import alive
from image_catalog.testing.pipeline import PipelineFunction
from image_catalog.testing.world import World, running_world
from image_catalog_functions.api.app import create_app, make_framework
from image_catalog_functions.api.assembly import assemble
from image_catalog_functions.api.http.asgi import ASGIApp, Receive, Scope, Send
from image_catalog_functions.api.services import Services
from image_catalog_functions.audit import main as audit
from image_catalog_functions.cleanup import main as cleanup
from image_catalog_functions.publish import main as publish
from image_catalog_functions.reverify import main as reverify
from image_catalog_functions.verify import main as verify

FUNCTIONS = tuple(PipelineFunction.of(module) for module in (publish, verify, reverify, cleanup, audit))


@pytest.fixture
def functions() -> tuple[PipelineFunction, ...]:
    """Every function, for tests that make worlds of their own."""
    return FUNCTIONS


@pytest.fixture
def settings() -> Settings:
    """Return the functions' settings; a test module that needs others overrides this."""
    return Settings()


@pytest.fixture
def acting() -> tuple[PipelineFunction, ...]:
    """Return the functions of a test's world; a folder or module that needs fewer overrides this."""
    return FUNCTIONS


@pytest.fixture
async def world(tmp_path: Path, settings: Settings, acting: tuple[PipelineFunction, ...]) -> AsyncIterator[World]:
    """Run functions against an empty cluster and an empty registry."""
    async with running_world(acting, tmp_path, settings=settings) as world:
        yield world
        assert not [delivery for delivery in world.pipeline.deliveries if delivery.status == 500]
        check_generations(world)
        check_events(world)


_ASKED: ContextVar[Any] = ContextVar("asked")


class _Part:
    """A service that routers keep from the start, of the application that is being asked."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(getattr(_ASKED.get(), self._name), name)

    def __call__(self) -> Any:
        return getattr(_ASKED.get(), self._name)()


class _Asked:
    """The services of the application that is being asked, whichever that is."""

    index, image_feed, clock, guard, recorder = map(_Part, ("index", "image_feed", "clock", "guard", "recorder"))

    def __getattr__(self, name: str) -> Any:
        return getattr(_ASKED.get(), name)


@cache
def _framework(default_namespace: str) -> FastAPI:
    """Make the routes once for all tests: FastAPI takes longer to make them than most tests take.

    What is asked meanwhile has nothing but a default namespace, so that they keep no more of it.
    """
    token = _ASKED.set(SimpleNamespace(settings=Settings(default_namespace=default_namespace)))
    try:
        return make_framework(cast("Services", _Asked()))
    finally:
        _ASKED.reset(token)


@pytest.fixture(scope="session")
def framework() -> FastAPI:
    """Return what knows every call, as it is declared by default."""
    return _framework(Settings().default_namespace)


@pytest.fixture(scope="session")
def application() -> Callable[[Services], ASGIApp]:
    """Return what makes the API's application for services of its own; only the routes are everybody's.

    Streams of events have what reads the log in common, so their tests need routes of their own.
    """

    def made(services: Services) -> ASGIApp:
        front = create_app(services, framework=_framework(services.settings.default_namespace))

        async def asked(scope: Scope, receive: Receive, send: Send) -> None:
            token = _ASKED.set(services)
            try:
                await front(scope, receive, send)
            finally:
                _ASKED.reset(token)

        return asked

    return made


@pytest.fixture
def open_api(
    tmp_path: Path, application: Callable[[Services], ASGIApp]
) -> Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]:
    """Return what runs the API in a world; the client that it gives is nobody until a test says who.

    It takes what stands in the broker's place (a broker to which nobody listens)
    and settings of the API's own.

    The API calls as its ServiceAccount, with what the manifests grant and
    nothing more; publish and verify are the world's own.
    """

    @asynccontextmanager
    async def opened(
        world: World,
        broker: Callable[[httpx.Request], httpx.Response] = lambda _: httpx.Response(202),
        **wanted: Any,
    ) -> AsyncIterator[httpx.AsyncClient]:
        cluster, clock, token = world.pipeline.cluster, world.clock, tmp_path / "token"
        token.write_text(cluster.token("api", audiences=[AUDIENCE]))
        # A world's functions do their part when a test says so, and a removal would wait for cleanup in vain.
        changed = {"token_file": token, "removal_wait": timedelta(), **wanted}
        settings = world.pipeline.settings.model_copy(update=changed)
        async with AsyncExitStack() as stack:
            calls = httpx.AsyncClient(transport=httpx.MockTransport(_to_functions(world, settings)))
            ingress = httpx.AsyncClient(transport=httpx.MockTransport(broker))
            for client in (calls, ingress):
                await stack.enter_async_context(client)
            context = Context.build(
                settings=settings,
                transport=cluster.transport("api", restricted=True),
                sink=EventSink(client=ingress, url="http://broker.test/"),
                component="image-catalog-api",
                clock=clock.now,
            )
            services = assemble(context, auth=ApiAuth.KUBERNETES)
            app = application(replace(services, functions=replace(services.functions, client=calls)))
            await stack.enter_async_context(alive(app))
            for feed in (services.image_feed, services.build_feed):
                await asyncio.wait_for(feed.filled.wait(), timeout=10)
            transport = httpx.ASGITransport(app)
            api = httpx.AsyncClient(transport=transport, base_url="http://api.test")
            yield await stack.enter_async_context(api)

    return opened


def _to_functions(world: World, settings: Settings) -> Callable[[httpx.Request], Coroutine[None, None, httpx.Response]]:
    async def deliver(request: httpx.Request) -> httpx.Response:
        function = {settings.publish_url: "publish", settings.verify_url: "verify"}[str(request.url).rstrip("/")]
        headers = {name: request.headers[name] for name in ("prefer", "authorization")}
        answer = await world.pipeline.deliver(function, read_event(dict(request.headers), request.content), **headers)
        return httpx.Response(answer.status_code, headers=dict(answer.headers), content=bytes(answer.body))

    return deliver


def check_generations(world: World) -> None:
    """Make sure that status and conditions speak of one generation, which `kubectl wait` relies on."""
    for stored in world.all("catalogimages"):
        status = CatalogImage.from_object(stored).status
        assert {c.observed_generation for c in status.conditions} <= {status.observed_generation}


def check_events(world: World) -> None:
    """Make sure that every event is what its schema and the attributes of all events say."""
    meant: dict[str, tuple[str, str | None]] = {}
    for event in world.pipeline.emitted:
        _validator(EventType(event.type)).validate(orjson.loads(event.data))
        assert uuid.UUID(event.id).version == 5
        assert meant.setdefault(event.id, (event.type, event.subject)) == (event.type, event.subject)
        attributes = event.attributes
        name = attributes.get("catalogname", "")
        assert event.subject == attributes["partitionkey"] == f"{attributes['catalognamespace']}/{name}"
        assert attributes["source"].endswith(f"/namespaces/{attributes['catalognamespace']}/catalogimages/{name}")
        assert attributes["specversion"] == "1.0"
        assert all(attributes.values())


@cache
def _validator(event_type: EventType) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(orjson.loads((SCHEMAS_FOLDER / schema_file(event_type)).read_bytes()))
