"""What becomes of builds and requests: entries, versions, refusals."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from image_catalog.cluster import CATALOG_IMAGE
from image_catalog.config import PublishPolicy, Settings
from image_catalog.events import EventType
from image_catalog.local.registry import SampleImage, SampleIndex
from image_catalog.models import CatalogImage, format_time
from image_catalog.models.names import GROUP
from image_catalog.testing.pipeline import Delivery
from image_catalog.testing.registry_faults import server_error
from image_catalog.testing.world import World

URL = "quay.io/acme/autosd:cs9"


async def request(world: World, **data: Any) -> None:
    """Ask for a publication at the broker's ingress and let everybody do their part."""
    world.pipeline.request(EventType.PUBLISH_REQUESTED, {"namespace": "team-a", **data})
    await world.pipeline.drain()


def last(deliveries: list[Delivery], function: str) -> int | None:
    return next(d.status for d in reversed(deliveries) if d.function == function)


class TestBuilds:
    async def test_a_completed_build_becomes_an_available_entry(self, world: World) -> None:
        sample = world.push()
        image = await world.complete()
        assert image is not None
        assert image.status.phase == "Available"
        assert image.spec.digest == sample.digest
        assert image.metadata.annotations[f"{GROUP}/digest-pinned-by"] == "publish"
        assert image.status.source_image_build is not None
        assert image.status.source_image_build.name == "autosd"
        assert image.status.published_at == world.clock.now()
        assert world.pipeline.emitted_types() == ["image.published", "image.available"]
        assert world.data("image.published")[0]["change"] == "created"
        assert {note[:2] for note in world.notes()} == {("Normal", "Published"), ("Normal", "RegistryAccessible")}

    async def test_a_build_under_way_is_left_alone(self, world: World) -> None:
        world.push()
        assert await world.complete(status={"phase": "Building"}) is None
        assert not world.pipeline.emitted

    async def test_a_build_that_pushed_nothing_is_left_alone(self, world: World) -> None:
        assert await world.complete(spec={"export": {"disk": {"s3": {"bucket": "images"}}}}) is None
        assert not world.pipeline.emitted

    async def test_the_condition_complete_says_as_much_as_the_phase(self, world: World) -> None:
        world.push()
        done = {
            "type": "Complete",
            "status": "True",
            "reason": "Done",
            "message": "",
            "lastTransitionTime": format_time(world.clock.now()),
        }
        image = await world.complete(status={"phase": None, "completionTime": None, "conditions": [done]})
        assert image is not None
        assert image.status.source_image_build is not None
        assert image.status.source_image_build.completion_time == world.clock.now()

    async def test_more_changes_of_a_recorded_build_ask_nobody(self, world: World) -> None:
        world.push()
        await world.complete()
        asked, emitted = len(world.network.requests), len(world.pipeline.emitted)
        before = world.image()
        await world.complete(metadata={"labels": {"looked-at": "yes"}})
        assert len(world.network.requests) == asked
        assert len(world.pipeline.emitted) == emitted
        assert world.image() == before

    async def test_a_build_whose_image_is_missing_is_refused_with_the_reason(self, world: World) -> None:
        assert await world.complete() is None
        (refused,) = world.data("publish.rejected")
        assert refused["reason"] == "ImageNotFound"
        assert refused["sourceImageBuild"] == {"name": "autosd", "namespace": "team-a"}
        assert [step["status"] for step in refused["steps"]][-1] == "failed"
        ((kind, reason, message),) = world.notes("ImageBuild")
        assert (kind, reason) == ("Warning", "ImageNotFound")
        assert "not published" in message
        assert last(world.pipeline.deliveries, "publish") == 204
        assert not world.all("leases")

    async def test_trouble_that_passes_is_tried_again_and_then_dead_lettered(self, world: World) -> None:
        world.push()
        world.registry.fail(server_error())
        assert await world.complete() is None
        assert last(world.pipeline.deliveries, "publish") == 503
        assert not world.pipeline.emitted
        (letter,) = world.pipeline.dead_letters
        world.registry.recover()
        assert (await world.pipeline.deliver("publish", letter)).status_code == 204
        assert world.image().status.phase == "Available"

    async def test_a_build_with_a_broken_reference_is_refused(self, world: World) -> None:
        assert await world.complete(url="autosd:cs9") is None
        (refused,) = world.data("publish.rejected")
        assert refused["reason"] == "InvalidReference"
        assert [note[1] for note in world.notes("ImageBuild")] == ["InvalidReference"]

    async def test_a_forged_event_of_a_build_that_is_not_there_writes_nothing(self, world: World) -> None:
        world.push()
        for url in (URL, "autosd:cs9"):
            forged = world.build(url=url, metadata={"uid": "made-up"})
            event = world.pipeline.event("dev.knative.apiserver.resource.add", forged, kind="ImageBuild")
            assert (await world.pipeline.deliver("publish", event)).status_code == 204
        assert not world.all("catalogimages")
        assert not world.all("events")
        assert not world.pipeline.emitted

    async def test_a_build_can_opt_out(self, world: World) -> None:
        world.push()
        assert await world.complete(metadata={"annotations": {f"{GROUP}/publish": "false"}}) is None
        assert not world.pipeline.emitted

    async def test_the_entry_gets_the_name_that_the_build_asks_for(self, world: World) -> None:
        world.push()
        await world.complete(metadata={"annotations": {f"{GROUP}/catalog-name": "nightly"}})
        assert world.image("nightly").status.phase == "Available"

    async def test_a_name_that_no_object_can_have_is_refused_before_anything_is_claimed(self, world: World) -> None:
        world.push()
        await world.complete(metadata={"annotations": {f"{GROUP}/catalog-name": "Nightly Build"}})
        assert [refused["reason"] for refused in world.data("publish.rejected")] == ["Invalid"]
        assert not world.all("leases")

    async def test_a_build_of_a_schedule_is_found_by_it(self, world: World) -> None:
        world.push()
        image = await world.complete(metadata={"labels": {f"{GROUP}/scheduledimagebuild-name": "nightly"}})
        assert image is not None
        assert image.metadata.labels[f"{GROUP}/source-type"] == "scheduled"
        assert image.metadata.labels[f"{GROUP}/schedule"] == "nightly"

    async def test_a_multi_arch_image_has_its_variants(self, world: World) -> None:
        index = SampleIndex(attestations=True)
        world.push(index)
        image = await world.complete()
        assert image is not None
        registry = image.status.registry_metadata
        assert registry is not None
        assert registry.is_multi_arch
        assert {v.architecture: v.size_bytes for v in registry.platform_variants} == {
            child.platform["architecture"]: child.size for child in index.images if child.platform
        }
        assert registry.resolved_digest == index.digest


class TestTheAnnotatedPolicy:
    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(publish_policy=PublishPolicy.ANNOTATED)

    async def test_a_build_is_published_only_if_it_says_so(self, world: World) -> None:
        world.push()
        assert await world.complete() is None
        assert await world.complete(metadata={"annotations": {f"{GROUP}/publish": "true"}}) is not None


class TestVersions:
    async def test_the_same_tag_built_again_is_a_new_version(self, world: World) -> None:
        old = world.push()
        await world.complete("first", metadata={"annotations": {f"{GROUP}/catalog-name": "autosd"}})
        first = world.image()
        world.clock.advance(timedelta(hours=1))
        new = world.push("another")
        await world.complete("second")
        image = world.image()
        assert world.entry("second") is None
        assert image.spec.digest == new.digest
        assert image.status.registry_metadata is not None
        assert image.status.registry_metadata.resolved_digest == new.digest
        (past,) = image.status.history
        assert (past.digest, past.published_at) == (old.digest, first.status.published_at)
        assert past.source_image_build is not None
        assert past.source_image_build.name == "first"
        assert past.superseded_at == world.clock.now() == image.status.published_at
        assert image.status.source_image_build is not None
        assert image.status.source_image_build.name == "second"
        published = world.data("image.published")[-1]
        assert (published["change"], published["digest"]) == ("version", new.digest)
        assert published["previousDigest"] == old.digest
        assert world.pipeline.emitted_types() == ["image.published", "image.available", "image.published"]

    async def test_a_newer_build_with_the_same_content_is_no_new_version(self, world: World) -> None:
        world.push()
        await world.complete("first")
        world.clock.advance(timedelta(hours=1))
        await world.complete("second")
        image = world.image("first")
        assert image.status.history == []
        assert image.status.source_image_build is not None
        assert image.status.source_image_build.name == "second"
        assert world.data("image.published")[-1]["change"] == "metadata"

    async def test_an_older_build_never_takes_the_entry_back(self, world: World) -> None:
        world.push()
        late = world.build("late")
        world.clock.advance(timedelta(hours=1))
        world.push("another")
        await world.complete("current")
        before = world.image("current")
        world.push()
        world.pipeline.apply(late)
        await world.pipeline.drain()
        assert world.image("current") == before
        assert [refused["reason"] for refused in world.data("publish.rejected")] == ["OlderThanCurrent"]
        assert [note[1] for note in world.notes("ImageBuild")] == ["OlderThanCurrent"]

    async def test_ten_versions_are_kept_newest_first(self, world: World) -> None:
        digests = []
        for number in range(13):
            world.clock.advance(timedelta(hours=1))
            digests.append(world.push(f"number {number}").digest)
            await world.complete(f"build-{number}", metadata={"annotations": {f"{GROUP}/catalog-name": "autosd"}})
        history = world.image().status.history
        assert [version.digest for version in history] == digests[-2:-12:-1]
        assert len(world.image().status.recent_changes) == 8

    async def test_the_next_version_has_no_recipe_of_the_one_before(self, world: World) -> None:
        world.push()
        await world.complete(aib={"manifest": "name: first\n"})
        assert world.image().status.build_manifest_ref is not None
        world.clock.advance(timedelta(hours=1))
        world.push("another")
        await request(world, registryUrl=URL)
        assert world.image().status.build_manifest_ref is None


class TestRecipes:
    async def test_todays_manifest_is_kept_beside_the_entry(self, world: World) -> None:
        world.push()
        image = await world.complete(aib={"manifest": "name: os\n", "manifestFileName": "os.aib.yml"})
        assert image is not None
        ref = image.status.build_manifest_ref
        assert ref is not None
        kept = world.raw("configmaps", ref.name)
        assert kept is not None
        assert kept["data"] == {"os.aib.yml": "name: os\n"}
        assert kept["metadata"]["ownerReferences"][0]["uid"] == image.metadata.uid
        assert ref.key == "os.aib.yml"

    async def test_a_path_as_file_name_is_cut_to_what_a_key_can_be(self, world: World) -> None:
        world.push()
        image = await world.complete(aib={"manifest": "name: os\n", "manifestFileName": "images/my os.aib.yml"})
        assert image is not None
        assert image.status.build_manifest_ref is not None
        assert image.status.build_manifest_ref.key == "my-os.aib.yml"

    async def test_the_early_shapes_config_map_is_copied(self, world: World) -> None:
        world.push()
        world.pipeline.apply(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "recipe", "namespace": "team-a"},
                "data": {"simple.mpp.yml": "version: 2\n"},
            }
        )
        image = await world.complete(
            spec={"export": None, "aib": None, "containerPush": URL, "manifestConfigMap": "recipe"}
        )
        assert image is not None
        ref = image.status.build_manifest_ref
        assert ref is not None
        kept = world.raw("configmaps", ref.name)
        assert kept is not None
        assert (kept["data"], ref.key) == ({"simple.mpp.yml": "version: 2\n"}, "simple.mpp.yml")

    @pytest.mark.parametrize(
        "spec",
        [{"manifestConfigMap": "gone", "aib": None}, {"aib": {"manifest": "x" * 600_000}}],
        ids=["absent", "too large"],
    )
    async def test_an_image_is_published_without_a_recipe_that_cannot_be_kept(
        self, world: World, spec: dict[str, Any]
    ) -> None:
        world.push()
        image = await world.complete(spec=spec)
        assert image is not None
        assert (image.status.phase, image.status.build_manifest_ref) == ("Available", None)


class TestRequests:
    async def test_an_external_image_is_published(self, world: World) -> None:
        sample = world.push()
        await request(
            world,
            registryUrl=URL,
            tags=["nightly", "nightly", "edge"],
            labels={"example.com/team": "infotainment"},
            metadata={"distro": "autosd", "targets": [{"name": "rpi4", "verified": True}, {"name": "qemu"}]},
            verificationInterval="30m",
            verifyBlobs=True,
        )
        image = world.image("autosd-cs9")
        assert image.status.phase == "Available"
        assert image.spec.tags == ["nightly", "edge"]
        assert (image.spec.verification_interval, image.spec.verify_blobs) == ("30m", True)
        assert image.spec.digest == sample.digest
        assert image.metadata.labels["example.com/team"] == "infotainment"
        assert image.metadata.labels[f"{GROUP}/source-type"] == "external"
        assert image.metadata.labels[f"{GROUP}/target"] == "rpi4"
        assert image.metadata.labels[f"target.{GROUP}/qemu"] == image.metadata.labels[f"target.{GROUP}/rpi4"] == "true"
        event = next(e for e in world.pipeline.emitted if e.type.endswith("available"))
        assert event.attributes["targets"] == ",rpi4,qemu,"
        assert (event.attributes["distro"], event.attributes["architecture"]) == ("autosd", "arm64")
        assert event.attributes["phase"] == "Available"

    async def test_asking_again_changes_nothing_and_says_so(self, world: World) -> None:
        world.push()
        await request(world, registryUrl=URL)
        before = world.image("autosd-cs9")
        await request(world, registryUrl=URL)
        assert world.image("autosd-cs9") == before
        assert [data["change"] for data in world.data("image.published")] == ["created", "unchanged"]

    async def test_another_spelling_of_the_reference_is_the_same_image(self, world: World) -> None:
        world.push()
        await request(world, registryUrl=URL)
        await request(world, registryUrl="QUAY.io:443/acme/autosd:cs9")
        assert len(world.all("catalogimages")) == len(world.all("leases")) == 1

    async def test_more_tags_are_added_and_none_is_lost(self, world: World) -> None:
        world.push()
        await request(world, registryUrl=URL, tags=["a"])
        world.edit("autosd-cs9", spec={"tags": ["a", "mine"]})
        await request(world, registryUrl=URL, tags=["b"])
        assert world.image("autosd-cs9").spec.tags == ["a", "mine", "b"]
        assert world.data("image.published")[-1]["change"] == "metadata"

    async def test_an_existing_entry_fails_a_request_for_a_new_one(self, world: World) -> None:
        world.push()
        await request(world, registryUrl=URL)
        await request(world, registryUrl=URL, ifExists="fail")
        assert [refused["reason"] for refused in world.data("publish.rejected")] == ["AlreadyExists"]

    async def test_a_name_that_is_taken_is_refused_when_it_was_asked_for(self, world: World) -> None:
        world.push()
        world.push(tag="other")
        await request(world, registryUrl=URL, name="mine")
        await request(world, registryUrl="quay.io/acme/autosd:other", name="mine")
        (refused,) = world.data("publish.rejected")
        assert (refused["reason"], refused["name"]) == ("NameTaken", "mine")
        assert len(world.all("catalogimages")) == 1

    async def test_a_default_name_that_is_taken_gets_a_suffix(self, world: World) -> None:
        world.push()
        world.push("another", repository="other/autosd")
        await world.complete("autosd")
        await world.complete(
            "autosd", url="quay.io/other/autosd:cs9", status={"completionTime": "2026-01-02T00:00:00Z"}
        )
        names = sorted(entry["metadata"]["name"] for entry in world.all("catalogimages"))
        assert names[0] == "autosd"
        assert names[1].startswith("autosd-")
        assert len(names[1]) == len("autosd-") + 8
        assert world.image(names[1]).status.phase == "Available"

    async def test_a_build_can_be_asked_for_by_name(self, world: World) -> None:
        world.push()
        world.pipeline.sources_run = False
        world.pipeline.apply(world.build(metadata={"annotations": {f"{GROUP}/publish": "false"}}))
        world.pipeline.sources_run = True
        await request(
            world, imageBuild={"name": "autosd", "namespace": "team-a"}, metadata={"distro": "mine"}, tags=["asked"]
        )
        image = world.image()
        assert image.spec.tags == ["asked"]
        assert image.spec.metadata is not None
        assert (image.spec.metadata.distro, image.spec.metadata.build_mode) == ("mine", "image")

    @pytest.mark.parametrize(
        ("status", "spec", "reason"),
        [
            ({"phase": "Building"}, {}, "BuildNotCompleted"),
            ({}, {"export": {}}, "NoRegistryLocation"),
        ],
        ids=["not completed", "pushed nowhere"],
    )
    async def test_a_build_that_cannot_be_published_says_why(
        self, world: World, status: dict[str, Any], spec: dict[str, Any], reason: str
    ) -> None:
        world.pipeline.apply(world.build(status=status, spec=spec))
        await request(world, imageBuild={"name": "autosd", "namespace": "team-a"})
        assert [refused["reason"] for refused in world.data("publish.rejected")] == [reason]

    async def test_a_build_that_is_not_there(self, world: World) -> None:
        await request(world, imageBuild={"name": "gone", "namespace": "team-a"})
        (refused,) = world.data("publish.rejected")
        assert (refused["reason"], refused["name"]) == ("BuildNotFound", "gone")

    async def test_nobody_known_may_name_no_secret(self, world: World) -> None:
        world.push()
        await request(world, registryUrl=URL, authSecretRef={"name": "pull"})
        (refused,) = world.data("publish.rejected")
        assert (refused["reason"], refused["actor"]) == ("Unauthenticated", "unauthenticated")
        assert not world.network.requests

    async def test_a_trusted_caller_says_who_asks_and_names_a_secret(self, world: World) -> None:
        world.push()
        world.allow_secrets()
        token = world.pipeline.cluster.token("api", audiences=["image-catalog"])
        event = world.pipeline.event(
            EventType.PUBLISH_REQUESTED,
            {"namespace": "team-a", "registryUrl": URL, "authSecretRef": {"name": "pull"}, "actor": "jane"},
        )
        answer = await world.pipeline.deliver(
            "publish", event, authorization=f"Bearer {token}", prefer="return=representation"
        )
        assert answer.status_code == 200
        (outcome,) = json.loads(bytes(answer.body))["events"]
        assert (outcome["data"]["reason"], outcome["data"]["actor"]) == ("SecretNotFound", "jane")

    async def test_a_trusted_caller_gets_the_outcome(self, world: World) -> None:
        world.push()
        token = world.pipeline.cluster.token("api", audiences=["image-catalog"])
        event = world.pipeline.event(
            EventType.PUBLISH_REQUESTED, {"namespace": "team-a", "registryUrl": URL, "actor": "jane"}
        )
        answer = await world.pipeline.deliver(
            "publish", event, authorization=f"Bearer {token}", prefer="return=representation"
        )
        outcome = json.loads(bytes(answer.body))["events"]
        assert [one["data"]["actor"] for one in outcome] == ["jane", "jane"]
        assert [one["id"] for one in outcome] == [one.id for one in world.pipeline.emitted]

    async def test_labels_of_the_catalogs_own_are_refused(self, world: World) -> None:
        await request(world, registryUrl=URL, labels={f"{GROUP}/phase": "mine"})
        assert [refused["reason"] for refused in world.data("publish.rejected")] == ["Invalid"]

    @pytest.mark.parametrize(
        "labels", [{"team": "in for tainment"}, {"-team": "x"}, {"team": "x" * 64}], ids=["value", "key", "too long"]
    )
    async def test_labels_that_no_object_can_have_are_refused_before_anything_is_claimed(
        self, world: World, labels: dict[str, str]
    ) -> None:
        world.push()
        await request(world, registryUrl=URL, labels=labels)
        assert [refused["reason"] for refused in world.data("publish.rejected")] == ["Invalid"]
        assert not world.all("leases")

    async def test_a_namespace_that_is_not_there_is_refused(self, world: World) -> None:
        world.push()
        await request(world, registryUrl=URL, namespace="nowhere")
        assert [refused["reason"] for refused in world.data("publish.rejected")] == ["Invalid"]

    async def test_missing_blobs_are_refused_where_they_are_asked_for(self, world: World) -> None:
        sample = world.push()
        world.registry.store.delete_blob("acme/autosd", sample.blobs[1].digest)
        await request(world, registryUrl=URL, verifyBlobs=True)
        assert [refused["reason"] for refused in world.data("publish.rejected")] == ["BlobMissing"]
        assert not world.all("catalogimages")

    async def test_a_request_that_is_not_asked_to_verify_leaves_it_to_verify(self, world: World) -> None:
        await request(world, registryUrl=URL, verify=False)
        image = world.image("autosd-cs9")
        assert (image.status.phase, world.says("autosd-cs9")["Available"][1]) == ("Unavailable", "ImageNotFound")
        assert world.pipeline.emitted_types() == ["image.published", "image.unavailable"]
        sample = world.push()
        await world.pass_time(minutes=1)
        image = world.image("autosd-cs9")
        assert image.status.phase == "Available"
        assert image.status.registry_metadata is not None
        assert image.status.registry_metadata.resolved_digest == sample.digest
        assert world.pipeline.emitted_types().count("image.published") == 1

    async def test_a_request_that_breaks_its_schema_is_answered_once_with_the_path(self, world: World) -> None:
        event = world.pipeline.event(
            EventType.PUBLISH_REQUESTED, {"registryUrl": URL, "metadata": {"distro": "no good"}}
        )
        answer = await world.pipeline.deliver("publish", event)
        assert answer.status_code == 422
        assert json.loads(bytes(answer.body))["violations"][0]["path"] == "data.metadata.distro"

    async def test_a_time_from_the_future_does_not_shut_later_builds_out(self, world: World) -> None:
        world.push()
        world.pipeline.request(
            EventType.PUBLISH_REQUESTED, {"namespace": "team-a", "registryUrl": URL}, time="9999-01-01T00:00:00Z"
        )
        await world.pipeline.drain()
        world.clock.advance(timedelta(hours=1))
        new = world.push("another")
        await world.complete()
        assert world.image("autosd-cs9").spec.digest == new.digest

    async def test_a_late_request_for_older_content_is_refused(self, world: World) -> None:
        old = world.push()
        early = format_time(world.clock.now())
        world.clock.advance(timedelta(hours=1))
        world.push("another")
        await world.complete()
        world.push()
        world.pipeline.request(
            EventType.PUBLISH_REQUESTED, {"namespace": "team-a", "registryUrl": URL, "digest": old.digest}, time=early
        )
        await world.pipeline.drain()
        assert [refused["reason"] for refused in world.data("publish.rejected")] == ["OlderThanCurrent"]


class TestPins:
    async def test_a_digest_that_the_registry_does_not_have_is_refused(self, world: World) -> None:
        world.push()
        await request(world, registryUrl=URL, digest=f"sha256:{'0' * 64}")
        assert [refused["reason"] for refused in world.data("publish.rejected")] == ["DigestMismatch"]

    async def test_who_names_the_digest_each_time_moves_the_entry_each_time(self, world: World) -> None:
        for name in ("monday", "tuesday", "wednesday"):
            sample = world.push(name)
            await request(world, registryUrl=URL, digest=sample.digest)
            assert world.image("autosd-cs9").spec.digest == sample.digest
            world.clock.advance(timedelta(days=1))
        assert not world.data("publish.rejected")
        assert len(world.image("autosd-cs9").status.history) == 2

    async def test_a_digest_without_a_check_pins_the_entry_too(self, world: World) -> None:
        sample = world.push()
        await request(world, registryUrl=URL)
        new = world.push("another")
        world.clock.advance(timedelta(hours=1))
        await request(world, registryUrl=URL, digest=new.digest, verify=False)
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

    async def test_a_persons_pin_in_the_reference_is_kept(self, world: World) -> None:
        old = world.push()
        await world.add(url=f"{URL}@{old.digest}")
        world.push("another")
        await world.complete()
        assert world.image().spec.registry_url == f"{URL}@{old.digest}"
        assert [refused["reason"] for refused in world.data("publish.rejected")] == ["PinnedByUser"]

    async def test_a_published_reference_with_a_digest_moves_with_its_pin(self, world: World) -> None:
        old = world.push()
        await request(world, registryUrl=f"{URL}@{old.digest}")
        new = world.push("another")
        world.clock.advance(timedelta(hours=1))
        await request(world, registryUrl=f"{URL}@{new.digest}")
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
        await request(world, registryUrl=URL)
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


class TestMetadata:
    async def test_what_a_person_wrote_is_neither_lost_nor_blanked(self, world: World) -> None:
        world.push()
        await world.complete()
        world.edit(
            spec={
                "metadata": {
                    "architecture": "aarch64",
                    "os": "linux",
                    "distro": "mine",
                    "distroVersion": "9.4",
                    "targets": [{"name": "qemu", "notes": "slow"}, {"name": "rpi4", "verified": True}],
                },
                "driftPolicy": "quarantine",
                "verificationInterval": "2h",
                "tags": ["mine"],
            }
        )
        await world.pipeline.drain()
        world.clock.advance(timedelta(hours=1))
        world.push("another")
        await world.complete("second", aib={"distro": "theirs", "target": "ride4"})
        image = world.image()
        meta = image.spec.metadata
        assert meta is not None
        assert (meta.architecture, meta.distro, meta.distro_version) == ("aarch64", "mine", "9.4")
        assert [(t.name, t.verified, t.notes) for t in meta.targets] == [
            ("ride4", False, None),
            ("qemu", False, "slow"),
            ("rpi4", True, None),
        ]
        assert (image.spec.drift_policy, image.spec.verification_interval) == ("quarantine", "2h")
        assert image.spec.tags == ["mine"]

    async def test_what_nobody_touched_follows_the_build(self, world: World) -> None:
        world.push()
        await world.complete()
        world.clock.advance(timedelta(hours=1))
        world.push("another")
        await world.complete("second", aib={"distro": "autosd10", "target": "ride4", "mode": "bootc"})
        meta = world.image().spec.metadata
        assert meta is not None
        assert (meta.distro, meta.build_mode, meta.bootc_capable) == ("autosd10", "bootc", True)
        assert [target.name for target in meta.targets] == ["ride4"]
        labels = world.image().metadata.labels
        assert labels[f"{GROUP}/target"] == "ride4"
        assert f"target.{GROUP}/qemu" not in labels
        assert labels[f"{GROUP}/bootc-capable"] == "true"

    async def test_what_the_registry_said_follows_the_registry(self, world: World) -> None:
        world.push()
        await request(world, registryUrl=URL)
        assert world.image("autosd-cs9").metadata.labels[f"{GROUP}/architecture"] == "arm64"
        world.clock.advance(timedelta(hours=1))
        world.push(SampleImage(architecture="amd64"))
        await request(world, registryUrl=URL)
        image = world.image("autosd-cs9")
        assert image.spec.metadata is not None
        assert image.spec.metadata.architecture == "amd64"
        assert world.says("autosd-cs9")["MetadataConsistent"][0] == "True"

    async def test_both_names_of_bootc_mean_one_thing(self, world: World) -> None:
        world.push()
        await world.add(metadata={"bootc": False})
        await world.complete(aib={"mode": "bootc"})
        image = world.image()
        assert image.spec.metadata is not None
        assert image.spec.metadata.is_bootc_capable is False
        assert image.status.source_image_build is not None
        assert not world.data("publish.rejected")

    async def test_somebody_may_say_later_that_a_target_was_tested(self, world: World) -> None:
        world.push()
        await world.complete()
        await request(world, registryUrl=URL, metadata={"targets": [{"name": "qemu", "verified": True}]})
        meta = world.image().spec.metadata
        assert meta is not None
        assert [(t.name, t.verified) for t in meta.targets] == [("qemu", True)]

    async def test_another_operating_system_may_be_said_later(self, world: World) -> None:
        world.push()
        await request(world, registryUrl=URL)
        await request(world, registryUrl=URL, metadata={"os": "qnx"})
        meta = world.image("autosd-cs9").spec.metadata
        assert meta is not None
        assert meta.os == "qnx"

    async def test_what_contradicts_the_registry_is_named_and_not_searched_by(self, world: World) -> None:
        world.push()
        image = await world.add(metadata={"architecture": "x86_64"})
        consistent = image.status.condition("MetadataConsistent")
        assert consistent is not None
        assert (consistent.status, consistent.reason) == ("False", "MetadataConflict")
        assert "x86_64" in consistent.message
        assert "arm64" in consistent.message
        assert image.metadata.labels[f"{GROUP}/architecture"] == "arm64"
        assert ("Warning", "MetadataConflict") in [note[:2] for note in world.notes()]

    async def test_a_contradiction_typed_later_is_named_without_asking_the_registry(self, world: World) -> None:
        world.push()
        await world.add()
        asked = len(world.network.requests)
        world.edit(spec={"metadata": {"architecture": "amd64"}})
        await world.pipeline.drain()
        assert len(world.network.requests) == asked
        assert world.says()["MetadataConsistent"] == ("False", "MetadataConflict")
        assert [note[1] for note in world.notes()].count("MetadataConflict") == 1
        world.edit(metadata={"annotations": {f"{GROUP}/metadata-override": "true"}}, spec={"tags": ["again"]})
        await world.pipeline.drain()
        assert world.image().metadata.labels[f"{GROUP}/architecture"] == "amd64"
        assert [note[1] for note in world.notes()].count("MetadataConflict") == 1

    async def test_automotive_annotations_fill_what_nobody_said(self, world: World) -> None:
        world.push(SampleImage(annotations={f"{GROUP}/distro": "cs9", f"{GROUP}/target": "ride4"}))
        await request(world, registryUrl=URL)
        meta = world.image("autosd-cs9").spec.metadata
        assert meta is not None
        assert (meta.architecture, meta.distro, [t.name for t in meta.targets]) == ("arm64", "cs9", ["ride4"])


def test_the_subject_of_an_entry_is_namespace_and_name() -> None:
    image = CatalogImage.model_validate({"metadata": {"name": "a", "namespace": "b"}, "spec": {"registryUrl": URL}})
    assert image.subject == "b/a"
