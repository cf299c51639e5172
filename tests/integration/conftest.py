"""The real distribution server and skopeo, for every test of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from image_catalog.testing.background import in_background
from image_catalog.testing.distribution import DistributionServer, Skopeo, find_docker_registry, find_skopeo


@pytest.fixture
async def docker_registry(tmp_path: Path) -> AsyncIterator[DistributionServer]:
    """Run Debian's ``docker-registry`` on a free port."""
    binary = find_docker_registry()
    if binary is None:
        pytest.skip("docker-registry is not installed")
    async with DistributionServer(binary=binary, folder=tmp_path / "distribution") as server:
        yield server


@pytest.fixture(scope="module")
def shared_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DistributionServer]:
    """Run one for all tests of a module: to start one takes longer than what most of them do with it."""
    binary = find_docker_registry()
    if binary is None:
        pytest.skip("docker-registry is not installed")
    server = DistributionServer(binary=binary, folder=tmp_path_factory.mktemp("distribution"), cached=False)
    with in_background(server):
        yield server


@pytest.fixture(scope="module")
def held_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DistributionServer]:
    """Run one for the tests of a module that only read: what is pushed there stays."""
    binary = find_docker_registry()
    if binary is None:
        pytest.skip("docker-registry is not installed")
    with in_background(DistributionServer(binary=binary, folder=tmp_path_factory.mktemp("held"))) as server:
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
