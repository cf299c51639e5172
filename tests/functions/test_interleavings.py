"""Events that come late, and people and functions that get in each other's way."""

from __future__ import annotations

from datetime import timedelta

import pytest

from image_catalog.catalog.asked import FRESH_FOR
from image_catalog.cluster import CATALOG_IMAGE
from image_catalog.events import EventType
from image_catalog.models import Phase, format_time
from image_catalog.models.names import ANNOTATION_DIGEST_PINNED_BY, ANNOTATION_PUBLISH
from image_catalog.testing.pipeline_points import KilledError
from image_catalog.testing.world import World

pytestmark = pytest.mark.story

URL = "quay.io/acme/autosd:cs9"


async def test_a_late_word_of_a_deletion_leaves_the_claim_of_who_came_after(world: World) -> None:
    world.push()
    world.pipeline.apply(world.entry_manifest("autosd", URL))
    world.pipeline.discard()  # No function has seen it: it has no finalizer, and is gone at once.
    await world.pipeline.cluster.api("person").delete(CATALOG_IMAGE, "autosd", "team-a")
    late = world.pipeline.discard()[-1]
    world.clock.advance(timedelta(seconds=5))
    await world.add()
    assert (await world.pipeline.deliver("cleanup", late)).status_code == 204
    (claim,) = world.all("leases")
    assert not [name for name in claim["metadata"]["annotations"] if name.endswith("removed-at")]
    world.clock.advance(timedelta(seconds=5))
    await world.complete("another")
    assert [entry["metadata"]["name"] for entry in world.all("catalogimages")] == ["autosd"]


async def test_a_late_request_does_not_open_the_door_to_an_older_build(world: World) -> None:
    world.push()
    start = world.clock.now()
    world.clock.advance(timedelta(hours=1))
    older = world.build("older", status={"completionTime": format_time(start + timedelta(minutes=10))})
    newer = world.build("newer", status={"completionTime": format_time(start + timedelta(minutes=20))})
    world.pipeline.apply(older)
    late = world.pipeline.discard()[-1]
    world.pipeline.apply(newer)
    await world.pipeline.drain()
    world.pipeline.request(
        EventType.PUBLISH_REQUESTED,
        {"namespace": "team-a", "registryUrl": URL, "tags": ["nightly"]},
        time=(start + timedelta(minutes=5)).isoformat(),
    )
    await world.pipeline.drain()
    assert world.image("newer").spec.tags == ["nightly"]
    assert (await world.pipeline.deliver("publish", late)).status_code == 204
    await world.pipeline.drain()
    source = world.image("newer").status.source_image_build
    assert source is not None
    assert source.name == "newer"


async def test_a_pin_that_a_person_has_just_typed_is_not_moved_by_a_build(world: World) -> None:
    """Whose pin it is says an annotation that ``kubectl edit`` leaves behind, until a function has looked."""
    first = world.push()
    await world.complete()
    assert world.image().metadata.annotations[ANNOTATION_DIGEST_PINNED_BY] == "publish"
    other = world.push("another", tag="other")
    world.clock.advance(timedelta(minutes=5))
    world.edit(spec={"digest": other.digest})
    world.push("third")
    world.pipeline.discard()
    world.pipeline.apply(world.build("next"))
    event = world.pipeline.discard()[-1]
    assert (await world.pipeline.deliver("publish", event)).status_code == 204
    assert world.image().spec.digest == other.digest != first.digest
    assert world.data("publish.rejected")[-1]["reason"] == "PinnedByUser"


async def test_a_pin_that_a_person_typed_over_a_followed_one_is_not_moved_by_a_publication(world: World) -> None:
    """An entry that nobody published has no record of what was pinned, only the mark of the check that followed."""
    first = world.push("another", tag="other")
    await world.add(digest=first.digest, driftPolicy="follow")
    followed = world.push()
    await world.pass_time(hours=2)
    assert world.image().spec.digest == followed.digest
    world.edit(spec={"digest": first.digest, "driftPolicy": "alert"})
    await world.pipeline.drain()
    world.pipeline.request(EventType.PUBLISH_REQUESTED, {"namespace": "team-a", "registryUrl": URL}, id="asked")
    await world.pipeline.drain()
    assert world.image().spec.digest == first.digest
    assert world.data("publish.rejected")[-1]["reason"] == "PinnedByUser"


async def test_a_person_may_go_back_to_the_content_before_a_publication_that_is_not_complete(world: World) -> None:
    first = world.push()
    await world.complete()
    second = world.push("another")
    world.clock.advance(timedelta(minutes=5))
    world.pipeline.apply(world.build("next"))
    event = world.pipeline.discard()[-1]
    world.pipeline.points.kill_when("catalogimages/autosd/status")
    with pytest.raises(KilledError):
        await world.pipeline.deliver("publish", event)
    assert world.image().spec.digest == second.digest
    world.edit(spec={"digest": first.digest})
    world.push("third")
    world.clock.advance(timedelta(minutes=5))
    world.pipeline.discard()
    world.pipeline.apply(world.build("last"))
    event = world.pipeline.discard()[-1]
    assert (await world.pipeline.deliver("publish", event)).status_code == 204
    assert world.image().spec.digest == first.digest
    assert world.data("publish.rejected")[-1]["reason"] == "PinnedByUser"


async def test_a_build_that_completes_after_a_removal_comes_also_where_cleanup_was_late(world: World) -> None:
    world.push()
    await world.complete()
    world.clock.advance(timedelta(minutes=5))
    await world.pipeline.cluster.api("person").delete(CATALOG_IMAGE, "autosd", "team-a")
    removal = world.pipeline.discard()[-1]
    world.clock.advance(timedelta(minutes=5))
    world.pipeline.apply(world.build("next"))
    build = world.pipeline.discard()[-1]
    world.clock.advance(timedelta(minutes=5))
    assert (await world.pipeline.deliver("cleanup", removal)).status_code == 204
    assert (await world.pipeline.deliver("publish", build)).status_code == 204
    await world.pipeline.drain()
    assert [entry["metadata"]["name"] for entry in world.all("catalogimages")] == ["next"]


async def test_what_a_slow_check_saw_does_not_overwrite_what_a_later_one_has_seen(world: World) -> None:
    world.push()
    await world.add()
    world.clock.advance(timedelta(hours=1))
    due = {"name": "autosd", "namespace": "team-a", "reason": "due"}
    slow, quick = (world.pipeline.event(EventType.VERIFICATION_REQUESTED, due) for _ in range(2))

    async def meanwhile() -> None:
        world.clock.advance(timedelta(seconds=30))
        world.push("another")
        assert (await world.pipeline.deliver("verify", quick)).status_code == 204

    world.pipeline.cluster.before(meanwhile, verb="patch", subresource="status", actor="verify")
    assert (await world.pipeline.deliver("verify", slow)).status_code == 204
    await world.pipeline.drain()
    status = world.image().status
    assert len(status.history) == 1
    assert status.registry_metadata is not None
    assert status.registry_metadata.resolved_digest == world.push("another").digest


async def test_a_slow_delivery_tells_what_a_faster_one_of_the_same_event_has_written_and_died_over(
    world: World,
) -> None:
    world.push()
    world.pipeline.apply(world.build())
    event = world.pipeline.discard()[-1]

    async def meanwhile() -> None:
        world.pipeline.points.kill_when("before publish: emits")
        with pytest.raises(KilledError):
            await world.pipeline.deliver("publish", event)

    world.pipeline.cluster.before(meanwhile, verb="create", resource="catalogimages", actor="publish")
    assert (await world.pipeline.deliver("publish", event)).status_code == 204
    assert world.pipeline.emitted_types() == ["image.published", "image.available"]


async def test_a_publication_whose_registry_answered_long_ago_does_not_take_back_what_was_seen_since(
    world: World,
) -> None:
    world.push()
    await world.add()
    world.clock.advance(timedelta(hours=1))
    request = {"namespace": "team-a", "registryUrl": URL, "tags": ["nightly"]}
    event = world.pipeline.event(EventType.PUBLISH_REQUESTED, request)

    async def meanwhile() -> None:
        world.clock.advance(timedelta(seconds=30))
        world.push("another")
        due = {"name": "autosd", "namespace": "team-a", "reason": "due"}
        check = world.pipeline.event(EventType.VERIFICATION_REQUESTED, due)
        assert (await world.pipeline.deliver("verify", check)).status_code == 204

    world.pipeline.cluster.before(meanwhile, verb="patch", resource="catalogimages", actor="publish")
    assert (await world.pipeline.deliver("publish", event)).status_code == 503
    assert (await world.pipeline.deliver("publish", event)).status_code == 204
    await world.pipeline.drain()
    status = world.image().status
    assert len(status.history) == 1
    assert world.image().spec.digest == world.push("another").digest


async def test_a_build_that_fell_through_is_found_behind_a_later_one_that_is_not_to_be_published(world: World) -> None:
    world.push()
    world.pipeline.apply(world.build("lost"))
    world.clock.advance(timedelta(minutes=1))
    world.pipeline.apply(world.build("private", metadata={"annotations": {ANNOTATION_PUBLISH: "false"}}))
    world.pipeline.discard()
    world.clock.advance(timedelta(minutes=5))
    world.pipeline.sweep()
    await world.pipeline.drain()
    assert [entry["metadata"]["name"] for entry in world.all("catalogimages")] == ["lost"]


@pytest.mark.parametrize("gone", [False, True], ids=["opted out", "deleted"])
async def test_what_a_build_owes_is_told_also_when_the_build_has_gone_back_on_it_meanwhile(
    world: World, *, gone: bool
) -> None:
    world.push()
    world.pipeline.apply(world.build())
    event = world.pipeline.discard()[-1]
    world.pipeline.ingress = lambda _: 503
    assert (await world.pipeline.deliver("publish", event)).status_code == 503
    world.pipeline.ingress = lambda _: 202
    if gone:
        world.pipeline.cluster.server.store.remove(
            ("automotive.sdv.cloud.redhat.com", "imagebuilds"), ("team-a", "autosd")
        )
    else:
        annotations = {"automotive.sdv.cloud.redhat.com/publish": "false"}
        world.pipeline.apply(world.build(metadata={"annotations": annotations}))
    assert (await world.pipeline.deliver("publish", event)).status_code == 204
    assert world.pipeline.emitted_types() == ["image.published", "image.available"]


async def test_a_check_that_begins_late_leaves_what_a_faster_delivery_of_its_event_owes(world: World) -> None:
    world.push()
    world.pipeline.apply(world.entry_manifest("autosd", URL))
    event = world.pipeline.discard()[-1]

    async def meanwhile() -> None:
        world.pipeline.points.kill_when("before verify: emits")
        with pytest.raises(KilledError):
            await world.pipeline.deliver("verify", event)

    world.pipeline.cluster.before(meanwhile, verb="patch", subresource="status", actor="verify")
    assert (await world.pipeline.deliver("verify", event)).status_code == 204
    assert world.pipeline.emitted_types() == ["image.available"]


def references(world: World) -> list[str]:
    return sorted(entry["spec"]["registryUrl"] for entry in world.all("catalogimages"))


async def test_what_a_publication_owes_is_told_also_while_its_entry_is_on_its_way_out(world: World) -> None:
    world.push()
    world.pipeline.apply(world.build())
    event = world.pipeline.discard()[-1]
    world.pipeline.ingress = lambda _: 503
    assert (await world.pipeline.deliver("publish", event)).status_code == 503
    await world.pipeline.cluster.api("person").delete(CATALOG_IMAGE, "autosd", "team-a")
    removal = world.pipeline.discard()[-1]
    assert (await world.pipeline.deliver("cleanup", removal)).status_code == 503
    world.pipeline.ingress = lambda _: 202
    assert (await world.pipeline.deliver("publish", event)).status_code == 204
    assert world.pipeline.emitted_types() == ["image.published", "image.available"]
    assert (await world.pipeline.deliver("cleanup", removal)).status_code == 204
    assert world.entry() is None


async def test_what_a_publication_owes_is_told_also_when_its_entry_stands_for_something_else(world: World) -> None:
    world.push()
    world.push("other", tag="other")
    world.pipeline.apply(world.build())
    event = world.pipeline.discard()[-1]
    world.pipeline.ingress = lambda _: 503
    assert (await world.pipeline.deliver("publish", event)).status_code == 503
    world.edit(spec={"registryUrl": "quay.io/acme/autosd:other", "digest": None})
    world.pipeline.ingress = lambda _: 202
    assert (await world.pipeline.deliver("publish", event)).status_code == 204
    assert world.pipeline.emitted_types() == ["image.published", "image.available"]
    assert {e.attributes["catalogname"] for e in world.pipeline.emitted} == {"autosd"}
    world.clock.advance(FRESH_FOR)
    world.pipeline.sweep()
    await world.pipeline.drain()
    assert references(world) == ["quay.io/acme/autosd:cs9", "quay.io/acme/autosd:other"]


async def test_a_build_has_an_entry_again_when_a_person_made_the_one_that_the_sweep_brought_stand_for_another(
    world: World,
) -> None:
    world.push()
    world.push("other", tag="other")
    world.pipeline.apply(world.build())
    world.pipeline.discard()
    for _ in range(2):
        world.clock.advance(FRESH_FOR)
        world.pipeline.sweep()
        await world.pipeline.drain()
        if len(references(world)) == 1:
            world.edit(spec={"registryUrl": "quay.io/acme/autosd:other", "digest": None})
            await world.pipeline.drain()
    assert references(world) == ["quay.io/acme/autosd:cs9", "quay.io/acme/autosd:other"]


async def test_what_a_check_owes_is_told_also_while_the_next_one_is_under_way(world: World) -> None:
    world.push()
    world.pipeline.apply(world.entry_manifest("autosd", URL))
    event = world.pipeline.discard()[-1]
    world.pipeline.ingress = lambda _: 503
    assert (await world.pipeline.deliver("verify", event)).status_code == 503
    world.pipeline.ingress = lambda _: 202
    world.clock.advance(timedelta(minutes=1))
    data = {"name": "autosd", "namespace": "team-a", "reason": "manual"}
    world.pipeline.request(EventType.VERIFICATION_REQUESTED, data, id="next")
    following = world.pipeline.discard()[-1]
    world.pipeline.points.kill_when("before verify: GET https://quay.io")
    with pytest.raises(KilledError):
        await world.pipeline.deliver("verify", following)
    entry = world.entry()
    assert entry is not None
    assert entry.status.phase is Phase.VERIFYING
    assert (await world.pipeline.deliver("verify", event)).status_code == 204
    assert world.pipeline.emitted_types() == ["image.available"]


async def test_a_late_word_of_a_run_does_not_publish_again_the_later_run_that_an_entry_has(world: World) -> None:
    """What a person has taken back since, such as a pin, stays as the person left it."""
    world.push()
    world.pipeline.apply(world.build())
    late = world.pipeline.discard()[-1]
    world.clock.advance(timedelta(seconds=2))
    await world.complete()
    world.edit(spec={"digest": None})
    await world.pipeline.drain()
    assert (await world.pipeline.deliver("publish", late)).status_code == 204
    assert world.image().spec.digest is None
    assert len(world.data("image.published")) == 1
