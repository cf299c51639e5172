"""The API's token in a file: who it is good for, and that it is renewed in time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from image_catalog.cluster import AUDIENCE, TokenReviewer
from image_catalog.errors import ClusterUnavailableError
from image_catalog.local.tokens import TokenFile
from image_catalog.testing.cluster import FUNCTIONS_NAMESPACE, Effect, InProcessCluster

HOUR = timedelta(hours=1)


class Naps:
    """Sleeps that are over when a test says so."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[float] = asyncio.Queue()
        self._over = asyncio.Semaphore(0)

    async def __call__(self, seconds: float) -> None:
        self.asked.put_nowait(seconds)
        await self._over.acquire()

    async def next(self) -> timedelta:
        """Return how long the next one shall take."""
        return timedelta(seconds=await asyncio.wait_for(self.asked.get(), 10))

    def end(self) -> None:
        """Let the present one be over."""
        self._over.release()


@pytest.fixture
async def cluster() -> AsyncIterator[InProcessCluster]:
    async with InProcessCluster() as cluster:
        cluster.token("api")
        yield cluster


def token_file(cluster: InProcessCluster, tmp_path: Path, naps: Naps | None = None) -> TokenFile:
    return TokenFile(
        tmp_path / "token",
        api=cluster.api("admin"),
        namespace=FUNCTIONS_NAMESPACE,
        account="api",
        sleep=naps or Naps(),
    )


async def test_the_file_proves_the_account_to_the_catalog_and_to_nobody_else(
    cluster: InProcessCluster, tmp_path: Path
) -> None:
    lasting = await token_file(cluster, tmp_path).write()
    token = SecretStr((tmp_path / "token").read_text())

    def reviewer(audience: str) -> TokenReviewer:
        return TokenReviewer(api=cluster.api("publish"), clock=lambda: datetime.now(UTC), audience=audience)

    caller = await reviewer(AUDIENCE).review(token)
    assert caller is not None
    assert caller.username == f"system:serviceaccount:{FUNCTIONS_NAMESPACE}:api"
    assert await reviewer("somebody-else").review(token) is None
    assert HOUR / 2 < lasting < HOUR


async def test_nobody_else_on_the_machine_reads_the_file(cluster: InProcessCluster, tmp_path: Path) -> None:
    await token_file(cluster, tmp_path).write()
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["token"]  # noqa: PTH208 - pathlib's blocks as much


async def test_a_token_is_renewed_before_it_expires(cluster: InProcessCluster, tmp_path: Path) -> None:
    naps = Naps()
    file = token_file(cluster, tmp_path, naps)
    lasting = await file.write()
    # Two tokens of one second are the same.
    file.path.write_text("the first one")
    keeping = asyncio.create_task(file.keep(lasting))

    assert await naps.next() == lasting
    naps.end()
    assert HOUR / 2 < await naps.next() < HOUR
    assert file.path.read_text() not in {"", "the first one"}
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


async def test_a_cluster_that_does_not_answer_is_asked_again_soon(cluster: InProcessCluster, tmp_path: Path) -> None:
    naps = Naps()
    file = token_file(cluster, tmp_path, naps)
    lasting = await file.write()
    keeping = asyncio.create_task(file.keep(lasting))
    await naps.next()

    cluster.fail(Effect.UNAVAILABLE, verb="create", resource="serviceaccounts", times=100)
    naps.end()
    assert await naps.next() < timedelta(minutes=1)
    cluster.faults.clear()
    naps.end()
    assert await naps.next() > HOUR / 2
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


async def test_without_the_first_token_nothing_is_started(cluster: InProcessCluster, tmp_path: Path) -> None:
    cluster.fail(Effect.UNAVAILABLE, verb="create", resource="serviceaccounts", times=100)
    with pytest.raises(ClusterUnavailableError):
        await token_file(cluster, tmp_path).write()
