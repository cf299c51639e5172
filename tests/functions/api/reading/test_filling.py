"""What reads say before the first list of the cluster is complete, and while its watch is broken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import httpx
import pytest
import stamina

from image_catalog.cluster import Interrupted, Relisted, WatchItem
from image_catalog.errors import ClusterUnavailableError
from image_catalog.testing.catalog_samples import sample_images
from image_catalog.testing.clock import StillClock
from image_catalog.testing.cluster import Effect, InProcessCluster
from image_catalog.testing.lifespan import alive
from image_catalog_functions.api.app import BASE
from image_catalog_functions.api.http.asgi import ASGIApp
from image_catalog_functions.api.reading.feed import Feed
from image_catalog_functions.api.services import Services

READS = [
    f"{BASE}/images",
    f"{BASE}/images?tags=a&latest=true",
    f"{BASE}/images/x",
    f"{BASE}/images/x/artifacts",
    f"{BASE}/images/x/history",
    f"{BASE}/builds",
    "/v1/catalog/images",
    "/v1/catalog/images/x",
]


@pytest.fixture
async def early(
    services: Services, cluster: InProcessCluster, application: Callable[[Services], ASGIApp]
) -> AsyncIterator[httpx.AsyncClient]:
    """Ask an API whose cluster does not answer."""
    cluster.fail(Effect.UNAVAILABLE, verb="watch", times=1000)
    cluster.fail(Effect.UNAVAILABLE, verb="list", times=1000)
    app = application(services)
    async with (
        alive(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api.test") as client,
    ):
        yield client


@pytest.mark.parametrize("path", [*READS, "/readyz"])
async def test_nothing_is_said_to_be_absent_before_all_is_listed(early: httpx.AsyncClient, path: str) -> None:
    answer = await early.get(path)
    assert (answer.status_code, answer.json()["reason"]) == (503, "IndexNotFilled")
    assert int(answer.headers["retry-after"]) > 0
    assert "age" not in answer.headers
    assert "items" not in answer.json()


async def test_mistakes_are_told_before_all_is_listed(early: httpx.AsyncClient) -> None:
    assert (await early.get(f"{BASE}/images?limit=x")).status_code == 400
    assert (await early.get("/healthz")).status_code == 200


async def test_what_is_known_is_served_with_its_age_while_the_watch_is_broken(
    client: httpx.AsyncClient, services: Services, cluster: InProcessCluster, clock: StillClock
) -> None:
    fresh = await client.get("images")
    assert "age" not in fresh.headers
    cluster.fail(Effect.UNAVAILABLE, verb="watch", times=1000)
    cluster.disconnect_watches()
    async for attempt in stamina.retry_context(on=AssertionError, timeout=5, wait_initial=0.001, wait_max=0.01):
        with attempt:
            assert services.image_feed.age() is not None
    clock.advance(seconds=90)
    stale = await client.get("images")
    assert (stale.status_code, stale.headers["age"]) == (200, "90")
    assert stale.json()["items"] == fresh.json()["items"]
    known = await client.get("images", headers={"if-none-match": stale.headers["etag"]})
    assert (known.status_code, known.headers["age"]) == (304, "90")
    name = stale.json()["items"][0]["metadata"]["name"]
    assert (await client.get(f"images/{name}")).headers["age"] == "90"
    assert (await client.get("http://api.test/readyz")).status_code == 200
    assert 'index_age_seconds{kind="CatalogImage"} 90.0' in (await client.get("http://api.test/metrics")).text
    clock.advance(seconds=services.settings.index_stale_limit.total_seconds())
    ready = await client.get("http://api.test/readyz")
    assert (ready.status_code, ready.json()["reason"]) == (503, "IndexOutOfDate")
    assert (await client.get("images")).status_code == 200


async def test_index_is_old_until_the_list_after_an_interruption_is_complete(
    services: Services, clock: StillClock
) -> None:
    objects = tuple(sample_images(4))
    items: asyncio.Queue[WatchItem] = asyncio.Queue()

    async def watch() -> AsyncIterator[WatchItem]:
        while True:
            yield await items.get()
            items.task_done()

    feed = Feed(name="images", watch=watch, collection=services.index, clock=clock)  # type: ignore[arg-type]  # an async generator function
    running = asyncio.create_task(feed.run())

    async def told(*batch: WatchItem) -> None:
        for item in batch:
            items.put_nowait(item)
        # What was taken is done when the next is asked for.
        async with asyncio.timeout(5):
            await items.join()

    await told(Relisted(objects[:2], first=True, last=False))
    assert not feed.filled.is_set()
    assert feed.age() is not None
    await told(Relisted(objects[2:], first=False, last=True, resource_version="9"))
    assert (feed.filled.is_set(), feed.age()) == (True, None)
    await told(Interrupted(ClusterUnavailableError("the connection was reset")))
    clock.advance(seconds=7)
    await told(Relisted(objects[:1], first=True, last=False))
    assert feed.age() == timedelta(seconds=7)
    await told(Relisted(objects[1:2], first=False, last=True, resource_version="12"))
    assert feed.age() is None
    assert len(services.index) == 2
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
