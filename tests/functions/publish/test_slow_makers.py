"""Publishers that hang between claiming an image and making its entry, for longer than others wait for them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from image_catalog.cluster import CATALOG_IMAGE
from image_catalog.local.knative import CloudEvent
from image_catalog.testing.world import NAMESPACE, World

URL = "quay.io/acme/autosd:cs9"


def names(world: World) -> list[str]:
    """Return the names of all entries."""
    return [entry["metadata"]["name"] for entry in world.all("catalogimages")]


def event_of(world: World, build: str) -> CloudEvent:
    """Let a build complete, and return the event that says so, undelivered."""
    world.pipeline.apply(world.build(build))
    return world.pipeline.discard()[-1]


@pytest.mark.parametrize("hangs", [timedelta(seconds=31), timedelta(minutes=10)], ids=["half a minute", "ten minutes"])
async def test_who_claimed_first_and_wakes_late_makes_no_second_entry(world: World, hangs: timedelta) -> None:
    world.push()
    slow = event_of(world, "slow")
    world.clock.advance(timedelta(seconds=1))
    quick = event_of(world, "quick")

    async def meanwhile() -> None:
        world.clock.advance(hangs)
        assert (await world.pipeline.deliver("publish", quick)).status_code == 204

    world.pipeline.cluster.before(meanwhile, verb="create", resource="catalogimages", actor="publish")
    status = (await world.pipeline.deliver("publish", slow)).status_code
    await world.pipeline.drain()
    assert status == 204
    assert names(world) == ["slow"]
    source = world.image("slow").status.source_image_build
    assert source is not None
    assert source.name == "quick"
    assert world.says("slow")["Available"] == ("True", "RegistryAccessible")


async def test_a_maker_that_died_leaves_its_name_to_who_comes_after(world: World) -> None:
    world.push()
    first = event_of(world, "first")
    world.pipeline.points.kill_when("before publish: POST /apis/automotive.sdv.cloud.redhat.com/v1alpha1/namespaces")
    with pytest.raises(BaseException, match="before publish"):
        await world.pipeline.deliver("publish", first)
    world.clock.advance(timedelta(seconds=31))
    await world.complete("second")
    assert names(world) == ["first"]


async def test_a_dead_makers_name_that_another_image_has_got_is_not_taken(world: World) -> None:
    world.push()
    world.push("other", tag="other")
    first = event_of(world, "first")
    world.pipeline.points.kill_when("before publish: POST /apis/automotive.sdv.cloud.redhat.com/v1alpha1/namespaces")
    with pytest.raises(BaseException, match="before publish"):
        await world.pipeline.deliver("publish", first)
    await world.add("first", "quay.io/acme/autosd:other")
    world.clock.advance(timedelta(seconds=31))
    await world.complete("second")
    assert sorted(names(world)) == ["first", "second"]
    assert world.image("second").spec.registry_url == URL


async def test_a_maker_that_wakes_beside_an_entry_made_by_hand_says_that_one_is_too_many(world: World) -> None:
    world.push()
    slow = event_of(world, "slow")

    async def meanwhile() -> None:
        world.clock.advance(timedelta(seconds=31))
        await world.pipeline.cluster.api("person").create(CATALOG_IMAGE, world.entry_manifest("hand", URL), NAMESPACE)
        await world.pipeline.drain()

    world.pipeline.cluster.before(meanwhile, verb="create", resource="catalogimages", actor="publish")
    assert (await world.pipeline.deliver("publish", slow)).status_code == 503
    world.clock.advance(timedelta(seconds=31))
    world.pipeline.sweep()
    await world.pipeline.drain()
    assert world.says("hand")["Available"] == ("True", "RegistryAccessible")
    assert world.says("slow")["Available"] == ("False", "DuplicateReference")
