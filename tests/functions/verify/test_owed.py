"""What a check owes to the world although its function died before it could tell."""

from __future__ import annotations

from datetime import timedelta

import pytest

from image_catalog.cluster import CATALOG_IMAGE
from image_catalog.events import EventType
from image_catalog.testing.pipeline_points import KilledError
from image_catalog.testing.world import NAMESPACE, World


async def test_what_a_check_owes_is_told_also_when_the_entry_is_being_removed_by_then(world: World) -> None:
    world.push()
    await world.add()
    world.clock.advance(timedelta(hours=2))
    world.take_down()
    due = world.pipeline.event(
        EventType.VERIFICATION_REQUESTED, {"name": "autosd", "namespace": NAMESPACE, "reason": "due"}
    )
    world.pipeline.points.kill_when("before verify: emits")
    with pytest.raises(KilledError):
        await world.pipeline.deliver("verify", due)
    world.pipeline.discard()
    await world.pipeline.cluster.api("person").delete(CATALOG_IMAGE, "autosd", NAMESPACE)
    before = world.pipeline.emitted_types().count("image.unavailable")
    assert (await world.pipeline.deliver("verify", due)).status_code == 204
    assert world.pipeline.emitted_types().count("image.unavailable") == before + 1
    await world.pipeline.drain()
    assert world.entry() is None
