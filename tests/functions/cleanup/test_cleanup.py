"""A deleted entry goes, the world is told before it is gone, and its image stays away."""

from __future__ import annotations

from datetime import timedelta

import pytest

from image_catalog.cluster import CATALOG_IMAGE
from image_catalog.models.crds import crd_manifests
from image_catalog.models.names import FINALIZER, GROUP
from image_catalog.testing.cluster import Effect
from image_catalog.testing.pipeline_points import KilledError
from image_catalog.testing.world import World

pytestmark = pytest.mark.story

_LEASES = ("coordination.k8s.io", "leases")


def _removal_ids(world: World) -> set[str]:
    return {event.id for event in world.pipeline.emitted if event.type.endswith("removed")}


async def test_a_deleted_entry_leaves_a_tombstone_and_an_event(world: World) -> None:
    sample = world.push()
    await world.complete()
    await world.remove()
    assert world.entry() is None
    (removed,) = world.data("image.removed")
    assert (removed["name"], removed["digest"]) == ("autosd", sample.digest)
    (claim,) = world.all("leases")
    annotations = claim["metadata"]["annotations"]
    build = world.raw("imagebuilds", "autosd")
    assert build is not None
    assert annotations[f"{GROUP}/build-uid"] == build["metadata"]["uid"]
    assert f"{GROUP}/removed-at" in annotations


async def test_no_registry_is_asked(world: World) -> None:
    world.push()
    await world.complete()
    world.network.requests.clear()
    await world.remove()
    assert not world.network.requests


async def test_the_world_is_told_before_the_finalizer_goes(world: World) -> None:
    world.push()
    await world.complete()
    world.pipeline.ingress = lambda _: 503
    await world.remove()
    assert world.entry() is not None, "nobody could be told yet"
    world.pipeline.ingress = lambda _: 202
    world.pipeline.sweep()
    await world.pipeline.drain()
    assert world.entry() is None
    assert len(world.data("image.removed")) == 1


async def test_a_deletion_that_no_event_told_of_is_found_by_the_sweep(world: World) -> None:
    world.push()
    await world.complete()
    world.pipeline.sources_run = False
    await world.remove()
    world.pipeline.sources_run = True
    assert world.entry() is not None
    world.pipeline.sweep()
    await world.pipeline.drain()
    assert world.entry() is None
    assert len(world.data("image.removed")) == 1


async def test_a_sweep_reads_rows_and_of_entries_what_was_deleted_alone(world: World) -> None:
    world.push()
    await world.complete()
    for number in range(3):
        await world.add(f"v{number}", url=f"quay.io/acme/autosd:v{number}")
    world.pipeline.sources_run = False
    await world.remove("v1")
    world.pipeline.cluster.calls.clear()
    await world.pipeline.deliver("cleanup", world.pipeline.sweep())
    read = [
        call for call in world.pipeline.cluster.calls if call.actor == "cleanup" and call.resource == "catalogimages"
    ]
    assert [(call.verb, call.name) for call in read] == [("list", ""), ("get", "v1"), ("patch", "v1")]
    assert world.entry("v1") is None


async def test_rows_of_an_older_kind_say_nothing_of_deletions_and_the_entries_do(world: World) -> None:
    crd = crd_manifests()["catalogimages.yaml"]
    (version,) = crd["spec"]["versions"]
    columns = [column for column in version["additionalPrinterColumns"] if column["name"] != "Deleted"]
    older = {**version, "additionalPrinterColumns": columns}
    world.pipeline.apply({**crd, "spec": {**crd["spec"], "versions": [older]}})
    world.push()
    await world.complete()
    world.pipeline.sources_run = False
    await world.remove()
    await world.pipeline.deliver("cleanup", world.pipeline.sweep())
    assert world.entry() is None


async def test_the_finalizers_of_others_are_left_to_them(world: World) -> None:
    world.push()
    await world.complete()
    world.edit(metadata={"finalizers": [FINALIZER, "example.com/backup"]})
    await world.remove()
    assert world.image().metadata.finalizers == ["example.com/backup"]
    assert len(world.data("image.removed")) == 1


async def test_an_entry_that_had_no_finalizer_is_told_of_too(world: World) -> None:
    world.pipeline.apply(world.entry_manifest("autosd", "quay.io/acme/autosd:cs9"))
    world.pipeline.discard()
    await world.remove()
    assert [data["name"] for data in world.data("image.removed")] == ["autosd"]
    assert len(world.all("leases")) == 1


async def test_an_entry_whose_finalizer_somebody_tore_off_is_told_of_and_buried(world: World) -> None:
    world.push()
    await world.complete()
    await world.pipeline.cluster.api("person").delete(CATALOG_IMAGE, "autosd", "team-a")
    world.pipeline.discard()
    world.edit(metadata={"finalizers": []})
    assert world.entry() is None
    await world.pipeline.drain()
    assert len(world.data("image.removed")) == 1
    (claim,) = world.all("leases")
    assert f"{GROUP}/removed-at" in claim["metadata"]["annotations"]


async def test_a_late_event_of_a_deletion_does_not_bury_what_came_back(world: World) -> None:
    world.push()
    await world.complete()
    await world.pipeline.cluster.api("person").delete(CATALOG_IMAGE, "autosd", "team-a")
    late = world.pipeline.discard()[-1]
    await world.pipeline.deliver("cleanup", late)
    await world.pipeline.drain()
    world.clock.advance(timedelta(minutes=1))
    assert (await world.add()).status.phase == "Available"
    assert (await world.pipeline.deliver("cleanup", late)).status_code == 204
    (claim,) = world.all("leases")
    assert f"{GROUP}/removed-at" not in claim["metadata"]["annotations"]
    assert len(_removal_ids(world)) == 1


async def test_a_duplicate_that_goes_leaves_the_claim_to_its_holder(world: World) -> None:
    world.push()
    await world.add("first")
    await world.add("second")
    await world.remove("second")
    assert world.entry("second") is None
    (claim,) = world.all("leases")
    assert claim["spec"]["holderIdentity"] == "first"
    assert f"{GROUP}/removed-at" not in claim["metadata"]["annotations"]


async def test_an_entry_whose_reference_was_never_one_goes(world: World) -> None:
    await world.add(url="quay.io:99999/acme/os:1")
    await world.remove()
    assert world.entry() is None
    assert len(_removal_ids(world)) == 1


async def test_nothing_that_a_terminating_namespace_refuses_blocks_the_deletion(world: World) -> None:
    world.push()
    await world.complete()
    (claim,) = world.all("leases")
    world.pipeline.cluster.server.store.remove(_LEASES, ("team-a", claim["metadata"]["name"]))
    world.pipeline.cluster.fail(Effect.FORBIDDEN, verb="create", resource="leases", actor="cleanup", times=20)
    await world.remove()
    assert world.entry() is None
    assert len(_removal_ids(world)) == 1


async def test_a_whole_namespace_goes(world: World) -> None:
    world.push()
    await world.complete()
    namespace = world.raw("namespaces", "team-a", namespace="")
    assert namespace is not None
    dying = {**namespace, "status": {"phase": "Terminating"}}
    dying["metadata"] = {**namespace["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}
    world.pipeline.cluster.server.store.put(("", "namespaces"), ("", "team-a"), dying)
    (claim,) = world.all("leases")
    world.pipeline.cluster.server.store.remove(_LEASES, ("team-a", claim["metadata"]["name"]))
    await world.remove()
    assert world.entry() is None
    assert len(world.data("image.removed")) == 1
    assert not world.pipeline.dead_letters


async def test_expired_tombstones_are_purged_and_others_kept(world: World) -> None:
    world.push()
    world.push(tag="other")
    await world.add("old")
    await world.remove("old")
    world.clock.advance(timedelta(days=29))
    await world.add("new", url="quay.io/acme/autosd:other")
    await world.remove("new")
    world.clock.advance(timedelta(days=2))
    world.pipeline.sweep()
    await world.pipeline.drain()
    (claim,) = world.all("leases")
    assert claim["spec"]["holderIdentity"] == "new"


async def test_the_id_of_a_removal_is_the_same_whatever_told_of_it(world: World) -> None:
    world.push()
    await world.complete()
    await world.pipeline.cluster.api("person").delete(CATALOG_IMAGE, "autosd", "team-a")
    update = world.pipeline.discard()[-1]
    world.pipeline.points.kill_when("after cleanup: emits")
    with pytest.raises(KilledError):
        await world.pipeline.deliver("cleanup", update)
    world.pipeline.sweep()
    await world.pipeline.drain()
    assert len(world.data("image.removed")) == 2
    assert len(_removal_ids(world)) == 1


async def test_a_living_entry_is_left_alone(world: World) -> None:
    world.push()
    await world.complete()
    item = world.raw("catalogimages", "autosd")
    assert item is not None
    event = world.pipeline.event("dev.knative.apiserver.resource.update", item, kind="CatalogImage")
    world.pipeline.cluster.calls.clear()
    assert (await world.pipeline.deliver("cleanup", event)).status_code == 204
    assert not world.pipeline.cluster.calls


async def test_an_event_that_is_older_than_the_object_removes_nothing(world: World) -> None:
    """A deletion that the object does not confirm: a forged event, or one of an entry of the same name before."""
    world.push()
    image = await world.complete()
    assert image is not None
    item = world.raw("catalogimages", "autosd")
    assert item is not None
    forged = {**item, "metadata": {**item["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}}
    event = world.pipeline.event("dev.knative.apiserver.resource.update", forged, kind="CatalogImage")
    assert (await world.pipeline.deliver("cleanup", event)).status_code == 204
    assert world.image() == image


async def test_an_image_can_be_added_again_when_its_entry_lived_less_than_a_second(world: World) -> None:
    world.push()
    world.clock.advance(timedelta(milliseconds=400))
    await world.add("first")
    world.clock.advance(timedelta(milliseconds=200))
    await world.remove("first")

    await world.request(name="second", registryUrl="quay.io/acme/autosd:cs9")
    assert world.image("second").status.phase == "Available"
