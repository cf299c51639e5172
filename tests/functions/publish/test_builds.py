"""What becomes of builds that complete: entries, and refusals with their reasons."""

from __future__ import annotations

from typing import Any

import pytest

from image_catalog.config import PublishPolicy, Settings
from image_catalog.local.registry import SampleIndex
from image_catalog.models import format_time
from image_catalog.models.names import GROUP
from image_catalog.testing.cluster import Effect
from image_catalog.testing.pipeline import Delivery
from image_catalog.testing.registry_faults import server_error
from image_catalog.testing.world import World

pytestmark = pytest.mark.story

URL = "quay.io/acme/autosd:cs9"


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

    @pytest.mark.parametrize(
        "status",
        [
            {"conditions": [{"type": "Complete", "status": "True"}]},
            {"completionTime": "soon"},
            {"completionTime": "0001-01-01T00:00:00+05:00", "conditions": "none"},
        ],
        ids=["condition without reason and time", "time in words", "time before the year 1"],
    )
    async def test_what_another_operator_wrote_oddly_is_no_dead_letter(
        self, world: World, status: dict[str, Any]
    ) -> None:
        world.push()
        image = await world.complete(status=status)
        assert image is not None
        assert image.status.phase == "Available"
        assert not world.data("publish.rejected")
        assert {delivery.status for delivery in world.pipeline.deliveries} <= {200, 202, 204}

    @pytest.mark.parametrize(
        "spec",
        [{"pushSecretRef": "x" * 254}, {"export": {"container": f"quay.io/{'x' * 5000}"}}],
        ids=["Secret that no Secret can be", "reference without end"],
    )
    async def test_what_no_entry_can_hold_is_refused_and_no_dead_letter(
        self, world: World, spec: dict[str, Any]
    ) -> None:
        world.push()
        assert await world.complete(spec=spec) is None
        (refused,) = world.data("publish.rejected")
        assert refused["reason"] in {"Invalid", "InvalidReference"}
        assert {delivery.status for delivery in world.pipeline.deliveries} <= {200, 202, 204}

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

    async def test_what_the_api_server_refuses_to_keep_fails_the_entry(self, world: World) -> None:
        world.push()
        world.pipeline.cluster.fail(Effect.INVALID, verb="patch", subresource="status", actor="publish")
        image = await world.complete()
        assert image is not None
        assert (image.status.phase, world.says()["Available"]) == ("Failed", ("False", "ManifestInvalid"))
        assert image.status.registry_metadata is None
        assert world.pipeline.emitted_types() == ["image.published", "image.failed"]
        assert not world.pipeline.dead_letters

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
