"""When what refers to an image is listed, and that it decides nothing."""

from __future__ import annotations

import pytest

from image_catalog.events import EventType
from image_catalog.local.registry import SampleImage
from image_catalog.models import Referrer
from image_catalog.testing.registry_faults import server_error
from image_catalog.testing.world import NAMESPACE, World

pytestmark = pytest.mark.story

URL = "quay.io/acme/autosd:cs9"


def sign(world: World, image: SampleImage) -> SampleImage:
    """Push a signature, as tools do after the image."""
    signature = SampleImage(name="signature", subject=image)
    signature.put(world.registry.store, "acme/autosd")
    return signature


def listed(world: World) -> list[Referrer]:
    metadata = world.image().status.registry_metadata
    assert metadata is not None
    return metadata.referrers


def asked(world: World) -> int:
    return world.registry.requests.count(kind="referrers")


async def check_now(world: World, *, deep: bool = False) -> None:
    wish = {"name": "autosd", "namespace": NAMESPACE, "reason": "manual", "deep": deep}
    world.pipeline.request(EventType.VERIFICATION_REQUESTED, wish)
    await world.pipeline.drain()


async def test_a_publication_lists_them(world: World) -> None:
    image = SampleImage()
    world.push(image)
    signature = sign(world, image)
    await world.complete()
    (found,) = listed(world)
    assert (found.digest, found.size_bytes) == (signature.digest, len(signature.manifest))
    (published,) = world.data("image.published")
    assert {"name": "Referrers", "status": "ok"}.items() <= published["steps"][-2].items()


async def test_a_signature_that_came_later_is_listed_when_somebody_asks(world: World) -> None:
    image = SampleImage()
    world.push(image)
    await world.add(url=URL)
    assert listed(world) == []
    assert asked(world) == 0
    signature = sign(world, image)
    await check_now(world)
    assert [found.digest for found in listed(world)] == [signature.digest]


async def test_regular_checks_ask_every_six_hours(world: World) -> None:
    image = SampleImage()
    world.push(image)
    await world.complete()
    sign(world, image)
    for _ in range(5):
        await world.pass_time(hours=1)
    assert (asked(world), listed(world)) == (1, [])
    for _ in range(3):
        await world.pass_time(hours=1)
    assert asked(world) == 2
    assert len(listed(world)) == 1


async def test_a_registry_that_does_not_tell_takes_nothing_away(world: World) -> None:
    image = SampleImage()
    world.push(image)
    signature = sign(world, image)
    await world.complete()
    world.registry.fail(server_error(), kind="referrers")
    await check_now(world)
    assert [found.digest for found in listed(world)] == [signature.digest]
    assert world.image().status.phase == "Available"
    assert world.says()["Verified"][0] == "True"
    step = world.data("image.verified")[-1]["steps"][-1]
    assert (step["name"], step["status"]) == ("Referrers", "skipped")
    assert "RegistryError" in step["message"]


async def test_new_content_does_not_keep_the_old_contents_list(world: World) -> None:
    image = SampleImage()
    world.push(image)
    sign(world, image)
    await world.add(url=URL)
    await check_now(world)
    assert len(listed(world)) == 1
    world.push("newer")
    await world.pass_time(hours=1)
    assert listed(world) == []
