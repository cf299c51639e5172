"""A Secret is believed for a minute: entries of a namespace name the same one, and are checked in a row."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from image_catalog.events import EventType
from image_catalog.models import Phase
from image_catalog.testing.cluster import Effect
from image_catalog.testing.pipeline import PipelineFunction
from image_catalog.testing.registry import Account, BasicAuth
from image_catalog.testing.world import World, running_world

ENTRIES = 3


@pytest.fixture
async def world(tmp_path: Path, functions: tuple[PipelineFunction, ...]) -> AsyncIterator[World]:
    """Hold entries of images that one account alone may read, all due in an hour."""
    async with running_world(functions, tmp_path / "quay", auth=BasicAuth()) as world:
        account = world.registry.account("robot")
        world.registry.restrict("acme", account)
        world.allow_secrets()
        world.add_secret("pull", account)
        for number in range(ENTRIES):
            world.push(tag=f"v{number}")
            image = await world.add(f"v{number}", url=f"quay.io/acme/autosd:v{number}", authSecretRef={"name": "pull"})
            assert image.status.phase == Phase.AVAILABLE
        world.pipeline.cluster.calls.clear()
        yield world


def calls(world: World, resource: str, verb: str) -> int:
    return sum(
        (call.actor, call.resource, call.verb) == ("verify", resource, verb) for call in world.pipeline.cluster.calls
    )


def phases(world: World) -> list[Phase | None]:
    return [world.image(f"v{number}").status.phase for number in range(ENTRIES)]


async def ask(world: World, name: str) -> None:
    """Ask for a check of one entry, as a person does."""
    data = {"namespace": "team-a", "name": name, "reason": "manual"}
    world.pipeline.request(EventType.VERIFICATION_REQUESTED, data)
    await world.pipeline.drain()


async def check_all(world: World) -> None:
    """Let an hour pass in which nobody looks, and then everything be checked in a row."""
    world.clock.advance(timedelta(hours=1))
    world.pipeline.cluster.calls.clear()
    world.pipeline.tick()
    await world.pipeline.drain()


async def test_a_row_of_checks_costs_one_read_and_one_write_each_and_the_secret_once(world: World) -> None:
    await check_all(world)
    assert calls(world, "catalogimages", "get") == ENTRIES
    assert calls(world, "catalogimages", "patch") == ENTRIES
    assert calls(world, "secrets", "get") == 1
    assert calls(world, "catalogregistries", "list") == 1
    assert len([call for call in world.pipeline.cluster.calls if call.actor == "verify"]) == 2 * ENTRIES + 2


async def test_after_a_minute_it_is_read_again(world: World) -> None:
    for _ in range(2):
        await check_all(world)
    assert calls(world, "secrets", "get") == 1


async def test_a_password_that_was_changed_counts_at_once_where_the_old_one_is_turned_down(world: World) -> None:
    await check_all(world)
    renewed = world.registry.account("robot-2")
    world.registry.restrict("acme", renewed)
    world.add_secret("pull", renewed)
    world.pipeline.cluster.calls.clear()
    await ask(world, "v0")
    assert world.image("v0").status.phase == Phase.AVAILABLE
    assert calls(world, "secrets", "get") == 1


async def test_a_password_that_is_turned_down_is_not_tried_again_where_nothing_has_changed(world: World) -> None:
    await check_all(world)
    world.registry.restrict("acme", Account("somebody-else"))
    before = len(world.registry.requests)
    await ask(world, "v0")
    assert world.image("v0").status.phase == Phase.FAILED
    denied = [request for request in list(world.registry.requests)[before:] if request.target.kind == "manifest"]
    first = len(denied)
    world.clock.advance(timedelta(minutes=2))  # Now it is not kept any more, and read but once.
    before = len(world.registry.requests)
    await ask(world, "v0")
    denied = [request for request in list(world.registry.requests)[before:] if request.target.kind == "manifest"]
    assert len(denied) == first


async def test_a_secret_that_may_not_be_read_any_more_opens_nothing_after_a_minute(world: World) -> None:
    await check_all(world)
    world.pipeline.cluster.fail(Effect.FORBIDDEN, resource="secrets", actor="verify", times=99)
    world.clock.advance(timedelta(minutes=1))
    await ask(world, "v0")
    assert world.says("v0")["Available"][1] == "SecretForbidden"
    await ask(world, "v1")
    assert world.says("v1")["Available"][1] == "SecretForbidden"


async def test_an_api_server_that_does_not_answer_is_no_reason_to_believe_it_longer(world: World) -> None:
    await check_all(world)
    world.clock.advance(timedelta(hours=1))
    world.pipeline.cluster.fail(Effect.UNAVAILABLE, resource="secrets", actor="verify", times=99)
    world.pipeline.tick()
    await world.pipeline.drain()
    assert phases(world) == [Phase.AVAILABLE] * ENTRIES
    assert calls(world, "catalogimages", "patch") == ENTRIES
