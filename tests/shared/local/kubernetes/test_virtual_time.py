"""The API on an event loop whose time jumps: nothing in it needs threads or real time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from random import Random

from image_catalog.local.kubernetes import Cluster
from image_catalog.testing.kubernetes_requests import KubernetesRequests


class JumpingLoop(asyncio.SelectorEventLoop):
    """Whenever nothing is to be done, the time of the next thing has come."""

    offset = 0.0

    def time(self) -> float:
        return super().time() + self.offset

    def _run_once(self) -> None:
        ready, scheduled = self._ready, self._scheduled  # type: ignore[attr-defined]  # asyncio's own
        if not ready and scheduled:
            self.offset += max(0.0, scheduled[0].when() - self.time())
        super()._run_once()  # type: ignore[misc]  # asyncio's own


async def an_hour_of_watching() -> list[str]:
    cluster = Cluster(
        clock=lambda: datetime(2026, 1, 1, tzinfo=UTC),
        random=Random(1),  # noqa: S311 - uids and names, no secrets
        namespace_grace=timedelta(hours=1),
    )
    ask = KubernetesRequests(cluster)
    start = (await ask("GET", "/api/v1/namespaces")).json()["metadata"]["resourceVersion"]
    path = f"/api/v1/namespaces?watch=true&allowWatchBookmarks=true&resourceVersion={start}&timeoutSeconds=3700"
    types: list[str] = []
    async with ask.watch(path) as watch:
        watch.patience = timedelta(hours=2)
        await ask("DELETE", "/api/v1/namespaces/kube-public")
        while types[-1:] != ["DELETED"]:
            types.append((await watch.event())["type"])
    return types


def test_an_hour_of_watching_takes_no_time() -> None:
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        types = runner.run(an_hour_of_watching())
    assert (types[0], types[-1]) == ("MODIFIED", "DELETED")
    assert types.count("BOOKMARK") >= 59
