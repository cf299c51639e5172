"""An entry that says something else than the registry: what is labelled, shown and told at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from image_catalog.catalog.index import Index, Query
from image_catalog.events import EventType
from image_catalog.local.registry import SampleImage, SampleIndex
from image_catalog.models import CatalogImage
from image_catalog.models.names import ANNOTATION_METADATA_OVERRIDE, GROUP
from image_catalog.testing.pipeline import PipelineFunction
from image_catalog.testing.world import NAMESPACE, World, running_world
from image_catalog_functions.publish import main as publish

pytestmark = pytest.mark.story

URL = "quay.io/acme/autosd:cs9"
MULTI = SampleIndex((SampleImage(architecture="arm64"), SampleImage(architecture="amd64")))


def found_as(world: World, architecture: str) -> bool:
    """Return whether a list of one architecture has the entry."""
    index = Index()
    for image in world.all("catalogimages"):
        index.put(image)
    return bool(index.find(Query(architecture=architecture)).entries)


def shown(image: CatalogImage) -> tuple[str | None, str | None, set[str]]:
    """Return the architecture of the tables, of the label, and those that have a label of their own."""
    effective, labels = image.status.effective_metadata, image.metadata.labels
    own = {key.partition("/")[2] for key in labels if key.startswith(f"architecture.{GROUP}/")}
    return effective.architecture if effective else None, labels.get(f"{GROUP}/architecture"), own


def warnings(world: World, event_type: str) -> list[str]:
    return [step["message"] for step in world.data(event_type)[-1]["steps"] if step["status"] == "warning"]


async def published(world: World, by: str, **metadata: Any) -> CatalogImage:
    if by == "request":
        await world.request(registryUrl=URL, name="autosd", metadata=metadata)
    elif by == "build":
        await world.complete(spec=metadata)
    else:
        await world.add(url=URL, metadata=metadata)
    return world.image()


async def verified(world: World) -> None:
    world.pipeline.request(EventType.VERIFICATION_REQUESTED, {"namespace": NAMESPACE, "name": "autosd"})
    await world.pipeline.drain()


@pytest.mark.parametrize("by", ["request", "build", "hand"])
async def test_label_table_and_search_go_by_the_registry(world: World, by: str) -> None:
    world.push(SampleImage(architecture="amd64"))
    image = await published(world, by, architecture="arm64")
    assert image.spec.metadata is not None
    assert image.spec.metadata.architecture == "arm64", "what somebody typed stays"
    assert shown(image) == ("amd64", "amd64", {"amd64"})
    assert found_as(world, "amd64")
    assert not found_as(world, "arm64")


async def test_a_publication_labels_without_waiting_for_a_check(tmp_path: Path) -> None:
    async with running_world([PipelineFunction.of(publish)], tmp_path) as world:
        world.push(SampleImage(architecture="amd64"))
        image = await published(world, "request", architecture="arm64")
        assert shown(image) == ("amd64", "amd64", {"amd64"})
        world.push(MULTI)
        assert shown(await published(world, "request")) == ("arm64,amd64", "arm64", {"arm64", "amd64"})


async def test_a_contradiction_is_a_step_of_its_own_with_both_values(world: World) -> None:
    world.push(SampleImage(architecture="amd64"))
    await published(world, "request", architecture="arm64")
    told = ["architecture is arm64, the registry says amd64; the registry's word counts"]
    assert warnings(world, "image.published") == told
    await published(world, "request", architecture="arm64")
    assert world.data("image.published")[-1]["change"] == "unchanged"
    assert warnings(world, "image.published") == told


async def test_a_check_that_somebody_asked_for_tells_the_contradiction_too(world: World) -> None:
    world.push(SampleImage(architecture="amd64"))
    await published(world, "hand", architecture="arm64")
    await verified(world)
    told = "architecture is arm64, the registry says amd64; the registry's word counts"
    assert warnings(world, "image.verified") == [told]
    world.edit(metadata={"annotations": {ANNOTATION_METADATA_OVERRIDE: "true"}})
    await verified(world)
    told = "architecture is arm64, the registry says amd64; the entry's word counts, as its annotation asks"
    assert warnings(world, "image.verified") == [told]


async def test_an_image_that_says_the_same_has_no_warning(world: World) -> None:
    world.push()
    await published(world, "request", architecture="aarch64")
    assert warnings(world, "image.published") == []


async def test_the_mark_that_lets_a_persons_word_count_moves_label_and_table_at_once(world: World) -> None:
    world.push(SampleImage(architecture="amd64"))
    await published(world, "request", architecture="arm64")
    asked = len(world.network.requests)
    world.edit(metadata={"annotations": {ANNOTATION_METADATA_OVERRIDE: "true"}})
    await world.pipeline.drain()
    assert shown(world.image()) == ("arm64", "arm64", {"arm64"})
    assert found_as(world, "arm64")
    world.edit(metadata={"annotations": {ANNOTATION_METADATA_OVERRIDE: "false"}})
    await world.pipeline.drain()
    assert shown(world.image()) == ("amd64", "amd64", {"amd64"})
    assert len(world.network.requests) == asked


async def test_an_override_survives_the_next_publication(world: World) -> None:
    world.push(SampleImage(architecture="amd64"))
    await published(world, "request", architecture="arm64")
    world.edit(metadata={"annotations": {ANNOTATION_METADATA_OVERRIDE: "true"}})
    await published(world, "request", architecture="arm64", distro="cs9")
    assert shown(world.image()) == ("arm64", "arm64", {"arm64"})


@pytest.mark.parametrize("by", ["request", "hand"])
@pytest.mark.parametrize(
    ("said", "text", "first"),
    [({}, "arm64,amd64", "arm64"), ({"architecture": "x86_64"}, "amd64,arm64", "amd64")],
    ids=["nothing said", "one named"],
)
async def test_a_multi_arch_image_is_labelled_and_shown_with_each_architecture(
    world: World, by: str, said: dict[str, str], text: str, first: str
) -> None:
    world.push(MULTI)
    image = await published(world, by, **said)
    assert shown(image) == (text, first, {"arm64", "amd64"})
    assert found_as(world, "arm64")
    assert found_as(world, "amd64")


async def test_a_version_for_another_architecture_takes_the_labels_along(world: World) -> None:
    world.push(MULTI)
    await published(world, "request")
    world.push(SampleImage(architecture="amd64"))
    await published(world, "request")
    assert shown(world.image()) == ("amd64", "amd64", {"amd64"})


async def test_an_entry_whose_registry_was_never_reached_is_shown_as_it_was_typed(world: World) -> None:
    world.take_down()
    image = await world.add(url=URL, metadata={"architecture": "x86_64", "distro": "cs9"})
    assert shown(image) == ("amd64", "amd64", {"amd64"})
    assert image.metadata.namespace == NAMESPACE
