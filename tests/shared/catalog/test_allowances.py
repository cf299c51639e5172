"""Several processes that ask one registry keep to its limit together, and learn what a check costs."""

from __future__ import annotations

import asyncio
import random
from datetime import datetime, timedelta

import pytest

from image_catalog.catalog.allowances import Allowances
from image_catalog.catalog.budget import Urgency, cost_of_check
from image_catalog.cluster import CatalogRegistries
from image_catalog.errors import RegistryBusyError
from image_catalog.models import CatalogRegistry
from image_catalog.models.names import API_VERSION
from image_catalog.registry import HostPolicy
from image_catalog.registry.access import Access, Tally
from image_catalog.registry.throttle import Throttle
from image_catalog.testing.cluster import InProcessCluster
from image_catalog.testing.knative import ManualClock

HOUR = timedelta(hours=1)


class Process:
    """What one process has: a list of registries, a throttle and its allowances."""

    def __init__(self, cluster: InProcessCluster, clock: ManualClock, asked: list[datetime]) -> None:
        self._clock = clock
        self._asked = asked
        self.told: list[timedelta | None] = []
        self.registries = CatalogRegistries(api=cluster.api("verify"), clock=clock.now)
        self.throttle = Throttle(now=clock.now)
        self.allowances = Allowances(registries=self.registries, throttle=self.throttle, clock=clock.now)

    async def registry(self) -> CatalogRegistry:
        (found,) = await self.registries.list_all()
        return found

    async def check(self, urgency: Urgency, *, cost: int, known: bool = True) -> bool:
        """Ask a registry so many times; return whether that was allowed."""
        registry = await self.registry()
        target = HostPolicy([registry]).target("quay.io")
        access = Access(target=target, repository="acme/os", credential=None, subject="it", tally=Tally())
        try:
            async with self.allowances.take(registry, urgency, known=known):
                for _ in range(cost):
                    # A task of its own, so that others come in between.
                    await asyncio.create_task(self._ask(access))
        except RegistryBusyError as e:
            self.told.append(e.retry_after)
            return False
        return True

    async def _ask(self, access: Access) -> None:
        self.throttle.admit(access, "HEAD", "it")
        self._asked.append(self._clock.now())


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def asked() -> list[datetime]:
    return []


def described(clock: ManualClock, limit: int) -> InProcessCluster:
    cluster = InProcessCluster(clock=clock.now)
    cluster.server.apply(
        {
            "apiVersion": API_VERSION,
            "kind": "CatalogRegistry",
            "metadata": {"name": "quay"},
            "spec": {"host": "quay.io", "limits": {"requests": limit}},
        }
    )
    return cluster


def most(asked: list[datetime], window: timedelta) -> int:
    """Return the most requests that came in any such time."""
    return max(sum(at - window < other <= at for other in asked) for at in asked)


@pytest.mark.parametrize("seed", range(3))
async def test_processes_that_come_and_go_keep_to_the_limit_together(
    clock: ManualClock, asked: list[datetime], seed: int
) -> None:
    rng = random.Random(seed)  # noqa: S311 - the same in every run
    cluster = described(clock, 60)
    processes = [Process(cluster, clock, asked) for _ in range(3)]
    for _ in range(60):
        clock.advance(timedelta(seconds=rng.randrange(20, 240)))
        if rng.random() < 0.1:
            processes[rng.randrange(3)] = Process(cluster, clock, asked)
        wishes = [(rng.choice(processes), rng.choice(list(Urgency)), rng.randrange(1, 4)) for _ in range(4)]
        await asyncio.gather(*(process.check(urgency, cost=cost) for process, urgency, cost in wishes))
    assert 40 <= most(asked, HOUR) <= 60


async def test_a_process_learns_what_a_check_costs(clock: ManualClock, asked: list[datetime]) -> None:
    process = Process(described(clock, 1000), clock, asked)
    for _ in range(100):
        clock.advance(timedelta(seconds=20))
        assert await process.check(Urgency.ASKED, cost=1)
    budget = (await process.registry()).status.budget
    assert cost_of_check(budget) < 1.5


async def test_a_large_limit_is_taken_in_large_parts(clock: ManualClock, asked: list[datetime]) -> None:
    cluster = described(clock, 10_000)
    process = Process(cluster, clock, asked)
    for _ in range(90):
        assert await process.check(Urgency.ROUTINE, cost=1)
    writes = [call for call in cluster.calls if call.verb == "patch"]
    assert len(writes) == 1
    await process.check(Urgency.ROUTINE, cost=20)
    assert await process.check(Urgency.ROUTINE, cost=1)
    assert cost_of_check((await process.registry()).status.budget) < 3, "checks are counted, not writes"


async def test_what_a_check_took_too_much_is_taken_next_time(clock: ManualClock, asked: list[datetime]) -> None:
    process = Process(described(clock, 100), clock, asked)
    assert await process.check(Urgency.ASKED, cost=60)
    assert await process.check(Urgency.ASKED, cost=1)
    assert not process.told
    budget = (await process.registry()).status.budget
    assert budget is not None
    assert sum(part.requests for part in budget.taken) >= 61


async def test_who_must_wait_is_told_for_how_long(clock: ManualClock, asked: list[datetime]) -> None:
    process = Process(described(clock, 10), clock, asked)
    while await process.check(Urgency.ASKED, cost=2):
        pass
    (wait,) = process.told
    assert wait is not None
    assert timedelta() < wait <= timedelta(minutes=66)
    clock.advance(wait)
    assert await process.check(Urgency.ASKED, cost=2)
