"""What a person wrote, what a build says and what the registry says, in one entry."""

from __future__ import annotations

from datetime import timedelta

import pytest

from image_catalog.cluster import AUDIENCE
from image_catalog.events import EventType
from image_catalog.local.registry import SampleImage
from image_catalog.models.names import GROUP
from image_catalog.testing.world import NAMESPACE, World

pytestmark = pytest.mark.story

URL = "quay.io/acme/autosd:cs9"


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
        await world.request(registryUrl=URL)
        assert world.image("autosd-cs9").metadata.labels[f"{GROUP}/architecture"] == "arm64"
        world.clock.advance(timedelta(hours=1))
        world.push(SampleImage(architecture="amd64"))
        await world.request(registryUrl=URL)
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
        said = {
            "registryUrl": URL,
            "namespace": NAMESPACE,
            "metadata": {"targets": [{"name": "qemu", "verified": True}]},
        }
        # Who says it must be known, as whoever asks at the API is.
        token = world.pipeline.cluster.token("api", audiences=[AUDIENCE])
        event = world.pipeline.event(EventType.PUBLISH_REQUESTED, {**said, "actor": "lab"})
        await world.pipeline.deliver("publish", event, authorization=f"Bearer {token}")
        image = world.image()
        assert image.spec.metadata is not None
        assert [(t.name, t.verified) for t in image.spec.metadata.targets] == [("qemu", True)]
        assert [(t.name, t.verified, t.tested) for t in image.status.targets] == [("qemu", True, False)]

    async def test_another_operating_system_may_be_said_later(self, world: World) -> None:
        world.push()
        await world.request(registryUrl=URL)
        await world.request(registryUrl=URL, metadata={"os": "qnx"})
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
        await world.request(registryUrl=URL)
        meta = world.image("autosd-cs9").spec.metadata
        assert meta is not None
        assert (meta.architecture, meta.distro, [t.name for t in meta.targets]) == ("arm64", "cs9", ["ride4"])
