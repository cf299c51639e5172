"""What becomes of an entry whose status the API server refuses."""

from __future__ import annotations

from image_catalog.testing.cluster import Effect
from image_catalog.testing.world import World

URL = "quay.io/acme/autosd:cs9"


async def test_what_the_api_server_refuses_to_keep_fails_the_entry_and_keeps_what_was_good(world: World) -> None:
    sample = world.push()
    await world.add(url=URL)
    world.push("another")
    world.pipeline.cluster.fail(Effect.INVALID, verb="patch", subresource="status", actor="verify")
    await world.pass_time(hours=1)
    image = world.image()
    assert (image.status.phase, world.says()["Available"]) == ("Failed", ("False", "ManifestInvalid"))
    assert image.status.registry_metadata is not None
    assert image.status.registry_metadata.resolved_digest == sample.digest
    assert not world.pipeline.dead_letters
    await world.pass_time(hours=1)
    assert world.image().status.phase == "Available"


async def test_an_entry_that_nothing_can_be_written_of_is_a_dead_letter(world: World) -> None:
    world.pipeline.cluster.fail(Effect.INVALID, verb="patch", subresource="status", actor="verify", nth=2, times=9)
    await world.add(url="quay.io/acme/nothing:1")
    assert world.image().status.phase == "Verifying"
    assert world.pipeline.dead_letters
