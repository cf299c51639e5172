"""Which tool has set which field of a custom resource."""

from __future__ import annotations

from typing import Any

import pytest

from image_catalog.local.kubernetes import Cluster
from image_catalog.testing.clock import StillClock
from image_catalog.testing.kubernetes_requests import KubernetesRequests

WIDGETS = "/apis/test.example.com/v1/namespaces/team/widgets"


async def make(ask: KubernetesRequests) -> None:
    """Create a widget with one tool."""
    body = {
        "apiVersion": "test.example.com/v1",
        "kind": "Widget",
        "metadata": {"name": "a", "labels": {"x": "1"}},
        "spec": {"url": "u", "tags": ["a"]},
    }
    assert (await ask("POST", f"{WIDGETS}?fieldManager=creator", body)).status_code == 201


async def managers(ask: KubernetesRequests) -> dict[tuple[str, str | None], Any]:
    """Return the fields by manager and subresource."""
    metadata = (await ask("GET", f"{WIDGETS}/a")).json()["metadata"]
    return {(entry["manager"], entry.get("subresource")): entry["fieldsV1"] for entry in metadata["managedFields"]}


async def test_each_field_is_of_who_set_it_last(ask: KubernetesRequests, clock: StillClock) -> None:
    await make(ask)
    clock.advance(minutes=1)
    patch = {"metadata": {"labels": {"y": "2"}}, "spec": {"tags": ["b"]}}
    await ask("PATCH", f"{WIDGETS}/a?fieldManager=editor", patch)
    await ask("PATCH", f"{WIDGETS}/a/status?fieldManager=editor", {"status": {"phase": "Done"}})
    assert await managers(ask) == {
        ("creator", None): {"f:metadata": {"f:labels": {"f:x": {}}}, "f:spec": {"f:mode": {}, "f:url": {}}},
        ("editor", None): {"f:metadata": {"f:labels": {"f:y": {}}}, "f:spec": {"f:tags": {}}},
        ("editor", "status"): {"f:status": {"f:phase": {}}},
    }
    entries = (await ask("GET", f"{WIDGETS}/a")).json()["metadata"]["managedFields"]
    assert [entry["time"] for entry in entries] == ["2026-01-01T12:00:00Z", *["2026-01-01T12:01:00Z"] * 2]


async def test_a_field_that_goes_is_nobodys(ask: KubernetesRequests) -> None:
    await make(ask)
    await ask("PATCH", f"{WIDGETS}/a?fieldManager=editor", {"metadata": {"labels": None}, "spec": {"tags": None}})
    assert await managers(ask) == {("creator", None): {"f:spec": {"f:mode": {}, "f:url": {}}}}


@pytest.mark.parametrize(
    ("agent", "manager"),
    [("kubectl/v1.30.1 (linux/amd64)", "kubectl"), ("image-catalog-verify", "image-catalog-verify")],
)
async def test_who_does_not_say_is_called_by_its_user_agent(ask: KubernetesRequests, agent: str, manager: str) -> None:
    await make(ask)
    await ask("PATCH", f"{WIDGETS}/a", {"spec": {"url": "v"}}, headers={"User-Agent": agent})
    assert (await managers(ask))[manager, None] == {"f:spec": {"f:url": {}}}


async def test_what_changes_nothing_changes_no_manager(ask: KubernetesRequests) -> None:
    await make(ask)
    before = (await ask("GET", f"{WIDGETS}/a")).json()
    sent = {**before, "metadata": {key: before["metadata"][key] for key in ("name", "labels", "resourceVersion")}}
    assert (await ask("PUT", f"{WIDGETS}/a?fieldManager=other", sent)).json() == before


async def test_a_manager_that_says_of_no_field_has_none(cluster: Cluster, ask: KubernetesRequests) -> None:
    await make(ask)
    bucket, key = ("test.example.com", "widgets"), ("team", "a")
    stored = cluster.store.bucket(bucket).get(key)
    assert stored is not None
    told = [{"manager": "importer", "operation": "Update", "fieldsType": "FieldsV1"}]
    cluster.store.put(bucket, key, {**stored.body, "metadata": {**stored.body["metadata"], "managedFields": told}})

    answer = await ask("PATCH", f"{WIDGETS}/a?fieldManager=editor", {"spec": {"url": "v"}})

    assert answer.status_code == 200
    assert await managers(ask) == {("editor", None): {"f:spec": {"f:url": {}}}}
