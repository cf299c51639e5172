"""How much of a process a registry may hold: few places while it is slow or unknown, all of them when it is quick."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import pytest

from image_catalog.errors import RegistryBusyError
from image_catalog.models import CatalogRegistry
from image_catalog.registry.hosts import HostPolicy, Target
from image_catalog.registry.places import Places

# Longer than a busy machine stands still: who waits in vain this long is refused.
QUICK = timedelta(seconds=0.5)
LONG = timedelta(seconds=2)
BRIEF = timedelta(seconds=0.05)


def target(host: str = "quay.io", concurrency: int | None = None) -> Target:
    if concurrency is None:
        return HostPolicy().target(host)
    spec = {"host": host, "limits": {"maxConcurrentRequests": concurrency}}
    return HostPolicy([CatalogRegistry.model_validate({"metadata": {"name": "r"}, "spec": spec})]).target(host)


class Holders:
    """Those who hold places, or wait for one, until they are let go."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.begun = 0
        self.inside = 0
        self.left = 0
        self.refused = 0
        self.news = asyncio.Queue[None]()
        self.held: list[asyncio.Event] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def come(self, where: Target, count: int = 1) -> None:
        """Let some come, and go as far as they get at once."""
        self.tasks += [asyncio.create_task(self._hold(where)) for _ in range(count)]
        for task in self.tasks[-count:]:
            task.add_done_callback(lambda _: self.news.put_nowait(None))
        await self.settle(lambda: self.begun == len(self.tasks))

    async def finish(self, where: Target) -> None:
        """Let the first that is inside have a quick answer, and go."""
        self.places.answered(where, timedelta(milliseconds=1))
        self.held.pop(0).set()
        gone = self.left + 1
        # Who was given the place knows it as soon as he is inside.
        await self.settle(lambda: self.left >= gone and self.inside == self.given)

    async def finish_all(self, where: Target) -> None:
        while self.held:
            await self.finish(where)
        await asyncio.gather(*self.tasks)

    async def settle(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await self.news.get()

    @property
    def given(self) -> int:
        """How many places are given away."""
        return sum(lane.inside for lane in self.places._lanes.values())

    async def _hold(self, where: Target) -> None:
        self.begun += 1
        self.news.put_nowait(None)
        try:
            async with self.places.take(where):
                self.inside += 1
                self.news.put_nowait(None)
                mine = asyncio.Event()
                self.held.append(mine)
                try:
                    await mine.wait()
                finally:
                    self.inside -= 1
                    self.left += 1
        except RegistryBusyError:
            self.refused += 1


@pytest.fixture
async def holders() -> AsyncIterator[Holders]:
    holders = Holders(Places(quick=QUICK, longest=LONG))
    yield holders
    for task in holders.tasks:
        task.cancel()
    await asyncio.gather(*holders.tasks, return_exceptions=True)


async def prove(places: Places, where: Target, checks: int = 20) -> None:
    for _ in range(checks):
        async with places.take(where):
            places.answered(where, timedelta(milliseconds=1))


class TestShare:
    async def test_registry_that_nobody_knows_has_a_fourth_of_its_places(self, holders: Holders) -> None:
        await holders.come(target(), 10)
        assert (holders.inside, holders.refused) == (4, 0)

    async def test_each_quick_check_gives_one_more_up_to_all(self, holders: Holders) -> None:
        await holders.come(target(), 14)
        await holders.finish(target())
        assert holders.inside == 5
        await holders.finish(target())
        assert holders.inside == 6
        await prove(holders.places, target("ghcr.io"))
        await holders.come(target("ghcr.io"), 30)
        assert holders.inside == 6 + 16

    async def test_one_that_refuses_quickly_and_says_no_more_is_not_quick(self, holders: Holders) -> None:
        """A challenge, or a token, comes in no time from many a registry whose storage hangs."""
        for _ in range(20):
            async with holders.places.take(target()):
                holders.places.answered(target(), timedelta(milliseconds=1))
                holders.places.silent(target())
        await holders.come(target(), 10)
        assert holders.inside == 4

    async def test_answer_that_belongs_to_no_check_proves_nothing(self, holders: Holders) -> None:
        for _ in range(20):
            holders.places.answered(target(), timedelta(milliseconds=1))
        await holders.come(target(), 10)
        assert holders.inside == 4

    async def test_administrator_says_how_many_there_are(self, holders: Holders) -> None:
        busy = target(concurrency=40)
        await holders.come(busy, 12)
        assert holders.inside == 10
        await holders.finish_all(busy)
        await prove(holders.places, busy, 40)
        await holders.come(busy, 60)
        assert holders.inside == 40

    @pytest.mark.parametrize("concurrency", [1, 3])
    async def test_few_are_all_there_from_the_start(self, holders: Holders, concurrency: int) -> None:
        await holders.come(target(concurrency=concurrency), 5)
        assert holders.inside == concurrency

    @pytest.mark.parametrize(
        "slowly",
        [lambda places: places.answered(target(), QUICK * 2), lambda places: places.silent(target())],
        ids=["slow", "silent"],
    )
    async def test_one_that_becomes_slow_falls_back(self, holders: Holders, slowly: Callable[[Places], None]) -> None:
        await prove(holders.places, target())
        slowly(holders.places)
        await holders.come(target(), 10)
        assert holders.inside == 4


class TestWaiting:
    async def test_few_wait_for_a_registry_that_nobody_knows_and_the_rest_is_refused_at_once(
        self, holders: Holders
    ) -> None:
        await holders.come(target(), 50)
        assert (holders.inside, holders.refused) == (4, 50 - 4 - 12)

    async def test_any_number_waits_for_one_that_is_quick(self, holders: Holders) -> None:
        await prove(holders.places, target())
        await holders.come(target(), 200)
        assert (holders.inside, holders.refused) == (16, 0)
        await holders.finish_all(target())
        assert holders.refused == 0

    async def test_nobody_waits_for_one_that_stands_still(self, holders: Holders) -> None:
        await prove(holders.places, target())
        await holders.come(target(), 50)
        await holders.settle(lambda: holders.refused == 50 - 16)
        await holders.come(target())
        assert holders.refused == 50 - 16 + 1, "and who comes later is refused at once"

    async def test_refusal_names_the_registry_and_when_to_come_again(self, holders: Holders) -> None:
        await holders.come(target(), 16)
        with pytest.raises(RegistryBusyError, match=r"quay\.io is slow: 4 checks of its images") as refused:
            async with holders.places.take(target()):
                raise AssertionError
        assert refused.value.retry_after == timedelta(seconds=5)

    async def test_who_waits_goes_in_order_and_nobody_passes_him(self, holders: Holders) -> None:
        order: list[int] = []
        all_wait = asyncio.Event()

        async def hold(number: int) -> None:
            if number == 7:  # The last of those that begin in turn.
                all_wait.set()
            async with holders.places.take(target(concurrency=1)):
                order.append(number)
                await all_wait.wait()

        await asyncio.gather(*(hold(number) for number in range(8)))
        assert order == list(range(8))

    async def test_progress_is_waited_for_no_longer_than_a_delivery_can_bear(self) -> None:
        places = Places(quick=BRIEF, longest=BRIEF * 3)
        holders = Holders(places)
        await holders.come(target(concurrency=1), 2)

        async def trickle() -> None:
            while not holders.refused:
                places.answered(target(concurrency=1), timedelta(milliseconds=1))
                await asyncio.wait(holders.tasks, timeout=BRIEF.total_seconds() / 5)

        async with asyncio.timeout(5):
            await trickle()
        await holders.finish_all(target(concurrency=1))


class TestOthers:
    async def test_one_that_stands_still_takes_nothing_from_another(self, holders: Holders) -> None:
        await holders.come(target("slow.test"), 100)
        await holders.come(target(), 4)
        assert holders.inside == 4 + 4

    async def test_those_that_nobody_knows_hold_a_part_together(self, holders: Holders) -> None:
        """Whoever owns a domain has as many names as he likes."""
        await prove(holders.places, target())
        for number in range(30):
            await holders.come(target(f"r{number}.slow.test"), 4)
        assert holders.inside == 24
        await holders.come(target(), 16)
        assert holders.inside == 24 + 16

    async def test_those_that_were_slow_leave_some_to_others_that_nobody_knows(self, holders: Holders) -> None:
        for number in range(30):
            holders.places.silent(target(f"r{number}.slow.test"))
            await holders.come(target(f"r{number}.slow.test"), 4)
        assert holders.inside == 16
        await holders.come(target(), 4)
        assert holders.inside == 20

    async def test_one_that_found_all_of_them_taken_is_not_slow_itself(self, holders: Holders) -> None:
        for number in range(4):
            holders.places.silent(target(f"r{number}.slow.test"))
            await holders.come(target(f"r{number}.slow.test"), 4)
        for number in range(2):
            await holders.come(target(f"r{number}.new.test"), 4)
        with pytest.raises(
            RegistryBusyError, match=r"quay\.io has to wait: registries that are slow, or not known yet"
        ):
            async with holders.places.take(target()):
                raise AssertionError
        holders.tasks[-1].cancel()
        await holders.settle(lambda: holders.inside == 23)
        await holders.come(target())
        assert holders.inside == 24, "it has its part of what is kept for those that have yet to show it"

    async def test_what_comes_free_goes_to_who_waits_for_any_of_them(self, holders: Holders) -> None:
        for number in range(7):
            await holders.come(target(f"r{number}.slow.test"), 4)
        holders.tasks[0].cancel()
        await holders.settle(lambda: holders.tasks[0].done() and holders.inside == 24)


class TestGivingUp:
    async def test_who_gives_up_while_waiting_takes_no_place(self, holders: Holders) -> None:
        await holders.come(target(concurrency=1), 3)
        holders.tasks[1].cancel()
        await holders.finish(target(concurrency=1))
        await holders.finish(target(concurrency=1))
        await asyncio.gather(*holders.tasks, return_exceptions=True)
        assert holders.refused == 0
        async with asyncio.timeout(1), holders.places.take(target(concurrency=1)):
            pass

    async def test_who_gives_up_as_his_turn_comes_leaves_it_to_the_next(self, holders: Holders) -> None:
        async with holders.places.take(target(concurrency=1)):
            await holders.come(target(concurrency=1), 2)
        holders.tasks[0].cancel()  # He has been given the place, and does not know it yet.
        with contextlib.suppress(asyncio.CancelledError):
            await holders.tasks[0]
        await holders.settle(lambda: holders.inside == 1 and not holders.tasks[1].done())

    async def test_registries_that_nobody_asks_any_more_are_forgotten(self, holders: Holders) -> None:
        for number in range(5000):
            holders.places.answered(target(f"r{number}.test"), timedelta(milliseconds=1))
        assert len(holders.places._lanes) == 4096
