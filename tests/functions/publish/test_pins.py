"""Whose pin it is, and what brings a removed image back."""

from __future__ import annotations

from datetime import timedelta

import pytest

from image_catalog.cluster import CATALOG_IMAGE
from image_catalog.events import EventType
from image_catalog.models import format_time
from image_catalog.models.names import GROUP
from image_catalog.testing.world import World

pytestmark = pytest.mark.story

URL = "quay.io/acme/autosd:cs9"


class TestPins:
    async def test_a_digest_that_the_registry_does_not_have_is_refused(self, world: World) -> None:
        world.push()
        await world.request(registryUrl=URL, digest=f"sha256:{'0' * 64}")
        assert [refused["reason"] for refused in world.data("publish.rejected")] == ["DigestMismatch"]

    async def test_who_names_the_digest_each_time_moves_the_entry_each_time(self, world: World) -> None:
        for name in ("monday", "tuesday", "wednesday"):
            sample = world.push(name)
            await world.request(registryUrl=URL, digest=sample.digest)
            assert world.image("autosd-cs9").spec.digest == sample.digest
            world.clock.advance(timedelta(days=1))
        assert not world.data("publish.rejected")
        assert len(world.image("autosd-cs9").status.history) == 2

    async def test_a_digest_without_a_check_pins_the_entry_too(self, world: World) -> None:
        sample = world.push()
        await world.request(registryUrl=URL)
        new = world.push("another")
        world.clock.advance(timedelta(hours=1))
        await world.request(registryUrl=URL, digest=new.digest, verify=False)
        image = world.image("autosd-cs9")
        assert image.spec.digest == new.digest
        assert image.status.registry_metadata is not None
        assert image.status.registry_metadata.resolved_digest == new.digest
        assert [version.digest for version in image.status.history] == [sample.digest]

    async def test_a_persons_pin_is_kept(self, world: World) -> None:
        old = world.push()
        await world.add(url=URL, digest=old.digest)
        world.push("another")
        await world.complete()
        assert world.image().spec.digest == old.digest
        assert [refused["reason"] for refused in world.data("publish.rejected")] == ["PinnedByUser"]

    async def test_a_pin_that_a_person_typed_over_one_of_ours_is_kept(self, world: World) -> None:
        old = world.push()
        await world.complete()
        world.clock.advance(timedelta(hours=1))
        new = world.push("another")
        await world.complete("second")
        # As kubectl edit does: nobody thinks of the annotation.
        world.edit(spec={"digest": old.digest})
        await world.pipeline.drain()
        assert f"{GROUP}/digest-pinned-by" not in world.image().metadata.annotations
        assert world.says()["DigestMatched"] == ("False", "TagMoved")
        world.clock.advance(timedelta(hours=1))
        await world.complete("third")
        assert [refused["reason"] for refused in world.data("publish.rejected")] == ["PinnedByUser"]
        assert world.image().spec.digest == old.digest
        world.edit(spec={"digest": new.digest})
        await world.pipeline.drain()
        assert world.image().status.phase == "Available"

    async def test_a_persons_pin_in_the_reference_is_kept(self, world: World) -> None:
        old = world.push()
        await world.add(url=f"{URL}@{old.digest}")
        world.push("another")
        await world.complete()
        assert world.image().spec.registry_url == f"{URL}@{old.digest}"
        assert [refused["reason"] for refused in world.data("publish.rejected")] == ["PinnedByUser"]

    async def test_a_published_reference_with_a_digest_moves_with_its_pin(self, world: World) -> None:
        old = world.push()
        await world.request(registryUrl=f"{URL}@{old.digest}")
        new = world.push("another")
        world.clock.advance(timedelta(hours=1))
        await world.request(registryUrl=f"{URL}@{new.digest}")
        image = world.image("autosd-cs9")
        assert (image.spec.registry_url, image.spec.digest) == (f"{URL}@{new.digest}", new.digest)
        assert image.status.phase == "Available"
        await world.complete()
        assert not world.data("publish.rejected")

    async def test_publishing_what_a_person_pinned_is_welcome(self, world: World) -> None:
        sample = world.push()
        await world.add(url=URL, digest=sample.digest)
        await world.complete()
        image = world.image()
        assert f"{GROUP}/digest-pinned-by" not in image.metadata.annotations
        assert image.status.source_image_build is not None

    async def test_an_unpinned_entry_is_pinned_by_its_publication(self, world: World) -> None:
        sample = world.push()
        await world.add(url=URL)
        await world.complete()
        assert world.image().spec.digest == sample.digest
        assert world.image().metadata.annotations[f"{GROUP}/digest-pinned-by"] == "publish"


class TestRemoval:
    async def test_the_next_update_of_its_build_does_not_bring_an_entry_back(self, world: World) -> None:
        world.push()
        await world.complete()
        world.clock.advance(timedelta(minutes=5))
        await world.remove()
        build = world.raw("imagebuilds", "autosd")
        assert build is not None
        world.pipeline.apply({**build, "metadata": {**build["metadata"], "labels": {"touched": "yes"}}})
        await world.pipeline.drain()
        assert world.entry() is None
        assert not world.data("publish.rejected")

    async def test_nor_does_a_build_that_claims_to_complete_in_the_future(self, world: World) -> None:
        world.push()
        status = {"completionTime": format_time(world.clock.now() + timedelta(days=365))}
        await world.complete(status=status)
        world.clock.advance(timedelta(minutes=5))
        await world.remove()
        world.clock.advance(timedelta(minutes=5))
        build = world.raw("imagebuilds", "autosd")
        assert build is not None
        world.pipeline.apply({**build, "metadata": {**build["metadata"], "labels": {"touched": "yes"}}})
        await world.pipeline.drain()
        assert world.entry() is None

    async def test_a_build_that_completed_later_does(self, world: World) -> None:
        world.push()
        await world.complete()
        world.clock.advance(timedelta(minutes=5))
        await world.remove()
        world.clock.advance(timedelta(minutes=5))
        await world.complete("later")
        assert world.image("later").status.phase == "Available"

    async def test_an_explicit_request_does(self, world: World) -> None:
        world.push()
        await world.complete()
        await world.remove()
        await world.request(registryUrl=URL)
        assert world.image("autosd-cs9").status.phase == "Available"

    async def test_an_entry_made_by_hand_does(self, world: World) -> None:
        world.push()
        await world.complete()
        await world.remove()
        assert (await world.add()).status.phase == "Available"

    async def test_a_tombstone_older_than_thirty_days_counts_no_more(self, world: World) -> None:
        world.push()
        await world.complete()
        await world.remove()
        world.clock.advance(timedelta(days=31))
        world.pipeline.sweep()
        await world.pipeline.drain()
        assert not world.all("leases")
        assert world.entry() is None

    async def test_a_publication_waits_for_an_entry_on_its_way_out(self, world: World) -> None:
        world.push()
        await world.complete()
        await world.pipeline.cluster.api("person").delete(CATALOG_IMAGE, "autosd", "team-a")
        going = world.pipeline.discard()
        event = world.pipeline.event(EventType.PUBLISH_REQUESTED, {"namespace": "team-a", "registryUrl": URL})
        assert (await world.pipeline.deliver("publish", event)).status_code == 503
        for update in going:
            await world.pipeline.deliver("cleanup", update)
        assert (await world.pipeline.deliver("publish", event)).status_code == 204
        assert world.image("autosd-cs9").status.phase == "Available"
