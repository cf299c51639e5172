"""The real distribution server and skopeo, for every test of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from image_catalog.testing.distribution import DistributionServer, Skopeo, find_docker_registry, find_skopeo


@pytest.fixture
async def docker_registry(tmp_path: Path) -> AsyncIterator[DistributionServer]:
    """Run Debian's ``docker-registry`` on a free port."""
    binary = find_docker_registry()
    if binary is None:
        pytest.skip("docker-registry is not installed")
    async with DistributionServer(binary=binary, folder=tmp_path / "distribution") as server:
        yield server


@pytest.fixture
def skopeo(tmp_path: Path) -> Skopeo:
    """Give the real ``skopeo``."""
    binary = find_skopeo()
    if binary is None:
        pytest.skip("skopeo is not installed")
    return Skopeo(binary=binary, folder=tmp_path / "skopeo")
