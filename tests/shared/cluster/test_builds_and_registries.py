"""ImageBuilds and CatalogRegistries."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from image_catalog.cluster import (
    CATALOG_REGISTRY,
    IMAGE_BUILD,
    CatalogRegistries,
    ImageBuilds,
    KubernetesAPI,
)
from image_catalog.errors import ClusterUnavailableError, InvalidObjectError
from image_catalog.testing.clock import StillClock
from image_catalog.testing.cluster import Effect, InProcessCluster

NS = "team-a"


async def build(api: KubernetesAPI, name: str, status: dict[str, Any]) -> None:
    await api.create(IMAGE_BUILD, {"metadata": {"name": name}, "spec": {"architecture": "arm64"}}, NS)
    await api.patch_status(IMAGE_BUILD, name, NS, status, resource_version=None)


async def test_build_is_read_typed(api: KubernetesAPI) -> None:
    await build(api, "b", {"phase": "Completed", "completionTime": "2026-01-01T00:00:00Z"})
    found = await ImageBuilds(api=api).get(NS, "b")
    assert found is not None
    assert (found.subject, found.architecture, found.is_completed) == ("team-a/b", "arm64", True)
    assert await ImageBuilds(api=api).get(NS, "absent") is None


async def test_only_completed_builds_are_listed(cluster: InProcessCluster, api: KubernetesAPI) -> None:
    await build(api, "done", {"phase": "Completed"})
    await build(api, "odd-conditions", {"phase": "Completed", "conditions": "none"})
    await build(api, "running", {"phase": "Building"})
    await build(api, "odd", {"phase": "Completed"})
    cluster.store_unchecked(IMAGE_BUILD, "odd", NS, {"metadata": {"labels": "none"}})
    pages = [page async for page in ImageBuilds(api=api).completed()]
    assert [found.metadata.name for page in pages for found in page] == ["done", "odd-conditions"]


async def test_build_that_is_no_kubernetes_object_is_said(cluster: InProcessCluster, api: KubernetesAPI) -> None:
    await build(api, "odd", {"phase": "Completed"})
    cluster.store_unchecked(IMAGE_BUILD, "odd", NS, {"metadata": {"labels": "none"}})
    with pytest.raises(InvalidObjectError, match="team-a/odd cannot be read"):
        await ImageBuilds(api=api).get(NS, "odd")


async def register(api: KubernetesAPI, name: str, host: str) -> None:
    await api.create(CATALOG_REGISTRY, {"metadata": {"name": name}, "spec": {"host": host}})


@pytest.fixture
def registries(api: KubernetesAPI, clock: StillClock) -> CatalogRegistries:
    return CatalogRegistries(api=api, clock=clock)


async def hosts(registries: CatalogRegistries) -> list[str]:
    return [registry.spec.host for registry in await registries.list_all()]


async def test_registries_are_listed_afresh_after_a_while(
    api: KubernetesAPI, registries: CatalogRegistries, clock: StillClock
) -> None:
    await register(api, "a", "a.example.com")
    assert await hosts(registries) == ["a.example.com"]
    await register(api, "b", "b.example.com")
    clock.advance(seconds=14)
    assert await hosts(registries) == ["a.example.com"]
    clock.advance(seconds=1)
    assert await hosts(registries) == ["a.example.com", "b.example.com"]


async def test_registries_are_listed_afresh_for_who_needs_a_later_list(
    cluster: InProcessCluster, api: KubernetesAPI, registries: CatalogRegistries, clock: StillClock
) -> None:
    await register(api, "a", "a.example.com")
    await hosts(registries)
    failed_at = clock()
    clock.advance(seconds=1)
    await register(api, "b", "b.example.com")
    assert await hosts(registries) == ["a.example.com"]
    cluster.calls.clear()
    for _ in range(3):
        assert len(await registries.list_all(since=failed_at)) == 2
    assert [call.verb for call in cluster.calls] == ["list"], "one later list serves everybody"


async def test_known_registries_bridge_a_short_outage(
    cluster: InProcessCluster, api: KubernetesAPI, registries: CatalogRegistries, clock: StillClock
) -> None:
    await register(api, "a", "a.example.com")
    await hosts(registries)
    cluster.fail(Effect.UNAVAILABLE, verb="list", times=2)
    clock.advance(minutes=4)
    assert await hosts(registries) == ["a.example.com"]
    clock.advance(minutes=1)
    with pytest.raises(ClusterUnavailableError):
        await hosts(registries)


async def test_unknown_registries_are_no_empty_list(cluster: InProcessCluster, registries: CatalogRegistries) -> None:
    cluster.fail(Effect.UNAVAILABLE, verb="list")
    with pytest.raises(ClusterUnavailableError):
        await registries.list_all()


async def test_checks_that_start_at_once_share_one_list(
    cluster: InProcessCluster, api: KubernetesAPI, registries: CatalogRegistries
) -> None:
    await register(api, "a", "a.example.com")
    answers = await asyncio.gather(*(hosts(registries) for _ in range(5)))
    assert answers == [["a.example.com"]] * 5
    assert [call.verb for call in cluster.calls].count("list") == 1


async def test_checks_that_start_at_once_share_one_time_out(
    cluster: InProcessCluster, registries: CatalogRegistries
) -> None:
    cluster.fail(Effect.TIMEOUT_BEFORE, verb="list", times=100)
    answers = await asyncio.gather(*(registries.list_all() for _ in range(5)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {ClusterUnavailableError}
    assert len(cluster.calls) == 1
    with pytest.raises(ClusterUnavailableError):
        await registries.list_all()
    assert len(cluster.calls) == 2


async def test_bridged_outage_is_looked_at_again_after_a_moment(
    cluster: InProcessCluster, api: KubernetesAPI, registries: CatalogRegistries, clock: StillClock
) -> None:
    await register(api, "a", "a.example.com")
    asked = []
    cluster.fail(Effect.TIMEOUT_BEFORE, verb="list", nth=2)
    for seconds in (0, 20, 4, 1):
        clock.advance(seconds=seconds)
        assert await hosts(registries) == ["a.example.com"]
        asked.append(len(cluster.calls))
    assert asked == [2, 3, 3, 4]


async def test_registry_that_cannot_be_read_does_not_hide_the_others(
    cluster: InProcessCluster, api: KubernetesAPI, registries: CatalogRegistries
) -> None:
    await register(api, "a", "a.example.com")
    await register(api, "odd", "odd.example.com")
    cluster.store_unchecked(CATALOG_REGISTRY, "odd", None, {"spec": {"type": "a type of tomorrow"}})
    assert await hosts(registries) == ["a.example.com"]
