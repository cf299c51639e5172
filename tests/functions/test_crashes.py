"""A function may die at any point, calls may time out, events come twice: nothing is lost and nothing doubled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from image_catalog.cluster import CATALOG_IMAGE
from image_catalog.events import EventType
from image_catalog.local.knative import CloudEvent
from image_catalog.testing.cluster import Effect
from image_catalog.testing.pipeline import PipelineFunction
from image_catalog.testing.pipeline_points import KilledError
from image_catalog.testing.world import World, running_world

pytestmark = pytest.mark.story

URL = "quay.io/acme/autosd:cs9"

NewWorld = Callable[..., AbstractAsyncContextManager[World]]

Story = Callable[[World], Awaitable[CloudEvent]]
"""Brings the world to where one event is about to be delivered, and returns that event."""


async def _first_build(world: World) -> CloudEvent:
    world.push()
    world.pipeline.apply(world.build())
    return world.pipeline.discard()[-1]


async def _next_version(world: World) -> CloudEvent:
    world.push()
    await world.complete("first", metadata={"annotations": {"automotive.sdv.cloud.redhat.com/catalog-name": "autosd"}})
    world.clock.advance(timedelta(hours=1))
    world.push("another")
    world.pipeline.apply(world.build("second", aib={"manifest": "name: os\n"}))
    return world.pipeline.discard()[-1]


async def _external(world: World) -> CloudEvent:
    world.push()
    data = {"namespace": "team-a", "name": "autosd", "registryUrl": URL}
    world.pipeline.request(EventType.PUBLISH_REQUESTED, data, id="cause")
    return world.pipeline.discard()[-1]


async def _refused(world: World) -> CloudEvent:
    world.pipeline.apply(world.build())
    return world.pipeline.discard()[-1]


async def _by_hand(world: World) -> CloudEvent:
    world.push()
    world.pipeline.apply(
        {
            "apiVersion": "automotive.sdv.cloud.redhat.com/v1alpha1",
            "kind": "CatalogImage",
            "metadata": {"name": "autosd", "namespace": "team-a"},
            "spec": {"registryUrl": URL, "metadata": {"architecture": "amd64"}},
        }
    )
    return world.pipeline.discard()[-1]


async def _outage(world: World) -> CloudEvent:
    world.push()
    await world.add()
    world.registry.store.delete_tag("acme/autosd", "cs9")
    world.clock.advance(timedelta(hours=1))
    world.pipeline.request(
        EventType.VERIFICATION_REQUESTED, {"name": "autosd", "namespace": "team-a", "reason": "manual"}, id="cause"
    )
    return world.pipeline.discard()[-1]


async def _followed(world: World) -> CloudEvent:
    old = world.push()
    await world.add(digest=old.digest, driftPolicy="follow")
    world.push("another")
    world.clock.advance(timedelta(hours=1))
    world.pipeline.request(
        EventType.VERIFICATION_REQUESTED, {"name": "autosd", "namespace": "team-a", "reason": "due"}, id="cause"
    )
    return world.pipeline.discard()[-1]


async def _drifted(world: World) -> CloudEvent:
    old = world.push()
    await world.add(url=f"{URL}@{old.digest}")
    world.push("another")
    world.clock.advance(timedelta(hours=1))
    world.pipeline.request(
        EventType.VERIFICATION_REQUESTED, {"name": "autosd", "namespace": "team-a", "reason": "due"}, id="cause"
    )
    return world.pipeline.discard()[-1]


async def _reported(world: World) -> CloudEvent:
    digest = world.push().digest
    await world.add(metadata={"targets": [{"name": "rpi4"}]})
    report = {"name": "autosd", "namespace": "team-a", "digest": digest, "target": "rpi4", "result": "passed"}
    world.pipeline.request(EventType.TEST_REPORTED, report, id="cause")
    return world.pipeline.discard()[-1]


async def _removal(world: World) -> CloudEvent:
    world.push()
    await world.complete()
    await world.pipeline.cluster.api("person").delete(CATALOG_IMAGE, "autosd", "team-a")
    return world.pipeline.discard()[-1]


STORIES: dict[str, tuple[str, Story]] = {
    "publish a first build": ("publish", _first_build),
    "publish the next version": ("publish", _next_version),
    "publish an external image": ("publish", _external),
    "refuse a build": ("publish", _refused),
    "verify an entry made by hand": ("verify", _by_hand),
    "verify an image that is gone": ("verify", _outage),
    "follow a tag": ("verify", _followed),
    "see a tag move": ("verify", _drifted),
    "keep the report of a test": ("verify", _reported),
    "clean up": ("cleanup", _removal),
}

each_story = pytest.mark.parametrize(("function", "story"), STORIES.values(), ids=STORIES)


def _outcome(world: World) -> Any:
    """Return what matters in the end: entries, claims, Kubernetes Events and emitted ids."""
    entries = []
    for stored in world.all("catalogimages"):
        status = {key: value for key, value in stored["status"].items() if key != "recentChanges"}
        status.pop("nextVerificationTime")  # A retry draws another number.
        conditions = sorted((c["type"], c["status"], c["reason"], c["message"]) for c in status.pop("conditions"))
        meta = stored["metadata"]
        entries.append((meta["name"], meta["labels"], meta["finalizers"], stored["spec"], status, conditions))
    claims = [(lease["spec"]["holderIdentity"], lease["metadata"]["labels"]) for lease in world.all("leases")]
    return entries, claims, sorted(world.notes() + world.notes("ImageBuild"))


def _told(world: World) -> list[tuple[str, str | None]]:
    """Return the events as whoever keeps ids sees them: each once."""
    seen = {event.id: (EventType(event.type).short, event.subject) for event in world.pipeline.emitted}
    return sorted(seen.values())


class _Undisturbed:
    """What happens when nothing goes wrong."""

    def __init__(self, world: World, points: list[str]) -> None:
        self.outcome = _outcome(world)
        self.told = _told(world)
        self.points = points


_UNDISTURBED: dict[Story, _Undisturbed] = {}


@pytest.fixture
def acting(functions: tuple[PipelineFunction, ...]) -> tuple[PipelineFunction, ...]:
    """Return all but audit: without a database it has nothing to do, and to tell it everything is a tenth of a test."""
    return tuple(function for function in functions if function.name != "audit")


@pytest.fixture
def new_world(acting: tuple[PipelineFunction, ...], tmp_path: Path) -> NewWorld:
    """Return what runs another world, in a folder of its own."""
    return lambda name, **options: running_world(acting, tmp_path / name, **options)


@pytest.fixture
async def undisturbed(new_world: NewWorld, function: str, story: Story) -> _Undisturbed:
    """Play a story without any trouble, once for all tests."""
    if story not in _UNDISTURBED:
        async with new_world("undisturbed") as world:
            event = await story(world)
            world.pipeline.emitted.clear()
            world.pipeline.points.passed.clear()
            assert (await world.pipeline.deliver(function, event)).status_code == 204
            points = list(world.pipeline.points.passed)
            await world.pipeline.drain()
            _UNDISTURBED[story] = _Undisturbed(world, points)
    return _UNDISTURBED[story]


@each_story
async def test_a_function_that_dies_at_any_point_ends_up_in_the_same_place(
    new_world: NewWorld, undisturbed: _Undisturbed, function: str, story: Story
) -> None:
    for number, label in enumerate(undisturbed.points):
        async with new_world(str(number)) as world:
            event = await story(world)
            world.pipeline.emitted.clear()
            world.pipeline.points.kill_at(number)
            with pytest.raises(KilledError):
                await world.pipeline.deliver(function, event)
            # The broker delivers the cause again, and what the first try has brought about comes along.
            answer = await world.pipeline.deliver(function, event)
            assert answer.status_code == 204, label
            await world.pipeline.drain()
            assert _outcome(world) == undisturbed.outcome, label
            assert _told(world) == undisturbed.told, label
            assert not world.pipeline.dead_letters, label


@each_story
async def test_an_event_that_comes_twice_is_told_once(
    new_world: NewWorld, undisturbed: _Undisturbed, function: str, story: Story
) -> None:
    async with new_world("twice") as world:
        event = await story(world)
        world.pipeline.emitted.clear()
        for _ in range(2):
            assert (await world.pipeline.deliver(function, event)).status_code == 204
            await world.pipeline.drain()
        assert (await world.pipeline.deliver(function, event)).status_code == 204
        assert _outcome(world) == undisturbed.outcome
        assert _told(world) == undisturbed.told


@each_story
async def test_two_deliveries_of_an_event_at_once_end_up_in_the_same_place(
    new_world: NewWorld, undisturbed: _Undisturbed, function: str, story: Story
) -> None:
    for seed in range(5):
        async with new_world(str(seed), seed=seed) as world:
            event = await story(world)
            world.pipeline.emitted.clear()
            await asyncio.gather(*(world.pipeline.deliver(function, event) for _ in range(2)))
            assert (await world.pipeline.deliver(function, event)).status_code == 204
            await world.pipeline.drain()
            assert [entry[:4] for entry in _outcome(world)[0]] == [entry[:4] for entry in undisturbed.outcome[0]]
            assert _told(world) == undisturbed.told


@pytest.mark.parametrize(
    "effect",
    [Effect.CONFLICT, Effect.TIMEOUT_BEFORE, Effect.TIMEOUT_AFTER, Effect.UNAVAILABLE, Effect.INTERNAL],
    ids=lambda effect: effect.value,
)
@each_story
async def test_a_write_that_fails_is_made_up_for(
    new_world: NewWorld, undisturbed: _Undisturbed, function: str, story: Story, effect: Effect
) -> None:
    asked = [label.split()[2] for label in undisturbed.points if label.startswith("before")]
    writes = asked.count("POST") + asked.count("PATCH")
    for nth in range(1, writes + 1):
        async with new_world(str(nth)) as world:
            event = await story(world)
            world.pipeline.emitted.clear()
            world.pipeline.cluster.fail(effect, verb="write", actor=function, nth=nth)
            answer = await world.pipeline.deliver(function, event)
            if answer.status_code != 204:
                assert answer.status_code == 503
                answer = await world.pipeline.deliver(function, event)
            assert answer.status_code == 204
            await world.pipeline.drain()
            entries, claims, _ = _outcome(world)
            assert (entries, claims) == undisturbed.outcome[:2], f"write {nth} of {writes}"
            assert _told(world) == undisturbed.told


@each_story
async def test_events_are_emitted_again_when_the_broker_does_not_take_them(
    new_world: NewWorld, undisturbed: _Undisturbed, function: str, story: Story
) -> None:
    async with new_world("refused") as world:
        event = await story(world)
        world.pipeline.emitted.clear()
        world.pipeline.ingress = lambda _: 503
        # A report is kept and told to nobody.
        assert (await world.pipeline.deliver(function, event)).status_code == (503 if undisturbed.told else 204)
        world.pipeline.ingress = lambda _: 202
        assert (await world.pipeline.deliver(function, event)).status_code == 204
        await world.pipeline.drain()
        assert _outcome(world) == undisturbed.outcome
        assert _told(world) == undisturbed.told


async def test_a_publication_whose_publisher_died_for_good_is_completed_by_verify(world: World) -> None:
    """The last resort: even the redelivery never comes."""
    event = await _first_build(world)
    await _die_before_status(world, event)
    await world.pipeline.drain()
    assert world.image().status.phase is None, "a publisher at work is not disturbed"
    await world.pass_time(seconds=31)
    image = world.image()
    assert image.status.phase == "Available"
    assert image.status.source_image_build is not None
    assert image.status.source_image_build.name == "autosd"
    assert world.pipeline.emitted_types() == ["verification.requested", "image.published", "image.available"]
    assert world.data("image.published")[0]["change"] == "created"
    assert world.data("image.published")[0]["sourceImageBuild"] == {"name": "autosd", "namespace": "team-a"}
    assert (await world.pipeline.deliver("publish", event)).status_code == 204
    assert world.pipeline.emitted_types().count("image.published") == 1


async def test_a_version_whose_publisher_died_for_good_is_completed_by_verify(world: World) -> None:
    event = await _next_version(world)
    world.pipeline.emitted.clear()
    await _die_before_status(world, event)
    await world.pipeline.drain()
    await world.pass_time(seconds=31)
    image = world.image()
    assert image.status.source_image_build is not None
    assert image.status.source_image_build.name == "second"
    assert len(image.status.history) == 1
    assert world.data("image.published")[-1]["change"] == "version"


async def _die_before_status(world: World, event: CloudEvent) -> None:
    world.pipeline.points.kill_when("/status")
    with pytest.raises(KilledError):
        await world.pipeline.deliver("publish", event)


@pytest.mark.parametrize("count", [20, 50])
async def test_identical_requests_at_once_make_one_entry(world: World, count: int) -> None:
    world.push()
    events = [
        world.pipeline.event(EventType.PUBLISH_REQUESTED, {"namespace": "team-a", "registryUrl": URL}, id=f"cause-{n}")
        for n in range(count)
    ]
    answers = await asyncio.gather(*(world.pipeline.deliver("publish", event) for event in events))
    for event, answer in zip(events, answers, strict=True):
        if answer.status_code == 503:
            assert (await world.pipeline.deliver("publish", event)).status_code == 204
    await world.pipeline.drain()
    assert len(world.all("catalogimages")) == len(world.all("leases")) == 1
    image = world.image("autosd-cs9")
    assert (image.status.phase, image.status.history) == ("Available", [])
    changes = [data["change"] for data in world.data("image.published")]
    assert changes.count("created") == 1
    assert len({event.id for event in world.pipeline.emitted if event.type.endswith("published")}) == count
    assert not world.data("publish.rejected")


async def test_builds_of_one_image_at_once_leave_the_newest(world: World) -> None:
    world.push()
    start = world.clock.now()
    world.clock.advance(timedelta(hours=1))
    for number in range(10):
        completed = {"completionTime": (start + timedelta(minutes=number)).strftime("%Y-%m-%dT%H:%M:%SZ")}
        world.pipeline.apply(world.build(f"build-{number}", status=completed))
    events = world.pipeline.discard()
    await asyncio.gather(*(world.pipeline.deliver("publish", event) for event in events))
    for event in events:
        await world.pipeline.deliver("publish", event)
    await world.pipeline.drain()
    (entry,) = world.all("catalogimages")
    assert entry["status"]["sourceImageBuild"]["name"] == "build-9"


async def test_a_publisher_that_died_between_claim_and_entry_keeps_nobody_out(world: World) -> None:
    world.push()
    data = {"namespace": "team-a", "registryUrl": URL}
    first = world.pipeline.event(EventType.PUBLISH_REQUESTED, data | {"name": "first"})
    world.pipeline.cluster.fail(Effect.TIMEOUT_BEFORE, verb="create", resource="catalogimages")
    assert (await world.pipeline.deliver("publish", first)).status_code == 503
    assert len(world.all("leases")) == 1
    second = world.pipeline.event(EventType.PUBLISH_REQUESTED, data | {"name": "second"})
    answer = await world.pipeline.deliver("publish", second)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) <= 30
    world.clock.advance(timedelta(seconds=31))
    assert (await world.pipeline.deliver("publish", second)).status_code == 204
    await world.pipeline.drain()
    # By the name that was claimed: should the first one wake up after all, it finds its entry made.
    assert [entry["metadata"]["name"] for entry in world.all("catalogimages")] == ["first"]


async def test_a_person_who_edits_while_a_check_is_under_way_is_heard(world: World) -> None:
    world.push()
    other = world.push("another", tag="other")
    edited = False

    async def edit() -> None:
        nonlocal edited
        if not edited:
            edited = True
            world.edit(spec={"registryUrl": "quay.io/acme/autosd:other"})

    world.pipeline.cluster.before(edit, verb="patch", subresource="status", actor="verify", nth=2)
    image = await world.add()
    assert edited
    assert image.status.phase == "Available"
    assert image.status.registry_metadata is not None
    assert image.status.registry_metadata.resolved_digest == other.digest


async def test_a_person_who_edits_while_an_image_is_published_is_heard(world: World) -> None:
    world.push()

    async def edit() -> None:
        world.edit(spec={"metadata": {"distro": "mine"}, "verificationInterval": "2h"})

    world.pipeline.cluster.before(edit, verb="patch", subresource="status", actor="publish")
    image = await world.complete()
    assert image is not None
    assert image.spec.metadata is not None
    assert image.spec.metadata.distro == "mine"
    assert image.status.phase == "Available"
    assert image.status.observed_generation == image.metadata.generation


async def test_an_entry_that_is_edited_without_end_is_given_back_to_the_broker(world: World) -> None:
    world.push()
    count = 0

    async def edit() -> None:
        nonlocal count
        count += 1
        world.edit(spec={"registryUrl": f"quay.io/acme/autosd:{count}"})

    event = await _by_hand(world)
    world.pipeline.cluster.before(edit, verb="patch", subresource="status", actor="verify", times=100)
    assert (await world.pipeline.deliver("verify", event)).status_code == 503
