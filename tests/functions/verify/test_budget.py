"""A registry that allows little is asked for no more, evenly, and people first."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from datetime import datetime, timedelta

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from image_catalog.catalog.lifecycle import postpone
from image_catalog.cluster import CatalogImages
from image_catalog.events import EventType
from image_catalog.models import CatalogImage, DueAt
from image_catalog.models.durations import parse_duration
from image_catalog.testing.registry import BearerAuth
from image_catalog.testing.registry_faults import HeaderChange
from image_catalog.testing.world import World

pytestmark = pytest.mark.story

HOUR = timedelta(hours=1)
ENTRIES, LIMIT = 50, 100


class Counting:
    """Stands before a registry and notes when it was asked."""

    def __init__(self, world: World) -> None:
        self.asked: list[datetime] = []
        self.paths: list[tuple[datetime, str]] = []
        self._world = world
        self._app: ASGIApp = world.registry
        world.network.serve_app("https://quay.io", self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        now = self._world.clock.now()
        self.asked.append(now)
        self.paths.append((now, scope["path"]))
        await self._app(scope, receive, send)

    def most(self, window: timedelta) -> int:
        """Return the most requests that came in any such time."""
        most, first = 0, 0
        for number, at in enumerate(self.asked):
            while self.asked[first] <= at - window:
                first += 1
            most = max(most, number - first + 1)
        return most

    def checks(self, since: datetime) -> dict[str, list[datetime]]:
        """Return when each tag was looked at."""
        found: dict[str, list[datetime]] = {}
        for at, path in self.paths:
            if at >= since and "/manifests/" in path:
                found.setdefault(path.rpartition("/")[2], []).append(at)
        return found


async def ask(world: World, name: str) -> CatalogImage:
    """Ask for a verification, as a person does, and let everybody do their part."""
    world.pipeline.request(
        EventType.VERIFICATION_REQUESTED, {"namespace": "team-a", "name": name, "reason": "manual", "deep": False}
    )
    await world.pipeline.drain()
    return world.image(name)


def manifests(world: World) -> int:
    """Return how often an image was looked at."""
    return sum("/manifests/" in request.url.path for request in world.network.requests)


async def tell_of_push(world: World) -> None:
    """Tell of a push, as a registry does, and let everybody do their part."""
    data = {"namespace": "team-a", "name": "autosd", "reason": "registryPush", "deep": False}
    world.pipeline.request(EventType.VERIFICATION_REQUESTED, data)
    await world.pipeline.drain()


async def use_up(world: World) -> None:
    """Use up the limit of a registry with entries that are new."""
    for number in range(8):
        world.push(tag=f"v{number}")
        found = await world.add(f"v{number}", url=f"quay.io/acme/autosd:v{number}", verificationInterval="24h")
        if found.status.phase is None:
            break


async def pass_a_day(world: World) -> None:
    """Let time go by as it does in a cluster, if with fewer ticks."""
    for tick in range(48):
        if tick % 4 == 0:
            world.pipeline.sweep()
        await world.pass_time(minutes=30)


async def test_two_days_of_a_registry_that_allows_too_little(world: World) -> None:
    """As 300 entries and 100 requests an hour, ticked each minute, which takes a minute to play."""
    counting = Counting(world)
    world.add_registry(limits={"requests": LIMIT, "period": "6h"})
    names = [f"v{number}" for number in range(ENTRIES)]
    for name in names:
        world.push(tag=name)
        world.pipeline.apply(world.entry_manifest(name, f"quay.io/acme/autosd:{name}"))
    await world.pipeline.drain()
    await pass_a_day(world)
    assert {world.image(name).status.phase for name in names} == {"Available"}
    assert (await ask(world, "v1")).status.last_verification_time == world.clock.now(), "people are heard at once"
    since = world.clock.now()
    await pass_a_day(world)

    assert counting.most(6 * HOUR) <= LIMIT
    budget = world.listed().status.budget
    assert budget is not None
    assert budget.entries == ENTRIES
    assert (budget.ratio or 1) < 1
    interval = parse_duration(budget.interval or "")
    checks = counting.checks(since)
    assert checks.keys() == set(names)
    waits = [later - at for times in checks.values() for at, later in itertools.pairwise(times)]
    assert max(waits) <= 1.5 * interval, "some still make up for the first day"
    parts = Counter((at - since) // (2 * HOUR) for times in checks.values() for at in times)
    counts = [parts[part] for part in range(12)]
    assert max(counts) <= 2 * min(counts)
    assert {world.image(name).status.next_verification_reason for name in names} == {"RegistryBudget"}
    shown = world.image("v0").status
    assert shown.effective_verification_interval == budget.interval
    assert f"quay.io allows {LIMIT} requests in any 6h" in (shown.next_verification_message or "")
    condition = world.listed().status.condition("LimitsSuffice")
    assert condition is not None
    assert (condition.status, condition.reason) == ("False", "Insufficient")


class TestTaking:
    async def test_a_limit_that_suffices_changes_no_interval(self, world: World) -> None:
        world.add_registry(limits={"requests": 1000})
        world.push()
        image = await world.add()
        assert image.status.next_verification_reason == "Interval"
        world.pipeline.sweep()
        await world.pipeline.drain()
        condition = world.listed().status.condition("LimitsSuffice")
        assert condition is not None
        assert condition.reason == "Sufficient"

    async def test_a_new_entry_that_finds_nothing_left_waits_for_a_tick_and_says_nothing(self, world: World) -> None:
        world.add_registry(limits={"requests": 10})
        for number in range(6):
            world.push(tag=f"v{number}")
            await world.add(f"v{number}", url=f"quay.io/acme/autosd:v{number}")
        phases = [world.image(f"v{number}").status.phase for number in range(6)]
        assert "Available" in phases
        assert None in phases
        assert not world.pipeline.dead_letters
        for _ in range(60):
            await world.pass_time(minutes=5)
        assert {world.image(f"v{number}").status.phase for number in range(6)} == {"Available"}

    async def test_a_process_that_dies_loses_what_it_took_and_no_more_is_asked(self, world: World) -> None:
        counting = Counting(world)
        world.add_registry(limits={"requests": 20})
        for number in range(12):
            world.push(tag=f"v{number}")
            await world.add(f"v{number}", url=f"quay.io/acme/autosd:v{number}")
            world.pipeline.restart("verify")
        assert counting.most(HOUR) <= 20

    async def test_a_publication_beyond_the_limit_comes_again(self, world: World) -> None:
        world.add_registry(limits={"requests": 10})
        counting = Counting(world)
        for number in range(8):
            world.push(tag=f"v{number}")
            world.pipeline.apply(world.build(f"v{number}", url=f"quay.io/acme/autosd:v{number}"))
        await world.pipeline.drain()
        assert counting.most(HOUR) <= 10

    async def test_tokens_of_the_registry_count_as_well(self, world: World) -> None:
        world.registry.auth = BearerAuth()
        counting = Counting(world)
        world.add_registry(limits={"requests": 30})
        for number in range(20):
            world.push(repository=f"acme/r{number}", tag="1")
            await world.add(f"v{number}", url=f"quay.io/acme/r{number}:1")
        assert counting.most(HOUR) <= 30


class TestWaiting:
    """What nobody waits for is asked for by a tick: no broker delivers as long as a limit is used up."""

    async def test_a_push_is_looked_at_as_soon_as_the_limit_allows(self, world: World) -> None:
        world.add_registry(limits={"requests": 10})
        world.push("first")
        await world.add(verificationInterval="24h")
        await use_up(world)
        for _ in range(8):  # The content is known, so that a look costs little.
            await tell_of_push(world)
        second = world.push("second")
        await tell_of_push(world)
        assert not world.pipeline.dead_letters
        assert not world.data("image.verified")
        waiting = world.image().status
        assert waiting.phase == "Available"
        assert waiting.next_verification_reason == "RegistryBusy"
        assert "they are used up for now" in (waiting.next_verification_message or "")
        assert waiting.next_verification_time is not None
        assert timedelta() < waiting.next_verification_time - world.clock.now() <= 1.1 * HOUR
        assert waiting.due == DueAt.of(waiting.next_verification_time)

        world.edit(metadata={"labels": {"team": "chassis"}}, spec={"verificationInterval": "20h"})
        await world.pipeline.drain()
        kept = world.image().status
        assert kept.next_verification_time == waiting.next_verification_time, "an edit does not put it off"
        for _ in range(36):
            await world.pass_time(minutes=5)
        found = world.image().status
        assert found.registry_metadata is not None
        assert found.registry_metadata.resolved_digest == second.digest
        assert found.next_verification_reason != "RegistryBusy"
        assert not world.pipeline.dead_letters

    async def test_a_check_that_has_asked_before_does_not_put_off_what_a_push_waits_for(self, world: World) -> None:
        world.push()
        image = await world.add(verificationInterval="24h")
        images, pushed = CatalogImages(api=world.pipeline.cluster.api("verify")), asyncio.Event()

        async def meanwhile(scope: Scope, receive: Receive, send: Send) -> None:
            await world.registry(scope, receive, send)
            if pushed.is_set():
                return
            pushed.set()  # Another delivery finds no room for it.
            await images.apply_status(
                image.metadata.namespace,
                image.metadata.name,
                lambda fresh: postpone(fresh, why="busy", retry_after=HOUR, pushed=True, now=world.clock.now()),
            )

        world.network.serve_app("https://quay.io", meanwhile)
        await tell_of_push(world)
        asked, waiting = world.clock.now(), world.image().status
        assert pushed.is_set()
        assert waiting.last_verification_time == asked
        assert waiting.next_verification_reason == "RegistryBusy"
        assert waiting.next_verification_time == asked + HOUR
        await world.pass_time(minutes=61)
        looked = world.image().status
        assert looked.last_verification_time == world.clock.now()
        assert looked.next_verification_reason == "Interval", "it was what the entry waited for"

    async def test_an_entry_that_was_edited_is_looked_at_as_soon_as_the_limit_allows(self, world: World) -> None:
        world.add_registry(limits={"requests": 10})
        world.push()
        world.push(tag="cs10")
        await world.add(verificationInterval="24h")
        await use_up(world)
        world.edit(spec={"registryUrl": "quay.io/acme/autosd:cs10"})
        await world.pipeline.drain()
        waiting = world.image().status
        assert waiting.next_verification_reason == "RegistryBusy"
        assert waiting.phase == "Available", "nothing was looked at, and nothing is said"
        for _ in range(36):
            await world.pass_time(minutes=5)
        assert world.image().status.verified_inputs != waiting.verified_inputs
        assert not world.pipeline.dead_letters

    async def test_a_person_is_told_and_asks_again(self, world: World) -> None:
        world.add_registry(limits={"requests": 10})
        world.push()
        await world.add(verificationInterval="24h")
        await use_up(world)
        before = world.image().status
        for _ in range(4):
            await ask(world, "autosd")
        assert world.pipeline.dead_letters
        assert world.image().status.next_verification_reason == before.next_verification_reason


class TestWhatTheRegistrySays:
    async def test_the_others_hear_of_a_limit_that_is_nearly_used_up(self, world: World) -> None:
        world.add_registry()
        world.push()
        await world.add(verificationInterval="1m")
        world.registry.fail(HeaderChange({"ratelimit-remaining": "1;w=3600"}), kind="manifest")
        await ask(world, "autosd")
        budget = world.listed().status.budget
        assert budget is not None
        assert budget.remaining == 1
        assert budget.remaining_until == world.clock.now() + HOUR / 2
        world.pipeline.restart("verify")
        before = manifests(world)
        await world.pass_time(minutes=20)
        assert manifests(world) == before, "what comes by itself waits"
        await ask(world, "autosd")
        assert manifests(world) > before, "people are heard"
