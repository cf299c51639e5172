"""What figures say of the age of what requests are answered from."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import httpx
import stamina
from prometheus_client import REGISTRY
from starlette.types import ASGIApp

from image_catalog.testing.clock import StillClock
from image_catalog.testing.cluster import Effect, InProcessCluster
from image_catalog_functions.api.services import Services

LONG = timedelta(hours=3)


def age(kind: str) -> float | None:
    return REGISTRY.get_sample_value("image_catalog_api_index_age_seconds", {"kind": kind})


async def test_builds_that_were_never_listed_are_not_missed(
    services: Services, application: Callable[[Services], ASGIApp], clock: StillClock
) -> None:
    """The kind is not there without the build operator; entries are what the API is for."""
    application(services)
    clock.advance(seconds=LONG.total_seconds())
    assert age("CatalogImage") == LONG.total_seconds()
    assert age("ImageBuild") == 0


async def test_builds_that_were_listed_are_missed(
    client: httpx.AsyncClient, services: Services, cluster: InProcessCluster, clock: StillClock
) -> None:
    assert (await client.get("images")).status_code == 200
    assert age("ImageBuild") == 0
    cluster.fail(Effect.UNAVAILABLE, verb="watch", times=1000)
    cluster.disconnect_watches()
    async for attempt in stamina.retry_context(on=AssertionError, timeout=5, wait_initial=0.001, wait_max=0.01):
        with attempt:
            assert services.build_feed.age() is not None
    clock.advance(seconds=LONG.total_seconds())
    assert age("ImageBuild") == LONG.total_seconds()
