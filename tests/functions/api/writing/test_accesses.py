"""Access counts: exact in answers, seldom written, added once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest

from image_catalog.catalog.index import Index
from image_catalog.cluster import CATALOG_IMAGE, CatalogImages, KubernetesAPI
from image_catalog.models import CatalogImageStatus
from image_catalog.testing.cluster import Effect, InProcessCluster
from image_catalog_functions.api.writing import AccessWriter

KEY = ("team-a", "autosd")


@pytest.fixture
async def cluster() -> AsyncIterator[InProcessCluster]:
    async with InProcessCluster() as running:
        yield running


@pytest.fixture
def api(cluster: InProcessCluster) -> KubernetesAPI:
    return cluster.api("api")


@pytest.fixture
async def index(api: KubernetesAPI) -> Index:
    index = Index()
    body = {"metadata": {"name": "autosd"}, "spec": {"registryUrl": "quay.io/acme/autosd:cs9"}}
    index.put(await api.create(CATALOG_IMAGE, body, "team-a"))
    return index


@pytest.fixture
def writer(api: KubernetesAPI, index: Index) -> AccessWriter:
    return AccessWriter(index=index, images=CatalogImages(api=api), interval=timedelta(hours=1))


def count(index: Index, times: int) -> None:
    for _ in range(times):
        index.count_access(*KEY)


def accesses(index: Index) -> int:
    entry = index.get(*KEY)
    assert entry is not None
    return entry.accesses


async def stored(api: KubernetesAPI) -> Any:
    found = await api.get(CATALOG_IMAGE, "autosd", "team-a")
    assert found is not None
    return (found.get("status") or {}).get("accessCount")


def writes(cluster: InProcessCluster) -> int:
    return sum(call.verb == "patch" and call.actor == "api" for call in cluster.calls)


async def test_what_was_counted_is_added(api: KubernetesAPI, index: Index, writer: AccessWriter) -> None:
    for times, total in ((3, 3), (2, 5)):
        count(index, times)
        await writer.flush()
        assert await stored(api) == total
        index.put(await api.get(CATALOG_IMAGE, "autosd", "team-a") or {})
        assert accesses(index) == total


async def test_nothing_counted_is_nothing_written(cluster: InProcessCluster, writer: AccessWriter) -> None:
    await writer.flush()
    assert writes(cluster) == 0


async def test_a_conflict_is_decided_on_the_fresh_object(
    cluster: InProcessCluster, api: KubernetesAPI, index: Index, writer: AccessWriter
) -> None:
    async def meddle() -> None:
        others = CatalogImages(api=cluster.api("other"))
        await others.apply_status(*KEY, lambda _: CatalogImageStatus(access_count=10))

    cluster.before(meddle, verb="patch", subresource="status", actor="api")
    count(index, 3)
    await writer.flush()
    assert await stored(api) == 13


async def test_what_could_not_be_written_is_kept(
    cluster: InProcessCluster, api: KubernetesAPI, index: Index, writer: AccessWriter
) -> None:
    for effect, verb in ((Effect.FORBIDDEN, "patch"), (Effect.UNAVAILABLE, "get")):
        count(index, 2)
        cluster.fail(effect, verb=verb, resource="catalogimages", actor="api")
        await writer.flush()
        assert await stored(api) is None
    assert accesses(index) == 4
    await writer.flush()
    assert await stored(api) == 4


@pytest.mark.parametrize("effect", [Effect.TIMEOUT_BEFORE, Effect.TIMEOUT_AFTER], ids=["not done", "done"])
async def test_a_write_without_an_answer_is_added_once(
    cluster: InProcessCluster, api: KubernetesAPI, index: Index, writer: AccessWriter, effect: Effect
) -> None:
    count(index, 3)
    cluster.fail(effect, verb="patch", subresource="status", actor="api")
    await writer.flush()
    count(index, 1)
    await writer.flush()
    assert await stored(api) == 4
    await writer.flush()
    assert await stored(api) == 4


async def test_an_entry_that_is_gone_takes_its_count_along(
    cluster: InProcessCluster, api: KubernetesAPI, index: Index, writer: AccessWriter
) -> None:
    count(index, 3)
    await api.delete(CATALOG_IMAGE, "autosd", "team-a")
    await writer.flush()
    await writer.flush()
    assert writes(cluster) == 0
    assert index.take_accesses() == {}


async def test_being_stopped_in_the_middle_loses_nothing(
    cluster: InProcessCluster, api: KubernetesAPI, index: Index, writer: AccessWriter
) -> None:
    arrived, never = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        arrived.set()
        await never.wait()

    count(index, 3)
    cluster.before(hang, verb="patch", subresource="status", actor="api")
    flush = asyncio.create_task(writer.flush())
    await asyncio.wait_for(arrived.wait(), 5)
    flush.cancel()
    with pytest.raises(asyncio.CancelledError):
        await flush
    await writer.flush()
    assert await stored(api) == 3


async def test_counts_are_written_once_in_an_interval(
    cluster: InProcessCluster, api: KubernetesAPI, index: Index
) -> None:
    written = asyncio.Event()

    async def note() -> None:
        written.set()

    cluster.before(note, verb="patch", subresource="status", actor="api")
    writer = AccessWriter(index=index, images=CatalogImages(api=api), interval=timedelta(milliseconds=5))
    count(index, 1)
    job = asyncio.create_task(writer.run())
    await asyncio.wait_for(written.wait(), 5)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job


async def test_what_is_read_over_http_is_counted_exactly_and_survives(serve: Callable[..., Any]) -> None:
    catalog = serve()
    catalog.world.push()
    await catalog.ask("POST", "/images", {"name": "autosd", "spec": {"registryUrl": "quay.io/acme/autosd:cs9"}})
    catalog.services.image_feed.filled.set()
    figures = [(await catalog.ask("GET", "/images/autosd")).json()["status"]["accessCount"] for _ in range(3)]
    assert figures == [1, 2, 3]
    services = catalog.services
    writer = AccessWriter(index=services.index, images=services.images, interval=timedelta(hours=1))
    await writer.flush()
    assert catalog.world.image().status.access_count == 3
    assert (await catalog.ask("GET", "/images/autosd")).json()["status"]["accessCount"] == 4
