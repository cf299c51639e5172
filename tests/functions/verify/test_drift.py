"""The tag of a pinned entry moves: what each policy makes of it, situation by situation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from image_catalog.local.registry import SampleImage
from image_catalog.models.names import ANNOTATION_DIGEST_PINNED_BY
from image_catalog.testing.world import World

pytestmark = pytest.mark.story

URL = "quay.io/acme/autosd:cs9"
OLD, NEW, NEWEST = (SampleImage(name=name) for name in ("old", "new", "newest"))
NAMES = {OLD.digest: "old", NEW.digest: "new", NEWEST.digest: "newest"}
POLICIES = ("alert", "follow", "quarantine")

Play = Callable[[World], Awaitable[None]]
Told = tuple[str, str, str, str | None, list[str], int]
"""Phase, reasons of Available and DigestMatched, what is pinned, the versions before, and how often drift was told."""


async def moved(world: World) -> None:
    world.push(NEW)
    await world.pass_time(hours=1)


async def gone(world: World) -> None:
    world.push(NEW)
    world.registry.store.delete_manifest("acme/autosd", OLD.digest)
    await world.pass_time(hours=1)


async def back(world: World) -> None:
    await moved(world)
    world.push(OLD)
    await world.pass_time(hours=1)


async def twice(world: World) -> None:
    await moved(world)
    world.push(NEWEST)
    await world.pass_time(hours=1)


async def moved_then_down(world: World) -> None:
    await moved(world)
    world.take_down()
    await world.pass_time(hours=1)


async def down_between(world: World) -> None:
    await moved_then_down(world)
    world.bring_back()
    await world.pass_time(hours=1)
    await world.pass_time(hours=1)


async def moved_while_down(world: World) -> None:
    world.take_down()
    await world.pass_time(hours=1)
    world.push(NEW)
    world.bring_back()
    await world.pass_time(hours=1)


async def asked_by_hand(world: World) -> None:
    await moved(world)
    world.edit(spec={"verifyBlobs": True})
    await world.pipeline.drain()


async def old_pinned_anew(world: World) -> None:
    await moved(world)
    world.edit(spec={"digest": OLD.digest, "registryUrl": URL})
    await world.pass_time(hours=1)


async def new_pinned(world: World) -> None:
    await moved(world)
    world.edit(spec={"digest": NEW.digest})
    await world.pipeline.drain()


async def tag_removed(world: World) -> None:
    await moved(world)
    world.registry.store.delete_tag("acme/autosd", "cs9")
    await world.pass_time(hours=1)


async def published(world: World) -> None:
    await moved(world)
    await world.complete("nightly")


_HOUR = timedelta(hours=1)
OK, TOLD = "RegistryAccessible", "TagMoved"
STAYS: Told = ("Available", OK, TOLD, "old", [], 1)
HELD: Told = ("Unavailable", "Quarantined", TOLD, "old", [], 1)
FOLLOWED: Told = ("Available", OK, "Matched", "new", ["old"], 0)
MISSING: Told = ("Unavailable", "PinnedDigestMissing", "PinnedDigestMissing", "old", [], 1)
DOWN: Told = ("Unavailable", "RegistryUnreachable", "RegistryUnreachable", "old", [], 1)
NOT_FOUND: Told = ("Unavailable", "ImageNotFound", "ImageNotFound", "old", [], 1)

TABLE: dict[str, tuple[Play, Told, Told, Told]] = {
    "the tag moved": (moved, STAYS, FOLLOWED, HELD),
    "it moved and what is pinned is gone": (gone, MISSING, FOLLOWED, MISSING),
    "it moved back": (
        back,
        ("Available", OK, "Matched", "old", [], 1),
        ("Available", OK, "Matched", "old", ["new", "old"], 0),
        ("Available", OK, "Matched", "old", [], 1),
    ),
    "it moved twice": (twice, STAYS, ("Available", OK, "Matched", "newest", ["new", "old"], 0), HELD),
    "it moved, then the registry is down": (
        moved_then_down,
        DOWN,
        ("Unavailable", "RegistryUnreachable", "RegistryUnreachable", "new", ["old"], 0),
        DOWN,
    ),
    "the registry was down and is back": (down_between, STAYS, FOLLOWED, HELD),
    "it moved while the registry was down": (moved_while_down, STAYS, FOLLOWED, HELD),
    "something else was edited": (asked_by_hand, STAYS, FOLLOWED, HELD),
    "somebody pinned the new content": (
        new_pinned,
        ("Available", OK, "Matched", "new", ["old"], 1),
        FOLLOWED,
        ("Available", OK, "Matched", "new", ["old"], 1),
    ),
    "somebody pinned the old content again": (old_pinned_anew, STAYS, FOLLOWED, HELD),
    "the tag was removed": (
        tag_removed,
        NOT_FOUND,
        ("Unavailable", "ImageNotFound", "ImageNotFound", "new", ["old"], 0),
        NOT_FOUND,
    ),
    "a build published the new content, and a person had pinned the old": (published, STAYS, FOLLOWED, HELD),
}


def found(world: World) -> Told:
    image, conditions = world.image(), world.says()
    return (
        str(image.status.phase),
        conditions["Available"][1],
        conditions["DigestMatched"][1],
        NAMES.get(image.spec.digest or ""),
        [NAMES[version.digest] for version in image.status.history],
        world.pipeline.emitted_types().count("image.drifted"),
    )


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("situation", TABLE)
async def test_the_policy_decides(world: World, situation: str, policy: str) -> None:
    play, *expected = TABLE[situation]
    world.push(OLD)
    await world.add(url=URL, digest=OLD.digest, driftPolicy=policy)
    await play(world)
    assert found(world) == expected[POLICIES.index(policy)]
    drift, last = world.image().status.drift, found(world)
    assert (drift is not None) == (last[2] != "Matched" and policy != "follow")


@pytest.mark.parametrize("policy", POLICIES)
async def test_without_a_pin_there_is_no_drift(world: World, policy: str) -> None:
    world.push(OLD)
    await world.add(url=URL, driftPolicy=policy)
    await moved(world)
    assert found(world) == ("Available", OK, "NotPinned", None, ["old"], 0)
    assert world.data("image.published")[-1]["change"] == "version"


@pytest.mark.parametrize("policy", POLICIES)
async def test_a_pin_in_the_reference_is_one(world: World, policy: str) -> None:
    world.push(OLD)
    await world.add(url=f"{URL}@{OLD.digest}", driftPolicy=policy)
    await moved(world)
    expected = {"alert": STAYS, "follow": FOLLOWED, "quarantine": HELD}[policy]
    assert found(world)[:3] == expected[:3]
    assert found(world)[4:] == expected[4:]
    assert world.image().spec.registry_url == (URL if policy == "follow" else f"{URL}@{OLD.digest}")


@pytest.mark.parametrize("policy", POLICIES)
async def test_a_build_moves_what_builds_have_pinned_and_an_older_one_never_does(world: World, policy: str) -> None:
    world.push(OLD)
    await world.complete()
    world.edit(spec={"driftPolicy": policy})
    await world.pipeline.drain()
    late = world.build("late")
    world.clock.advance(_HOUR)
    world.push(NEW)
    await world.complete("nightly")
    assert found(world) == FOLLOWED
    source = world.image().status.source_image_build
    assert source is not None
    assert source.name == "nightly"
    # The tag is taken back for the event of a build that completed before: its content is not what is to be had.
    world.pipeline.apply(late)
    await world.pipeline.drain()
    assert found(world) == FOLLOWED
    assert world.image().status.source_image_build == source
    assert world.data("publish.rejected")[-1]["reason"] == "OlderThanCurrent"


@pytest.mark.parametrize("policy", POLICIES)
async def test_a_build_moves_a_persons_pin_only_where_it_is_to_follow(world: World, policy: str) -> None:
    world.push(OLD)
    await world.add(url=URL, digest=OLD.digest, driftPolicy=policy)
    world.push(NEW)
    await world.complete("nightly")
    refused = [rejected["reason"] for rejected in world.data("publish.rejected")]
    if policy == "follow":
        assert (found(world), refused) == (FOLLOWED, [])
        source = world.image().status.source_image_build
        assert source is not None
        assert source.name == "nightly"
    else:
        assert refused == ["PinnedByUser"]
        assert found(world) == ("Available", OK, "Matched", "old", [], 0), "no check has seen the tag yet"


async def test_the_build_that_moved_the_tag_releases_what_a_check_held_before_it_was_told(world: World) -> None:
    world.push(OLD)
    await world.complete()
    world.edit(spec={"driftPolicy": "quarantine"})
    await moved(world)
    assert found(world) == HELD
    await world.complete("nightly")
    assert found(world) == (*FOLLOWED[:5], 1)


@pytest.mark.parametrize("after", POLICIES)
@pytest.mark.parametrize("before", POLICIES[::2])
async def test_another_policy_decides_at_once(world: World, before: str, after: str) -> None:
    world.push(OLD)
    await world.add(url=URL, digest=OLD.digest, driftPolicy=before)
    await moved(world)
    world.edit(spec={"driftPolicy": after})
    await world.pipeline.drain()
    expected = {"alert": STAYS, "follow": FOLLOWED, "quarantine": HELD}[after]
    assert found(world) == (*expected[:5], 1)


async def test_an_entry_whose_pin_is_freed_is_the_builds_again(world: World) -> None:
    world.push(OLD)
    await world.complete()
    world.edit(spec={"driftPolicy": "quarantine"})
    await moved(world)
    assert found(world) == HELD
    stored = world.raw("catalogimages", "autosd")
    assert stored is not None
    world.pipeline.apply({**stored, "spec": {k: v for k, v in stored["spec"].items() if k != "digest"}})
    await world.pipeline.drain()
    assert found(world) == ("Available", OK, "NotPinned", None, ["old"], 1)
    world.push(NEWEST)
    world.clock.advance(_HOUR)
    await world.complete("nightly")
    assert found(world)[:5] == ("Available", OK, "Matched", "newest", ["new", "old"])
    assert world.image().metadata.annotations[ANNOTATION_DIGEST_PINNED_BY] == "publish"


async def test_to_follow_helps_at_once_where_what_is_pinned_is_gone(world: World) -> None:
    world.push(OLD)
    await world.add(url=URL, digest=OLD.digest)
    await gone(world)
    world.edit(spec={"driftPolicy": "follow"})
    await world.pipeline.drain()
    assert found(world) == (*FOLLOWED[:5], 1)


async def test_a_policy_that_is_edited_while_the_registry_is_down_holds_when_it_is_back(world: World) -> None:
    world.push(OLD)
    await world.add(url=URL, digest=OLD.digest, driftPolicy="quarantine")
    await moved_then_down(world)
    world.edit(spec={"driftPolicy": "alert"})
    await world.pipeline.drain()
    world.bring_back()
    await world.pass_time(hours=1)
    assert found(world) == STAYS


async def test_what_the_tag_has_is_told_with_when_it_moved(world: World) -> None:
    world.push(OLD)
    await world.add(url=URL, digest=OLD.digest, driftPolicy="quarantine")
    await moved(world)
    since = world.clock.now()
    await twice(world)
    drift = world.image().status.drift
    assert drift is not None
    assert (drift.pinned_digest, drift.tag_digest, drift.since) == (OLD.digest, NEWEST.digest, since)


async def test_a_pin_that_follows_belongs_to_the_functions_from_then_on(world: World) -> None:
    world.push(OLD)
    await world.add(url=URL, digest=OLD.digest, driftPolicy="follow")
    await moved(world)
    assert world.image().metadata.annotations[ANNOTATION_DIGEST_PINNED_BY] == "publish"


async def test_an_entry_of_before_that_is_known_to_have_drifted_is_not_told_again(world: World) -> None:
    world.push(OLD)
    await world.add(url=URL, digest=OLD.digest)
    await moved(world)
    stored: dict[str, Any] | None = world.raw("catalogimages", "autosd")
    assert stored is not None
    del stored["status"]["drift"]
    world.pipeline.apply(stored)
    await world.pass_time(hours=1)
    assert found(world) == STAYS
    assert world.image().status.drift is not None
