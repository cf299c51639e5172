"""A cluster for each test, and a clock that stands still until a test moves it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from image_catalog.cluster import CatalogImages, KubernetesAPI
from image_catalog.models import CatalogImage, CatalogImageSpec, ObjectMeta
from image_catalog.testing.clock import StillClock
from image_catalog.testing.cluster import InProcessCluster

NAMESPACE = "team-a"


@pytest.fixture
async def cluster() -> AsyncIterator[InProcessCluster]:
    async with InProcessCluster(namespaces=[NAMESPACE, "team-b"]) as running:
        yield running


@pytest.fixture
def api(cluster: InProcessCluster) -> KubernetesAPI:
    return cluster.api("tester")


@pytest.fixture
def images(api: KubernetesAPI) -> CatalogImages:
    return CatalogImages(api=api)


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def entry() -> CatalogImage:
    return make_entry("cs9")


def make_entry(
    name: str, *, registry_url: str = "registry.example.com/os/cs9:1", namespace: str = NAMESPACE
) -> CatalogImage:
    return CatalogImage(
        metadata=ObjectMeta(name=name, namespace=namespace), spec=CatalogImageSpec(registry_url=registry_url)
    )
