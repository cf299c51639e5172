"""What an entry is found by: its labels, its claim, and whose word they go by."""

from __future__ import annotations

import pytest

from image_catalog.models.names import FINALIZER, GROUP
from image_catalog.testing.world import World

pytestmark = pytest.mark.story

URL = "quay.io/acme/autosd:cs9"


async def test_an_entry_gets_finalizer_labels_and_a_claim(world: World) -> None:
    world.push()
    image = await world.add(url=URL, metadata={"distro": "autosd", "targets": [{"name": "rpi4"}, {"name": "qemu"}]})
    assert FINALIZER in image.metadata.finalizers
    labels = image.metadata.labels
    assert labels[f"{GROUP}/registry-type"] == "quay"
    assert labels[f"{GROUP}/distro"] == "autosd"
    assert labels[f"{GROUP}/target"] == "rpi4"
    assert labels[f"target.{GROUP}/rpi4"] == labels[f"target.{GROUP}/qemu"] == "true"
    assert labels[f"{GROUP}/architecture"] == "arm64"
    (claim,) = world.all("leases")
    assert claim["spec"]["holderIdentity"] == "autosd"
    assert labels[f"{GROUP}/reference-hash"] == claim["metadata"]["labels"][f"{GROUP}/reference-hash"]


async def test_labels_of_a_target_that_went_go_and_others_stay(world: World) -> None:
    world.push()
    await world.add(url=URL, metadata={"targets": [{"name": "rpi4"}, {"name": "qemu"}]})
    labels = world.image().metadata.labels
    world.edit(metadata={"labels": {**labels, "mine": "yes"}}, spec={"metadata": {"targets": [{"name": "qemu"}]}})
    await world.pipeline.drain()
    labels = world.image().metadata.labels
    assert f"target.{GROUP}/rpi4" not in labels
    assert (labels[f"{GROUP}/target"], labels["mine"]) == ("qemu", "yes")


async def test_an_entry_that_was_made_by_hand_is_found_as_such(world: World) -> None:
    world.push()
    image = await world.add(url=URL)
    assert image.metadata.labels[f"{GROUP}/source-type"] == "external"


@pytest.mark.parametrize("kind", ["openshift-internal", "generic"])
@pytest.mark.parametrize("by", ["publish", "verify"])
async def test_an_administrators_word_about_a_registry_becomes_the_label_and_stays_it(
    world: World, kind: str, by: str
) -> None:
    world.push()
    world.pipeline.apply(
        {
            "apiVersion": f"{GROUP}/v1alpha1",
            "kind": "CatalogRegistry",
            "metadata": {"name": "quay"},
            "spec": {"host": "quay.io", "type": kind},
        }
    )
    await (world.complete() if by == "publish" else world.add(url=URL))
    assert world.image().metadata.labels[f"{GROUP}/registry-type"] == kind
    world.edit(spec={"tags": ["stable"]})
    await world.pipeline.drain()
    await world.pass_time(hours=1)
    assert world.image().metadata.labels[f"{GROUP}/registry-type"] == kind
