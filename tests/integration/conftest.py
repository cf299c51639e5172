"""The real distribution server and skopeo, for every test of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from image_catalog.testing.background import in_background
from image_catalog.testing.distribution import DistributionServer, Skopeo, find_docker_registry, find_skopeo


@pytest.fixture(scope="session")
def registry_binary() -> str:
    """Give Debian's ``docker-registry``."""
    binary = find_docker_registry()
    if binary is None:
        pytest.skip("docker-registry is not installed")
    return binary


@pytest.fixture
async def docker_registry(registry_binary: str, tmp_path: Path) -> AsyncIterator[DistributionServer]:
    """Run it on a free port."""
    async with DistributionServer(binary=registry_binary, folder=tmp_path / "distribution") as server:
        yield server


@pytest.fixture(scope="module")
def shared_registry(registry_binary: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DistributionServer]:
    """Run one for all tests of a module: to start one takes longer than what most of them do with it."""
    server = DistributionServer(binary=registry_binary, folder=tmp_path_factory.mktemp("distribution"), cached=False)
    with in_background(server):
        yield server


@pytest.fixture(scope="module")
def held_registry(registry_binary: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DistributionServer]:
    """Run one for the tests of a module that only read: what is pushed there stays."""
    with in_background(DistributionServer(binary=registry_binary, folder=tmp_path_factory.mktemp("held"))) as server:
        yield server


@pytest.fixture
def empty_registry(shared_registry: DistributionServer) -> Iterator[DistributionServer]:
    """Give the one that a module's tests share, without anything in it."""
    yield shared_registry
    shared_registry.clear()


@pytest.fixture
def skopeo(tmp_path: Path) -> Skopeo:
    """Give the real ``skopeo``."""
    binary = find_skopeo()
    if binary is None:
        pytest.skip("skopeo is not installed")
    return Skopeo(binary=binary, folder=tmp_path / "skopeo")
