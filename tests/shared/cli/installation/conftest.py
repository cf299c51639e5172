"""A cluster with the catalog in it, and what a check says of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from image_catalog.cli.installation import CHECKS, Finding, Reach, State, Surroundings
from image_catalog.local.manifests import load_manifests
from image_catalog.testing.cluster import InProcessCluster
from image_catalog.testing.installation import install_catalog

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@dataclass
class Here:
    """What can be reached from where the check runs."""

    reach: Reach = Reach.ANSWERED
    asked: list[str] = field(default_factory=list)
    version: tuple[str | None, str] | Exception = ("0001", "0001")
    database_url: str | None = None

    async def probe(self, url: str) -> Reach:
        self.asked.append(url)
        return self.reach

    async def database_version(self, url: str) -> tuple[str | None, str]:
        self.asked.append(url)
        if isinstance(self.version, Exception):
            raise self.version
        return self.version


@pytest.fixture
async def cluster() -> InProcessCluster:
    """Return a cluster with the catalog installed."""
    cluster = InProcessCluster(namespaces=("team-a", "automotive-dev-operator-system"), clock=lambda: NOW)
    install_catalog(cluster.server)
    return cluster


@pytest.fixture
def here() -> Here:
    """Return what can be reached; all of it at first."""
    return Here()


@pytest.fixture(scope="session")
def manifests() -> list[dict[str, Any]]:
    """Return what this version installs."""
    return load_manifests()


@pytest.fixture
def around(cluster: InProcessCluster, here: Here, manifests: list[dict[str, Any]]) -> Surroundings:
    """Return what checks are given."""
    return Surroundings(
        api=cluster.api("administrator"),
        manifests=manifests,
        probe=here.probe,
        database_version=here.database_version,
        database_url=here.database_url,
        clock=lambda: NOW,
    )


@pytest.fixture
def wrong(around: Surroundings) -> Callable[[str], Awaitable[list[Finding]]]:
    """Return what a check finds amiss."""

    async def look(check: str) -> list[Finding]:
        return [finding for finding in await CHECKS[check](around) if finding.state is not State.OK]

    return look
