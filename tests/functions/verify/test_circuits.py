"""A registry that is down costs a probe a minute, whatever stands on it, and its entries recover when it does."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from image_catalog.events import EventType
from image_catalog.models import CircuitState
from image_catalog.testing.registry_faults import Answer, Gate, server_error
from image_catalog.testing.world import World

pytestmark = pytest.mark.story

URL = "quay.io/acme/autosd:{}"


async def add_many(world: World, count: int = 8) -> list[str]:
    names = [f"image-{number}" for number in range(count)]
    for name in names:
        world.push(tag=name)
        world.pipeline.apply(world.entry_manifest(name, URL.format(name)))
    await world.pipeline.drain()
    return names


def phases(world: World, names: list[str]) -> set[str | None]:
    return {world.image(name).status.phase for name in names}


async def go_down(world: World, count: int = 8) -> list[str]:
    """Let a registry die, and its entries notice."""
    names = await add_many(world, count)
    await world.pass_time(minutes=1)
    world.take_down()
    await world.pass_time(hours=1)
    return names


class TestCircuit:
    async def test_a_dead_registry_costs_five_requests_and_then_one_a_minute(self, world: World) -> None:
        world.add_registry()
        names = await add_many(world)
        await world.pass_time(minutes=1)
        world.take_down()
        world.network.requests.clear()
        world.clock.advance(timedelta(hours=1))
        world.pipeline.tick()
        await world.pipeline.drain()
        assert len(world.network.requests) <= 6
        assert phases(world, names) == {"Unavailable"}
        assert world.listed().status.circuit == "Open"
        world.network.requests.clear()
        for _ in range(10):
            await world.pass_time(minutes=1)
        assert world.network.asked() == ["GET quay.io/v2/"] * 10

    async def test_entries_say_that_nobody_asked_and_what_the_last_probe_found(self, world: World) -> None:
        world.add_registry()
        names = await go_down(world)
        await world.pass_time(minutes=1)
        world.push(tag="late")
        late = await world.add("late", URL.format("late"))
        assert late.status.phase == "Unavailable"
        assert world.says("late")["Available"] == ("False", "RegistryUnreachable")
        assert world.says("late")["Verified"] == ("Unknown", "CircuitOpen")
        available = late.status.condition("Available")
        assert available is not None
        assert "last probe at 2026-01-01T01:02:00Z: " in available.message
        assert "cannot be reached" in available.message
        assert late.status.last_verification_time is None
        assert {world.says(name)["Available"] for name in names} == {("False", "RegistryUnreachable")}

    async def test_what_one_entry_asked_for_is_not_told_to_others(self, world: World) -> None:
        world.add_registry()
        await go_down(world)
        reachable = world.listed().status.condition("Reachable")
        assert reachable is not None
        assert "acme" not in reachable.message

    async def test_a_check_that_asks_nobody_writes_once_and_reads_no_secret(self, world: World) -> None:
        world.add_registry()
        world.allow_secrets()
        await go_down(world)
        world.pipeline.apply(world.entry_manifest("late", URL.format("late"), authSecretRef={"name": "pull"}))
        world.pipeline.cluster.calls.clear()
        await world.pipeline.drain()
        rules = [call.rule[1:] for call in world.pipeline.cluster.calls]
        assert rules.count(("catalogimages/status", "patch")) == 1
        assert not [rule for rule in rules if rule[0] == "secrets"]

    async def test_the_next_tick_leaves_what_is_unavailable_alone(self, world: World) -> None:
        world.add_registry()
        names = await go_down(world)
        world.pipeline.cluster.calls.clear()
        for _ in range(30):
            await world.pass_time(minutes=1)
        assert not [
            call for call in world.pipeline.cluster.calls if call.resource == "catalogimages" and call.verb != "list"
        ]
        assert phases(world, names) == {"Unavailable"}

    async def test_publish_does_not_knock_either(self, world: World) -> None:
        world.add_registry()
        await go_down(world)
        world.network.requests.clear()
        world.pipeline.apply(world.build("late", url=URL.format("late")))
        world.clock.advance(timedelta(seconds=16))
        await world.pipeline.drain()
        assert not world.network.requests
        assert [letter.attributes["knativeerrorcode"] for letter in world.pipeline.dead_letters] == ["503"]

    async def test_another_process_does_not_knock_either(self, world: World) -> None:
        world.add_registry()
        await go_down(world)
        world.pipeline.restart("verify")
        world.network.requests.clear()
        assert (await world.add("late", URL.format("late"))).status.phase == "Unavailable"
        assert not world.network.requests

    async def test_one_probe_closes_it_and_the_entries_recover(self, world: World) -> None:
        world.add_registry()
        names = await go_down(world)
        for _ in range(20):
            await world.pass_time(minutes=1)
        world.bring_back()
        await world.pass_time(minutes=1)
        assert world.listed().status.circuit == "Closed"
        for _ in range(10):
            await world.pass_time(minutes=1)
        assert phases(world, names) == {"Available"}

    async def test_denials_open_nothing(self, world: World) -> None:
        world.add_registry()
        for number in range(12):
            world.registry.fail(Answer((401, 403, 404)[number % 3]))
            await world.add(f"image-{number}", URL.format(number))
        assert world.listed().status.circuit is None
        await world.pass_time(minutes=1)
        assert world.listed().status.circuit == "Closed"

    async def test_a_server_error_for_five_entries_in_a_row_opens_it(self, world: World) -> None:
        world.add_registry()
        world.registry.fail(server_error())
        for number in range(5):
            await world.add(f"image-{number}", URL.format(number))
        assert world.listed().status.circuit == "Open"
        assert world.listed().status.phase == "Unreachable"

    async def test_an_open_circuit_that_nobody_renews_is_not_believed_for_ever(self, world: World) -> None:
        world.add_registry()
        names = await go_down(world)
        world.bring_back()
        world.clock.advance(timedelta(hours=1))
        world.pipeline.request(EventType.VERIFICATION_REQUESTED, {"namespace": "team-a", "name": names[0]})
        await world.pipeline.drain()
        assert world.image(names[0]).status.phase == "Available"

    async def test_without_a_catalog_registry_the_circuit_lives_in_the_process(self, world: World) -> None:
        names = await add_many(world, 7)
        world.take_down()
        world.network.requests.clear()
        await world.pass_time(hours=1)
        assert len(world.network.requests) == 6, "five images, and the API that decides"
        assert phases(world, names) == {"Unavailable"}
        world.network.requests.clear()
        for _ in range(5):
            await world.pass_time(minutes=1)
        assert len(world.network.requests) <= 2 * 5, "one that tries again, and the API"
        world.bring_back()
        for _ in range(14):
            await world.pass_time(minutes=1)
        assert phases(world, names) == {"Available"}

    async def test_of_two_processes_one_finds_out(self, world: World) -> None:
        world.add_registry()
        await go_down(world)
        world.bring_back()
        world.network.requests.clear()
        gate = Gate()
        world.registry.fail(gate)
        world.clock.advance(timedelta(minutes=1))
        tick = world.pipeline.tick()
        world.pipeline.discard()
        async with asyncio.timeout(10):
            first = asyncio.create_task(world.pipeline.deliver("verify", tick))
            await gate.reached.wait()
            assert world.listed().status.circuit == "HalfOpen"
            world.pipeline.restart("verify")
            await world.pipeline.deliver("verify", tick)
            assert (await world.add("late", URL.format("late"))).status.phase == "Unavailable"
            assert world.network.asked() == ["GET quay.io/v2/"]
            gate.opened.set()
            await first
        assert world.listed().status.circuit == "Closed"

    async def test_hosts_that_one_mirror_answers_for_share_its_circuit(self, world: World) -> None:
        world.add_registry("mirror", host="*.corp.test", endpoint="https://mirror.test")
        for number in range(5):
            await world.add(f"image-{number}", f"{number}.corp.test/acme/os:1")
        assert world.listed("mirror").status.circuit is None, "each has failed once"
        for _ in range(5):
            await world.pass_time(minutes=1)
        assert world.listed("mirror").status.circuit == "Open"
        world.network.requests.clear()
        await world.add("late", "late.corp.test/acme/os:1")
        assert not world.network.requests

    async def test_one_who_died_half_way_does_not_hold_up_the_next(self, world: World) -> None:
        world.add_registry()
        await go_down(world)
        world.pipeline.points.kill_when("after verify: GET https://quay.io/v2/")
        world.bring_back()
        await world.pass_time(minutes=1)
        assert None in {delivery.status for delivery in world.pipeline.deliveries}
        assert world.listed().status.circuit in {CircuitState.HALF_OPEN, CircuitState.CLOSED}
        for _ in range(2):
            await world.pass_time(minutes=1)
        assert world.listed().status.circuit == "Closed"


class TestEvents:
    async def test_people_are_told_once_that_it_went_down_and_once_that_it_came_back(self, world: World) -> None:
        world.add_registry()
        await go_down(world)
        for _ in range(5):
            await world.pass_time(minutes=1)
        world.bring_back()
        for _ in range(5):
            await world.pass_time(minutes=1)
        assert [(kind, reason) for kind, reason, _ in world.notes("CatalogRegistry")] == [
            ("Warning", "RegistryUnreachable"),
            ("Normal", "RegistryReachable"),
        ]
