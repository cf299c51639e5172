"""When a check is made and when it is not, what it costs, and what follows from it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from image_catalog.events import EventType
from image_catalog.local.registry import SampleArtifact, SampleIndex
from image_catalog.models.names import GROUP
from image_catalog.testing.registry_faults import rate_limited, server_error
from image_catalog.testing.world import World

pytestmark = pytest.mark.story

URL = "quay.io/acme/autosd:cs9"
SECOND = timedelta(seconds=1)
"""Stored times have no fractions."""


async def ask(world: World, **data: Any) -> None:
    """Ask for a verification at the broker's ingress and let everybody do their part."""
    world.pipeline.request(EventType.VERIFICATION_REQUESTED, {"namespace": "team-a", **data})
    await world.pipeline.drain()


class TestWhatItCosts:
    async def test_the_event_of_its_own_write_is_recognised_without_any_call(self, world: World) -> None:
        world.push()
        world.pipeline.apply(_manifest())
        await world.pipeline.deliver("verify", world.pipeline.discard()[-1])
        echoes = world.pipeline.discard()
        assert echoes
        world.pipeline.cluster.calls.clear()
        world.network.requests.clear()
        for echo in echoes:
            for function in ("verify", "cleanup"):
                assert (await world.pipeline.deliver(function, echo)).status_code in {204, 400}
        assert not world.pipeline.cluster.calls
        assert not world.network.requests

    async def test_the_events_of_a_publication_are_recognised_without_any_call(self, world: World) -> None:
        world.push()
        world.pipeline.apply(world.build())
        for event in world.pipeline.discard():
            await world.pipeline.deliver("publish", event)
        world.pipeline.cluster.calls.clear()
        await world.pipeline.drain()
        assert not world.pipeline.cluster.calls

    @pytest.mark.parametrize("pinned", [False, True], ids=["by tag", "pinned"])
    async def test_an_unchanged_image_costs_one_head(self, world: World, pinned: bool) -> None:  # noqa: FBT001 - a case
        sample = world.push()
        await world.add(url=URL, **({"digest": sample.digest} if pinned else {}))
        world.network.requests.clear()
        await world.pass_time(hours=1)
        assert [(r.method, r.url.path) for r in world.network.requests] == [("HEAD", "/v2/acme/autosd/manifests/cs9")]

    async def test_an_unchanged_image_costs_one_head_after_a_restart_too(self, world: World) -> None:
        world.push(SampleIndex())
        await world.add(url=URL)
        before = world.image().status.registry_metadata
        world.pipeline.restart("verify")
        world.network.requests.clear()
        await world.pass_time(hours=1)
        assert [request.method for request in world.network.requests] == ["HEAD"]
        after = world.image().status.registry_metadata
        assert after is not None
        assert before is not None
        assert after.platform_variants == before.platform_variants

    async def test_an_unchanged_check_writes_the_status_once(self, world: World) -> None:
        world.push()
        await world.add(url=URL)
        world.pipeline.cluster.calls.clear()
        await world.pass_time(hours=1)
        writes = [call.rule[1:] for call in world.pipeline.cluster.calls if call.verb == "patch"]
        assert writes == [("catalogimages/status", "patch")]

    async def test_a_first_check_of_an_index_reads_each_platform_once(self, world: World) -> None:
        world.push(SampleIndex())
        await world.add(url=URL)
        assert len(world.network.requests) == 1 + 2 * 2


class TestPushes:
    """A registry has told of a push: nothing is due, and nobody waits for an answer."""

    async def test_a_push_is_a_new_version_at_once(self, world: World) -> None:
        world.push("first")
        await world.add(url=URL)
        second = world.push("second")
        await ask(world, name="autosd", reason="registryPush")
        found = world.image().status.registry_metadata
        assert found is not None
        assert found.resolved_digest == second.digest
        assert world.data("image.published")[-1]["change"] == "version"
        assert not world.data("image.verified")

    async def test_a_push_of_nothing_new_costs_one_head_and_one_write(self, world: World) -> None:
        world.push()
        await world.add(url=URL)
        world.clock.advance(SECOND)
        told = len(world.pipeline.emitted)
        world.network.requests.clear()
        world.pipeline.cluster.calls.clear()
        await ask(world, name="autosd", reason="registryPush")
        assert [request.method for request in world.network.requests] == ["HEAD"]
        writes = [call.rule[1:] for call in world.pipeline.cluster.calls if call.verb == "patch"]
        assert writes == [("catalogimages/status", "patch")]
        assert len(world.pipeline.emitted) == told

    async def test_what_was_deleted_and_pushed_again_is_available_at_once(self, world: World) -> None:
        sample = world.push()
        await world.add(url=URL)
        world.registry.store.delete_tag("acme/autosd", "cs9")
        await ask(world, name="autosd", reason="registryPush")
        assert world.image().status.phase == "Unavailable"
        world.push(sample)
        await ask(world, name="autosd", reason="registryPush")
        assert world.image().status.phase == "Available"


class TestEdits:
    async def test_what_no_check_depends_on_moves_the_generation_alone(self, world: World) -> None:
        world.push()
        await world.add(url=URL)
        world.network.requests.clear()
        world.edit(spec={"tags": ["stable"], "metadata": {"distro": "cs9"}})
        await world.pipeline.drain()
        image = world.image()
        assert image.status.observed_generation == image.metadata.generation == 2
        assert image.metadata.labels[f"{GROUP}/distro"] == "cs9"
        assert not world.network.requests
        assert world.pipeline.emitted_types() == ["image.available"]

    async def test_a_shorter_interval_counts_at_once(self, world: World) -> None:
        world.push()
        await world.add(url=URL)
        world.edit(spec={"verificationInterval": "5m"})
        await world.pipeline.drain()
        due = world.image().status.next_verification_time
        assert due is not None
        assert due <= world.clock.now() + timedelta(minutes=5)

    async def test_another_reference_is_verified_before_anything_is_claimed_of_it(self, world: World) -> None:
        world.push()
        await world.add(url=URL)
        world.edit(spec={"registryUrl": "quay.io/acme/autosd:other"})
        world.pipeline.points.kill_when("manifests/other")
        seen: dict[str, tuple[str, str]] = {}

        async def look() -> None:
            seen.update(world.says())

        world.pipeline.cluster.before(look, verb="patch", subresource="status", actor="verify", nth=2)
        await world.pipeline.drain()
        assert seen["Available"] == seen["Ready"] == ("Unknown", "Verifying")
        assert world.says()["Available"] == ("False", "ImageNotFound")

    async def test_another_reference_leaves_the_old_claim_to_others(self, world: World) -> None:
        world.push()
        world.push("other", tag="other")
        await world.add("first", url=URL)
        world.edit("first", spec={"registryUrl": "quay.io/acme/autosd:other"})
        await world.pipeline.drain()
        world.clock.advance(timedelta(seconds=31))
        assert (await world.add("second", url=URL)).status.phase == "Available"
        assert world.image("first").status.phase == "Available"

    async def test_a_reference_that_is_taken_fails(self, world: World) -> None:
        world.push()
        world.push("other", tag="other")
        await world.add("first", url=URL)
        await world.add("second", url="quay.io/acme/autosd:other")
        world.edit("second", spec={"registryUrl": URL})
        await world.pipeline.drain()
        assert world.says("second")["Available"] == ("False", "DuplicateReference")


class TestSchedule:
    async def test_an_available_entry_is_due_within_its_interval_and_not_long_before(self, world: World) -> None:
        world.push()
        image = await world.add(url=URL, verificationInterval="10m")
        assert image.status.next_verification_time is not None
        wait = image.status.next_verification_time - world.clock.now()
        assert timedelta(minutes=5) - SECOND <= wait <= timedelta(minutes=10)
        assert image.status.next_verification_reason == "Interval"
        assert image.status.next_verification_message == "once in 10m"
        assert image.status.effective_verification_interval is None

    async def test_what_is_asked_for_by_digest_alone_is_looked_at_four_times_as_rarely(self, world: World) -> None:
        digest = world.push().digest
        image = await world.add(url=f"quay.io/acme/autosd@{digest}", verificationInterval="2h")
        assert image.status.next_verification_time is not None
        wait = image.status.next_verification_time - world.clock.now()
        assert timedelta(hours=4) - SECOND <= wait <= timedelta(hours=8)
        assert image.status.next_verification_reason == "DigestPinned"
        assert image.status.effective_verification_interval == "8h"

    async def test_a_pinned_tag_is_looked_at_each_interval(self, world: World) -> None:
        """That it moves is what its owner wants to hear of."""
        digest = world.push().digest
        image = await world.add(url=f"{URL}@{digest}", digest=digest)
        assert image.status.next_verification_reason == "Interval"

    async def test_failures_are_tried_again_ever_more_slowly_up_to_the_interval(self, world: World) -> None:
        await world.add(url=URL, verificationInterval="10m")
        for number in range(8):
            status = world.image().status
            assert status.verification_failures == number + 1
            assert status.next_verification_time is not None
            wait = status.next_verification_time - world.clock.now()
            expected = min(timedelta(seconds=30) * 2**number, timedelta(minutes=10))
            assert expected * 0.79 <= wait <= expected * 1.21
            assert status.next_verification_reason == "Backoff"
            await world.pass_time(minutes=13)
        assert world.pipeline.emitted_types().count("image.unavailable") == 1

    async def test_a_registry_that_names_a_time_is_left_alone_until_then(self, world: World) -> None:
        world.push()
        world.registry.fail(rate_limited(retry_after=timedelta(minutes=7)))
        image = await world.add(url=URL)
        assert image.status.next_verification_time is not None
        wait = image.status.next_verification_time - world.clock.now()
        assert timedelta(minutes=7) <= wait <= timedelta(minutes=8)
        assert image.status.next_verification_reason == "RateLimited"

    async def test_what_somebody_has_to_mend_is_looked_at_each_interval(self, world: World) -> None:
        image = await world.add(url="quay.io:99999/acme/os:1", verificationInterval="2h")
        assert image.status.next_verification_time is not None
        wait = image.status.next_verification_time - world.clock.now()
        assert timedelta(hours=1.8) <= wait <= timedelta(hours=2)

    async def test_an_interval_below_the_minimum_is_lengthened(self, world: World) -> None:
        world.push()
        image = await world.add(url=URL, verificationInterval="1s")
        assert image.status.next_verification_time is not None
        assert image.status.next_verification_time - world.clock.now() >= timedelta(seconds=30) - SECOND
        assert image.status.effective_verification_interval == "1m"

    async def test_a_check_whose_function_died_is_taken_over_after_its_deadline(self, world: World) -> None:
        world.push()
        world.pipeline.apply(_manifest())
        event = world.pipeline.discard()[-1]
        world.pipeline.points.kill_when("quay.io")
        with pytest.raises(BaseException, match=r"quay\.io"):
            await world.pipeline.deliver("verify", event)
        await world.pipeline.drain()
        assert world.image().status.phase == "Verifying"
        assert world.image().status.next_verification_reason == "Checking"
        await world.pass_time(minutes=3)
        assert world.image().status.phase == "Available"


class TestRequests:
    async def test_a_manual_request_is_answered_step_by_step(self, world: World) -> None:
        world.push()
        await world.add(url=URL)
        await ask(world, name="autosd")
        (answer,) = world.data("image.verified")
        assert (answer["phase"], answer["reason"]) == ("Available", "RegistryAccessible")
        assert [(step["name"], step["status"]) for step in answer["steps"]] == [
            ("Credentials", "skipped"),
            ("Registry accessibility", "ok"),
            ("Digest verification", "ok"),
            ("Metadata extraction", "ok"),
            ("Referrers", "ok"),
        ]
        assert world.pipeline.emitted_types() == ["image.available", "image.verified"]

    async def test_a_request_for_what_is_not_due_does_nothing(self, world: World) -> None:
        world.push()
        await world.add(url=URL)
        world.network.requests.clear()
        await ask(world, name="autosd", reason="due")
        assert not world.network.requests

    async def test_a_deep_request_asks_for_every_blob(self, world: World) -> None:
        sample = world.push()
        await world.add(url=URL)
        world.registry.store.delete_blob("acme/autosd", sample.blobs[1].digest)
        await ask(world, name="autosd", deep=True)
        assert world.says()["Available"] == ("False", "BlobMissing")

    async def test_an_entry_that_is_not_there_is_no_fault(self, world: World) -> None:
        await ask(world, name="gone")
        assert not world.pipeline.emitted
        assert not world.pipeline.dead_letters

    async def test_a_reference_without_an_entry_is_explained_and_nothing_written(self, world: World) -> None:
        sample = world.push()
        await ask(world, reference=URL)
        (answer,) = world.data("image.verified")
        assert (answer["phase"], answer["resolvedDigest"]) == ("Available", sample.digest)
        assert "name" not in answer
        assert not world.all("catalogimages")
        assert not world.all("leases")

    async def test_a_reference_that_does_not_work_is_explained_too(self, world: World) -> None:
        world.registry.fail(server_error())
        await ask(world, reference=URL)
        assert world.data("image.verified")[0]["reason"] == "RegistryError"
        await ask(world, reference="autosd")
        assert world.data("image.verified")[1]["reason"] == "InvalidReference"

    async def test_nobody_known_may_explain_with_a_secret(self, world: World) -> None:
        await ask(world, reference=URL, authSecretRef={"name": "pull"})
        assert world.data("image.verified")[0]["reason"] == "SecretForbidden"
        assert not world.pipeline.cluster.rules("verify") & {("", "secrets", "get")}

    async def test_a_known_caller_may(self, world: World) -> None:
        world.allow_secrets()
        token = world.pipeline.cluster.token("api", audiences=["image-catalog"])
        data = {"namespace": "team-a", "reference": URL, "authSecretRef": {"name": "pull"}, "actor": "jane"}
        event = world.pipeline.event(EventType.VERIFICATION_REQUESTED, data)
        answer = await world.pipeline.deliver(
            "verify", event, authorization=f"Bearer {token}", prefer="return=representation"
        )
        (outcome,) = json.loads(bytes(answer.body))["events"]
        assert (outcome["data"]["reason"], outcome["data"]["actor"]) == ("SecretNotFound", "jane")


async def test_an_entry_on_its_way_out_is_left_alone(world: World) -> None:
    world.push()
    world.pipeline.apply(_manifest(finalizers=["example.com/other"], deletionTimestamp="2026-01-01T00:00:00Z"))
    event = world.pipeline.discard()[-1]
    item = json.loads(event.data)
    item["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    deleted = world.pipeline.event(event.type, item, kind="CatalogImage")
    assert (await world.pipeline.deliver("verify", deleted)).status_code == 204
    assert not world.network.requests


async def test_artifacts_are_listed_with_their_partitions(world: World) -> None:
    artifact = SampleArtifact(target="rpi4")
    world.push(artifact)
    image = await world.add(url=URL)
    assert [(a.partition, a.format, a.digest) for a in image.status.artifact_refs] == [
        (part, "raw+gzip", blob.digest) for part, blob in zip(("boot", "system"), artifact.blobs[1:], strict=True)
    ]
    assert all(a.url.startswith("https://quay.io/v2/acme/autosd/blobs/sha256:") for a in image.status.artifact_refs)
    assert image.metadata.labels[f"{GROUP}/target"] == "rpi4"


def _manifest(**metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": f"{GROUP}/v1alpha1",
        "kind": "CatalogImage",
        "metadata": {"name": "autosd", "namespace": "team-a", **metadata},
        "spec": {"registryUrl": URL},
    }
