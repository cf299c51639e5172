"""How long a check takes, whatever a registry does: it is told of before its delivery is given up."""

import asyncio
import contextlib
from datetime import timedelta

import httpx

from image_catalog.catalog.check_target import CheckTarget
from image_catalog.catalog.verdict import Check
from image_catalog.errors import ForbiddenError
from image_catalog.local.registry import SampleArtifact
from image_catalog.testing.world import NAMESPACE, World

URL = "slow.test/acme/autosd:cs9"


async def check(world: World, target: CheckTarget) -> Check:
    """Let the first function check that may."""
    for context in world.pipeline._contexts:
        with contextlib.suppress(ForbiddenError):
            return await context.checker.check(target)
    raise LookupError("no function asks registries")


async def test_time_limit_is_for_the_tag_and_the_pin_together(world: World) -> None:
    """Each has a limit of its own, and the delivery would be given up before the second comes to an end."""
    image, pin = SampleArtifact(), "sha256:" + "a" * 64

    await world.add()  # Functions are loaded by their first event.

    async def serve(request: httpx.Request) -> httpx.Response:
        if pin in request.url.path:
            await asyncio.Event().wait()
        return httpx.Response(200, content=image.manifest, headers={"content-type": image.media_type})

    world.network.serve("https://slow.test", serve)
    target = CheckTarget(registry_url=URL, namespace=NAMESPACE, pin=pin, limit=timedelta(seconds=0.5))
    async with asyncio.timeout(10):
        found = await check(world, target)
    assert found.error is not None
    assert found.error.reason == "RegistryUnreachable"
    assert found.error.message == f"{URL}: it took longer than 0 s in all"
    assert [step.name for step in found.steps][-2:] == ["Digest verification", "Registry accessibility"]
