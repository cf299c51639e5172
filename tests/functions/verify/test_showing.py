"""What `kubectl describe` shows of an entry, and what its status remembers of what it told."""

from __future__ import annotations

import pytest

from image_catalog.catalog.changes import RECENT_CHANGES
from image_catalog.events import EventType
from image_catalog.testing.registry_faults import server_error
from image_catalog.testing.world import World

pytestmark = pytest.mark.story

URL = "quay.io/acme/autosd:cs9"
ENTRY = {"name": "autosd", "namespace": "team-a"}


async def test_another_reason_for_the_same_phase_is_shown_and_is_no_event_of_the_catalog(world: World) -> None:
    await world.add(url=URL)
    world.registry.fail(server_error())
    await world.pass_time(hours=1)
    assert {(kind, reason) for kind, reason, _ in world.notes()} == {
        ("Warning", "ImageNotFound"),
        ("Warning", "RegistryError"),
    }
    await world.pass_time(hours=1)
    assert len(world.notes()) == 2
    assert world.pipeline.emitted_types().count("image.unavailable") == 1


async def test_checks_that_tell_nothing_flush_nothing_that_was_told(world: World) -> None:
    await world.add(url=URL)
    told = world.image().status.recent_changes
    assert [change.events[0].type for change in told] == ["image.unavailable"]
    for _ in range(9):
        await world.pass_time(hours=1)
    assert world.image().status.verification_failures == 10
    assert world.image().status.recent_changes == told


async def test_checks_of_a_published_entry_flush_nothing_either(world: World) -> None:
    world.push()
    await world.complete()
    told = world.image().status.recent_changes
    await world.pass_time(hours=1)
    assert world.image().status.recent_changes == told


async def test_a_check_begins_with_as_many_changes_as_are_remembered(world: World) -> None:
    world.push()
    await world.add(url=URL)
    for _ in range(10):
        await ask(world)
    assert len(world.data("image.verified")) == 10
    assert len(world.image().status.recent_changes) == RECENT_CHANGES
    assert not world.pipeline.dead_letters


async def test_a_contradiction_that_publish_and_verify_find_side_by_side_is_shown_once(world: World) -> None:
    world.registry.fail(server_error())
    await world.add(url=URL, metadata={"architecture": "amd64"})
    world.registry.recover()
    world.push()

    async def verify_too() -> None:
        event = world.pipeline.event(EventType.VERIFICATION_REQUESTED, ENTRY)
        assert (await world.pipeline.deliver("verify", event)).status_code == 204

    world.pipeline.cluster.before(verify_too, verb="patch", subresource="status", actor="publish")
    await world.complete("nightly")
    assert world.says()["MetadataConsistent"] == ("False", "MetadataConflict")
    assert [reason for _, reason, _ in world.notes()].count("MetadataConflict") == 1


async def ask(world: World) -> None:
    """Ask for a verification and let everybody do their part."""
    world.pipeline.request(EventType.VERIFICATION_REQUESTED, ENTRY)
    await world.pipeline.drain()
