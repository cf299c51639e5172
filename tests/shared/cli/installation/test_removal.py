from __future__ import annotations

from typing import Any

import pytest

from image_catalog.cli.installation import NAMESPACE, Removal, carry_out, plan_removal
from image_catalog.cli.installation.kinds import CRD
from image_catalog.cluster import CATALOG_IMAGE, LEASE, KubernetesAPI
from image_catalog.errors import WriteConflictError
from image_catalog.models.names import API_VERSION, FINALIZER, LABEL_REFERENCE_HASH
from image_catalog.testing.cluster import Effect, InProcessCluster

_OTHERS = "example.com/keep"


@pytest.fixture
def api(cluster: InProcessCluster) -> KubernetesAPI:
    """Return the cluster with two entries, of which one has a finalizer of somebody else's, too."""
    for name, finalizers in (("one", [FINALIZER]), ("two", [_OTHERS, FINALIZER]), ("three", [])):
        cluster.server.apply(_entry(name, "team-a", finalizers))
    cluster.server.apply(
        {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": "catalogimage-1", "namespace": "team-a", "labels": {LABEL_REFERENCE_HASH: "1"}},
        }
    )
    return cluster.api("administrator")


def _entry(name: str, namespace: str, finalizers: list[str]) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "CatalogImage",
        "metadata": {"name": name, "namespace": namespace, "finalizers": finalizers},
        "spec": {"registryUrl": f"quay.io/org/{name}:1"},
    }


async def _finalizers(api: KubernetesAPI) -> dict[str, list[str]]:
    entries = await api.list_all(CATALOG_IMAGE)
    return {entry["metadata"]["name"]: entry["metadata"].get("finalizers", []) for entry in entries}


async def _uninstall(
    api: KubernetesAPI, *, everything: bool = False, entries: bool = False
) -> tuple[Removal, list[str]]:
    told: list[str] = []
    plan = await plan_removal(api, everything=everything, entries=entries)
    await carry_out(api, plan, told.append)
    return plan, told


async def test_a_plan_changes_nothing(cluster: InProcessCluster, api: KubernetesAPI) -> None:
    plan = await plan_removal(api, everything=True, entries=True)
    assert plan.held
    assert plan.removed
    assert {call.verb for call in cluster.calls} <= {"get", "list"}


async def test_what_writes_is_stopped_before_finalizers_go_and_entries_stay(
    cluster: InProcessCluster, api: KubernetesAPI
) -> None:
    await _uninstall(api)
    assert await _finalizers(api) == {"one": [], "two": [_OTHERS], "three": []}
    written = [call for call in cluster.calls if call.verb in {"delete", "patch"}]
    first = next(i for i, call in enumerate(written) if call.verb == "patch")
    # Had verify still listened, it would have put them back.
    stopped = [(call.resource, call.name) for call in written[:first]]
    assert {("triggers", "verify"), ("services", "verify"), ("apiserversources", "catalogimages")} <= set(stopped)
    assert stopped[0][0] == "triggers"
    assert not [call for call in written[first:] if call.verb == "delete"]


async def test_the_rest_goes_when_it_is_asked_for_and_the_namespace_last(api: KubernetesAPI) -> None:
    _, told = await _uninstall(api, everything=True)
    assert told[-1] == f"deleted namespace/{NAMESPACE}"
    assert {"deleted clusterrole/image-catalog-verify", f"deleted broker/image-catalog in {NAMESPACE}"} <= set(told)
    assert set(await _finalizers(api)) == {"one", "two", "three"}
    assert await api.list_all(LEASE, "team-a")


async def test_what_an_overlay_of_somebodys_own_has_added_goes_by_its_label(
    cluster: InProcessCluster, api: KubernetesAPI
) -> None:
    policies = [_policy("ours", part_of="image-catalog"), _policy("theirs", part_of="something-else")]
    for policy in policies:
        cluster.server.apply(policy)
    _, told = await _uninstall(api, everything=True)
    assert [line for line in told if "networkpolicy" in line] == [f"deleted networkpolicy/ours in {NAMESPACE}"]


def _policy(name: str, *, part_of: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": NAMESPACE, "labels": {"app.kubernetes.io/part-of": part_of}}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": {}}


async def test_entries_go_only_when_that_is_asked_for(api: KubernetesAPI) -> None:
    cleared = await _uninstall(api, everything=True, entries=True)
    assert cleared[0].entries == 3
    assert cleared[1][-4:] == [
        "deleted lease/catalogimage-1 in team-a",
        "deleted customresourcedefinition/catalogimages.automotive.sdv.cloud.redhat.com",
        "deleted customresourcedefinition/catalogregistries.automotive.sdv.cloud.redhat.com",
        f"deleted namespace/{NAMESPACE}",
    ]
    assert not await api.list_all(LEASE, "team-a")


async def test_a_namespace_with_entries_in_it_stays(cluster: InProcessCluster, api: KubernetesAPI) -> None:
    cluster.server.apply(_entry("inside", NAMESPACE, []))
    plan, told = await _uninstall(api, everything=True)
    assert f"deleted namespace/{NAMESPACE}" not in told
    assert plan.notes == [f"namespace {NAMESPACE} stays: there are entries in it"]


async def test_a_second_time_there_is_nothing_to_do(api: KubernetesAPI) -> None:
    await _uninstall(api)
    plan = await plan_removal(api, everything=False, entries=False)
    assert plan.is_empty


async def test_an_entry_that_is_being_deleted_goes_with_its_finalizer(api: KubernetesAPI) -> None:
    await api.delete(CATALOG_IMAGE, "one", "team-a")
    assert "one" in await _finalizers(api)
    await _uninstall(api)
    assert "one" not in await _finalizers(api)


async def test_an_entry_that_cannot_be_read_is_let_go_all_the_same(
    cluster: InProcessCluster, api: KubernetesAPI
) -> None:
    cluster.store_unchecked(CATALOG_IMAGE, "one", "team-a", {"status": {"sourceImageBuild": "nightly-42"}})
    await _uninstall(api)
    assert (await _finalizers(api))["one"] == []


async def test_who_writes_at_the_same_time_is_asked_again_and_not_for_ever(
    cluster: InProcessCluster, api: KubernetesAPI
) -> None:
    cluster.fail(Effect.CONFLICT, verb="patch", resource="catalogimages", name="one", times=2)
    await _uninstall(api)
    assert (await _finalizers(api))["one"] == []
    cluster.server.apply(_entry("one", "team-a", [FINALIZER]))
    cluster.fail(Effect.CONFLICT, verb="patch", resource="catalogimages", name="one", times=100)
    with pytest.raises(WriteConflictError):
        await _uninstall(api)


async def test_a_cluster_without_the_catalog_has_nothing_to_take_away() -> None:
    async with InProcessCluster() as cluster:
        api = cluster.api("administrator")
        for name in ("catalogimages", "catalogregistries"):
            await api.delete(CRD, f"{name}.automotive.sdv.cloud.redhat.com")
        plan = await plan_removal(api, everything=True, entries=True)
    assert plan.is_empty
    # Knative's kinds are not there at all, which is worth a word.
    assert any(note.startswith("triggers cannot be listed") for note in plan.notes)
