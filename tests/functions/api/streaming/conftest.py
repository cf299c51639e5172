"""The API's event stream over a log in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from copy import copy
from dataclasses import replace
from datetime import timedelta

import pytest
from fastapi import APIRouter, FastAPI

from image_catalog.config import ApiAuth, Settings
from image_catalog.context import Context
from image_catalog.testing.clock import StillClock
from image_catalog.testing.cluster import InProcessCluster
from image_catalog.testing.event_streams import MIDNIGHT, MemoryLog, Watch, watcher_of
from image_catalog_functions.api.app import BASE, create_app, running
from image_catalog_functions.api.assembly import assemble
from image_catalog_functions.api.http.asgi import ASGIApp
from image_catalog_functions.api.services import Services
from image_catalog_functions.api.streaming import routes
from image_catalog_functions.api.streaming.streams import StreamLimits


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog()


@pytest.fixture
def limits() -> StreamLimits:
    """Say that nothing is waited for longer than needed."""
    return StreamLimits(poll=timedelta(milliseconds=5), heartbeat=timedelta(milliseconds=20), recheck=timedelta(0))


@pytest.fixture
def clock() -> StillClock:
    return StillClock(MIDNIGHT)


@pytest.fixture
async def cluster(clock: StillClock) -> AsyncIterator[InProcessCluster]:
    async with InProcessCluster(namespaces=["team-a"], clock=clock) as cluster:
        yield cluster


@pytest.fixture
async def services(cluster: InProcessCluster, log: MemoryLog, limits: StreamLimits) -> AsyncIterator[Services]:
    """Make what the API works with; everybody may do everything, and nothing is waited for longer than needed."""
    context = Context.build(settings=Settings(), transport=cluster.transport("api"), clock=StillClock(MIDNIGHT))
    yield replace(assemble(context, auth=ApiAuth.NONE), audit=log, stream_limits=limits)  # type: ignore[arg-type]  # behaves as the store
    await context.aclose()


@pytest.fixture
def streaming(framework: FastAPI) -> Callable[[Services], ASGIApp]:
    """Return what makes the API's application with no call but the stream: to make all is most of what a test takes."""

    def made(services: Services) -> ASGIApp:
        alone = copy(framework)
        alone.middleware_stack = None
        alone.router = APIRouter(redirect_slashes=False, lifespan=lambda _: running(services))
        alone.include_router(routes.router(services), prefix=BASE)
        return create_app(services, framework=alone)

    return made


@pytest.fixture
def watch(services: Services, streaming: Callable[[Services], ASGIApp]) -> Watch:
    return watcher_of(streaming(services))
