"""What a request for a build has written is told, whatever has become of the build before the request comes again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from image_catalog.events import EventType
from image_catalog.local.knative import CloudEvent
from image_catalog.models.names import ANNOTATION_PUBLISH, GROUP
from image_catalog.testing.world import NAMESPACE, World


async def asked_by_the_sweep(world: World) -> CloudEvent:
    world.clock.advance(timedelta(minutes=5))
    tick = world.pipeline.sweep()
    world.pipeline.discard()
    assert (await world.pipeline.deliver("reverify", tick)).status_code == 204
    (event,) = world.pipeline.discard()
    return event


async def asked_by_somebody(world: World) -> CloudEvent:
    return world.pipeline.event(EventType.PUBLISH_REQUESTED, {"imageBuild": {"name": "autosd", "namespace": NAMESPACE}})


@pytest.mark.parametrize("gone", [False, True], ids=["opted-out", "deleted"])
@pytest.mark.parametrize("ask", [asked_by_the_sweep, asked_by_somebody], ids=["sweep", "request"])
async def test_what_a_request_owes_is_told_also_when_its_build_has_gone_meanwhile(
    world: World, *, ask: Callable[[World], Awaitable[CloudEvent]], gone: bool
) -> None:
    world.push()
    world.pipeline.apply(world.build())
    world.pipeline.discard()
    event = await ask(world)
    told = len(world.pipeline.emitted)
    world.pipeline.ingress = lambda _: 503
    assert (await world.pipeline.deliver("publish", event)).status_code == 503
    world.pipeline.ingress = lambda _: 202
    if gone:
        world.pipeline.cluster.server.store.remove((GROUP, "imagebuilds"), (NAMESPACE, "autosd"))
    else:
        world.pipeline.apply(world.build(metadata={"annotations": {ANNOTATION_PUBLISH: "false"}}))
    assert (await world.pipeline.deliver("publish", event)).status_code == 204
    assert world.pipeline.emitted_types()[told:] == ["image.published", "image.available"]
