"""The API over an embedded cluster, in one process, with a catalog of samples in its index."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any

import httpx
import pytest
import pytest_asyncio

from image_catalog.config import ApiAuth, Settings
from image_catalog.context import Context
from image_catalog.testing.catalog_samples import sample_images
from image_catalog.testing.clock import StillClock
from image_catalog.testing.cluster import InProcessCluster
from image_catalog.testing.lifespan import alive
from image_catalog_functions.api.app import BASE
from image_catalog_functions.api.assembly import assemble
from image_catalog_functions.api.http.asgi import ASGIApp
from image_catalog_functions.api.services import Services

SAMPLES = 120
NOON = datetime(2026, 6, 1, 12, 5, tzinfo=UTC)


@cache
def _samples() -> tuple[dict[str, Any], ...]:
    """Make the samples once for all tests; the index changes none of them."""
    return tuple(sample_images(SAMPLES, namespaces=("default", "team-a")))


@pytest.fixture
def clock() -> StillClock:
    return StillClock(NOON)


@pytest.fixture
async def cluster() -> AsyncIterator[InProcessCluster]:
    async with InProcessCluster() as cluster:
        yield cluster


@pytest.fixture
async def services(cluster: InProcessCluster, clock: StillClock) -> Services:
    """Make what the API works with; everybody may do everything."""
    return assembled(cluster, clock)


@pytest.fixture
async def client(services: Services, application: Callable[[Services], ASGIApp]) -> AsyncIterator[httpx.AsyncClient]:
    """Asks the API, whose feeds have seen everything that the cluster has, and whose index has samples beside it."""
    async with asking(services, application(services)) as client:
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def reader(application: Callable[[Services], ASGIApp]) -> AsyncIterator[httpx.AsyncClient]:
    """Asks an API that a module's tests share: for those that change nothing, and run in the module's loop."""
    async with InProcessCluster() as cluster:
        services = assembled(cluster, StillClock(NOON))
        async with asking(services, application(services)) as client:
            yield client


def assembled(cluster: InProcessCluster, clock: StillClock) -> Services:
    context = Context.build(settings=Settings(), transport=cluster.transport("api"), clock=clock)
    return assemble(context, auth=ApiAuth.NONE)


@asynccontextmanager
async def asking(services: Services, app: ASGIApp) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with alive(app), httpx.AsyncClient(transport=transport, base_url=f"http://api.test{BASE}/") as client:
        for feed in (services.image_feed, services.build_feed):
            await feed.filled.wait()
        for sample in _samples():
            services.index.put(sample)
        yield client
