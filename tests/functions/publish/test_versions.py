"""An image built again is a new version, with its recipe and without the one before."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from image_catalog.models import format_time
from image_catalog.models.names import GROUP
from image_catalog.testing.world import World

pytestmark = pytest.mark.story

URL = "quay.io/acme/autosd:cs9"


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

    async def test_a_completion_that_has_not_come_yet_shuts_out_no_later_build(self, world: World) -> None:
        world.push()
        await world.complete("first", status={"completionTime": format_time(world.clock.now() + timedelta(days=365))})
        world.clock.advance(timedelta(hours=1))
        new = world.push("another")
        await world.complete("second")
        assert world.image("first").spec.digest == new.digest
        assert not world.data("publish.rejected")

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
        await world.request(registryUrl=URL)
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
