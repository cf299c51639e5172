"""What others ask for at the broker's ingress, or as callers who are known."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from image_catalog.events import EventType
from image_catalog.models import format_time
from image_catalog.models.names import GROUP
from image_catalog.testing.world import World

pytestmark = pytest.mark.story

URL = "quay.io/acme/autosd:cs9"


class TestRequests:
    async def test_an_external_image_is_published(self, world: World) -> None:
        sample = world.push()
        await world.request(
            registryUrl=URL,
            tags=["nightly", "nightly", "edge"],
            labels={"example.com/team": "infotainment"},
            metadata={"distro": "autosd", "targets": [{"name": "rpi4", "notes": "rev 1.5"}, {"name": "qemu"}]},
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

    async def test_every_step_is_told_in_the_order_in_which_it_went(self, world: World) -> None:
        sample = world.push()
        await world.request(registryUrl=URL)
        (published,) = world.data("image.published")
        assert [(step["name"], step["status"], step["message"]) for step in published["steps"]] == [
            ("Registry URL", "ok", URL),
            ("Credentials", "skipped", "none, asked anonymously"),
            ("Registry accessibility", "ok", "OK (quay.io answered, requests: 2)"),
            ("Digest verification", "ok", f"OK ({sample.digest})"),
            ("Metadata extraction", "ok", "OK (application/vnd.oci.image.manifest.v1+json)"),
            ("Referrers", "ok", "OK (none)"),
            ("Catalog image", "ok", "team-a/autosd-cs9 created"),
        ]

    async def test_a_refusal_is_told_as_the_step_that_it_ended_at(self, world: World) -> None:
        world.push()
        await world.request(registryUrl=URL)
        await world.request(registryUrl=URL, ifExists="fail")
        await world.request(registryUrl="quay.io/acme/:nothing")
        await world.request(imageBuild={"name": "nowhere", "namespace": "team-a"})
        ended = [refused["steps"][-1] for refused in world.data("publish.rejected")]
        assert [(step["name"], step["status"], step["message"].split(":")[0]) for step in ended] == [
            ("Catalog image", "failed", "AlreadyExists"),
            ("Registry URL", "failed", "InvalidReference"),
            ("ImageBuild status", "failed", "BuildNotFound"),
        ]

    async def test_asking_again_changes_nothing_and_says_so(self, world: World) -> None:
        world.push()
        await world.request(registryUrl=URL)
        before = world.image("autosd-cs9")
        await world.request(registryUrl=URL)
        assert world.image("autosd-cs9") == before
        assert [data["change"] for data in world.data("image.published")] == ["created", "unchanged"]

    async def test_another_spelling_of_the_reference_is_the_same_image(self, world: World) -> None:
        world.push()
        await world.request(registryUrl=URL)
        await world.request(registryUrl="QUAY.io:443/acme/autosd:cs9")
        assert len(world.all("catalogimages")) == len(world.all("leases")) == 1

    async def test_more_tags_are_added_and_none_is_lost(self, world: World) -> None:
        world.push()
        await world.request(registryUrl=URL, tags=["a"])
        world.edit("autosd-cs9", spec={"tags": ["a", "mine"]})
        await world.request(registryUrl=URL, tags=["b"])
        assert world.image("autosd-cs9").spec.tags == ["a", "mine", "b"]
        assert world.data("image.published")[-1]["change"] == "metadata"

    async def test_an_existing_entry_fails_a_request_for_a_new_one(self, world: World) -> None:
        world.push()
        await world.request(registryUrl=URL)
        await world.request(registryUrl=URL, ifExists="fail")
        assert [refused["reason"] for refused in world.data("publish.rejected")] == ["AlreadyExists"]

    async def test_a_name_that_is_taken_is_refused_when_it_was_asked_for(self, world: World) -> None:
        world.push()
        world.push(tag="other")
        await world.request(registryUrl=URL, name="mine")
        await world.request(registryUrl="quay.io/acme/autosd:other", name="mine")
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
        await world.request(
            imageBuild={"name": "autosd", "namespace": "team-a"}, metadata={"distro": "mine"}, tags=["asked"]
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
        await world.request(imageBuild={"name": "autosd", "namespace": "team-a"})
        assert [refused["reason"] for refused in world.data("publish.rejected")] == [reason]

    async def test_a_build_that_is_not_there(self, world: World) -> None:
        await world.request(imageBuild={"name": "gone", "namespace": "team-a"})
        (refused,) = world.data("publish.rejected")
        assert (refused["reason"], refused["name"]) == ("BuildNotFound", "gone")

    async def test_nobody_known_may_name_no_secret(self, world: World) -> None:
        world.push()
        await world.request(registryUrl=URL, authSecretRef={"name": "pull"})
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
        await world.request(registryUrl=URL, labels={f"{GROUP}/phase": "mine"})
        assert [refused["reason"] for refused in world.data("publish.rejected")] == ["Invalid"]

    @pytest.mark.parametrize(
        "labels", [{"team": "in for tainment"}, {"-team": "x"}, {"team": "x" * 64}], ids=["value", "key", "too long"]
    )
    async def test_labels_that_no_object_can_have_are_refused_before_anything_is_claimed(
        self, world: World, labels: dict[str, str]
    ) -> None:
        world.push()
        await world.request(registryUrl=URL, labels=labels)
        assert [refused["reason"] for refused in world.data("publish.rejected")] == ["Invalid"]
        assert not world.all("leases")

    async def test_a_namespace_that_is_not_there_is_refused(self, world: World) -> None:
        world.push()
        await world.request(registryUrl=URL, namespace="nowhere")
        assert [refused["reason"] for refused in world.data("publish.rejected")] == ["Invalid"]

    async def test_missing_blobs_are_refused_where_they_are_asked_for(self, world: World) -> None:
        sample = world.push()
        world.registry.store.delete_blob("acme/autosd", sample.blobs[1].digest)
        await world.request(registryUrl=URL, verifyBlobs=True)
        assert [refused["reason"] for refused in world.data("publish.rejected")] == ["BlobMissing"]
        assert not world.all("catalogimages")

    async def test_a_request_that_is_not_asked_to_verify_leaves_it_to_verify(self, world: World) -> None:
        await world.request(registryUrl=URL, verify=False)
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


class TestWhatIsInTheWay:
    async def test_the_entry_that_has_the_image_is_named(self, world: World) -> None:
        world.push()
        await world.request(registryUrl=URL, name="first")
        await world.request(registryUrl=URL, name="second", ifExists="fail")
        (rejected,) = world.data("publish.rejected")
        assert (rejected["reason"], rejected["name"]) == ("AlreadyExists", "second")
        assert rejected["existing"] == {"name": "first", "namespace": "team-a"}

    async def test_the_entry_that_has_the_name_is_named(self, world: World) -> None:
        world.push()
        world.push(tag="cs10")
        await world.request(registryUrl=URL, name="autosd")
        await world.request(registryUrl="quay.io/acme/autosd:cs10", name="autosd")
        (rejected,) = world.data("publish.rejected")
        assert (rejected["reason"], rejected["existing"]["name"]) == ("NameTaken", "autosd")

    async def test_a_new_entry_is_not_in_its_own_way_when_the_request_comes_again(self, world: World) -> None:
        world.push()
        data = {"namespace": "team-a", "registryUrl": URL, "ifExists": "fail", "verify": False}
        event = world.pipeline.event(EventType.PUBLISH_REQUESTED, data)
        answers = [await world.pipeline.deliver("publish", event) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [204, 204]
        assert [data["change"] for data in world.data("image.published")] == ["created", "created"]
        first, second = (e.id for e in world.pipeline.emitted)
        assert first == second, "whoever keeps ids sees it once"
        assert world.data("publish.rejected") == []

    async def test_what_happens_when_the_tag_moves_can_be_asked_for(self, world: World) -> None:
        world.push()
        await world.request(registryUrl=URL, driftPolicy="quarantine")
        assert world.image("autosd-cs9").spec.drift_policy == "quarantine"
        await world.request(registryUrl=URL, driftPolicy="follow")
        assert world.image("autosd-cs9").spec.drift_policy == "follow"
