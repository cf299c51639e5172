"""The chapter of a board: which image it gets, and what a recall changes."""

from __future__ import annotations

import asyncio
import time

import orjson

from image_catalog.local.demo.commands import run, written
from image_catalog.local.demo.telling import Teller, short
from image_catalog.local.demo.world import NAMESPACE, World, is_available
from image_catalog.local.registry import SampleImage

__all__ = ["board"]

_ASKED = ("resolve", "--target", "radar", "--distro", "autosd")


async def board(world: World, tell: Teller) -> None:
    """Ask for a board's image, recall it, ask again, and look up who did what."""
    digests = {}
    for name, tag in (("radar-1", "1.0"), ("radar-2", "2.0")):
        sample = SampleImage(architecture="arm64", name=name)
        await world.registry.push(sample, "acme/radar", tag)
        metadata = {"architecture": "arm64", "distro": "autosd", "targets": [{"name": "radar"}]}
        await world.create_entry(name, {"registryUrl": f"quay.io/acme/radar:{tag}", "metadata": metadata})
        await world.until(name, is_available, "Available")
        digests[name] = sample.digest
        # Times are kept in seconds, and of one second's images the first of the alphabet is the answer.
        await asyncio.sleep(1 - time.time() % 1)
    tell.does("two images for the board radar are there, 1.0 and 2.0")
    first = await _resolved(world, tell)
    tell.holds(first == digests["radar-2"], f"the board gets the last one published: {short(first)}", f"{first}")
    await run(world, tell, "recall", "radar-2", "--reason", "the antenna stays off after a cold start", "--force")
    tell.holds(
        await world.subscriber.first("image.recalled", f"{NAMESPACE}/radar-2"),
        "image.recalled tells everybody who listens",
    )
    second = await _resolved(world, tell)
    tell.holds(second == digests["radar-1"], f"the board gets the one before: {short(second)}", f"{second}")
    records = orjson.loads(await world.caib("audit", "--name", "radar-2", "--output", "json"))["items"]
    await run(world, tell, "audit", "--name", "radar-2")
    kinds = {record["kind"] for record in records}
    tell.holds(
        {"image.recalled", "image.resolved"} <= kinds, "the audit has who was given it, and who recalled it", f"{kinds}"
    )


async def _resolved(world: World, tell: Teller) -> str:
    reference = (await world.caib(*_ASKED)).strip()
    tell.does(f"$ {written(_ASKED)}")
    tell.does(f"  {reference}")
    return reference.partition("@")[2]
