"""Deletions, and what follows from them."""

from __future__ import annotations

from typing import Any

import pytest

from image_catalog.testing.kubernetes_requests import KubernetesRequests

WIDGETS = "/apis/test.example.com/v1/namespaces/team/widgets"
CONFIG_MAPS = "/api/v1/namespaces/team/configmaps"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


async def owner(ask: KubernetesRequests, name: str = "owner") -> dict[str, Any]:
    body = {"apiVersion": "test.example.com/v1", "kind": "Widget", "metadata": {"name": name}, "spec": {"url": "u"}}
    made = (await ask("POST", WIDGETS, body)).json()
    return {"apiVersion": "test.example.com/v1", "kind": "Widget", "name": name, "uid": made["metadata"]["uid"]}


async def owned(ask: KubernetesRequests, name: str, *owners: dict[str, Any], **metadata: Any) -> None:
    body = {"metadata": {"name": name, "ownerReferences": list(owners), **metadata}}
    assert (await ask("POST", CONFIG_MAPS, body)).status_code == 201


async def left(ask: KubernetesRequests, path: str = CONFIG_MAPS) -> list[str]:
    return [item["metadata"]["name"] for item in (await ask("GET", path)).json()["items"]]


async def test_dependents_go_with_their_last_owner(ask: KubernetesRequests) -> None:
    first, second = await owner(ask), await owner(ask, "second")
    await owned(ask, "of-one", first)
    await owned(ask, "of-both", first, second)
    await ask("DELETE", f"{WIDGETS}/owner")
    assert await left(ask) == ["of-both"]
    await ask("DELETE", f"{WIDGETS}/second")
    assert await left(ask) == []


async def test_a_dependent_of_an_owner_that_never_was_goes(ask: KubernetesRequests) -> None:
    reference = await owner(ask)
    await owned(ask, "wrong-uid", {**reference, "uid": "other"})
    await owned(ask, "unknown-kind", {**reference, "kind": "Nope"})
    assert await left(ask) == []


async def test_orphans_lose_their_owner_and_stay(ask: KubernetesRequests) -> None:
    await owned(ask, "dependent", await owner(ask))
    answer = await ask("DELETE", f"{WIDGETS}/owner", {"propagationPolicy": "Orphan"})
    assert answer.json()["metadata"]["finalizers"] == ["orphan"]
    assert (await ask("GET", f"{WIDGETS}/owner")).status_code == 404
    dependent = (await ask("GET", f"{CONFIG_MAPS}/dependent")).json()
    assert "ownerReferences" not in dependent["metadata"]


async def test_foreground_deletion_takes_the_dependents_first(ask: KubernetesRequests) -> None:
    await owned(ask, "dependent", await owner(ask))
    async with ask.watch(f"{WIDGETS}?watch=true&resourceVersion=0") as watch:
        await watch.event()
        answer = await ask("DELETE", f"{WIDGETS}/owner?propagationPolicy=Foreground")
        assert answer.json()["metadata"]["finalizers"] == ["foregroundDeletion"]
        assert await watch.events(2) == [("MODIFIED", "owner"), ("DELETED", "owner")]
    assert await left(ask) == []


async def test_a_namespace_goes_when_its_content_is_gone(ask: KubernetesRequests) -> None:
    await owned(ask, "plain")
    await owned(ask, "held", finalizers=["x.io/hold"])
    async with ask.watch("/api/v1/namespaces/team?watch=true") as watch:
        await watch.event()
        answer = (await ask("DELETE", "/api/v1/namespaces/team")).json()
        assert answer["status"]["phase"] == "Terminating"
        assert await watch.events(1) == [("MODIFIED", "team")]
        assert await left(ask) == ["held"]
        refused = await ask("POST", CONFIG_MAPS, {"metadata": {"name": "new"}})
        assert (refused.status_code, refused.json()["reason"]) == (403, "Forbidden")
        again = await ask("DELETE", "/api/v1/namespaces/team")
        assert again.json()["metadata"]["deletionTimestamp"] == answer["metadata"]["deletionTimestamp"]
        await ask("PATCH", f"{CONFIG_MAPS}/held", {"metadata": {"finalizers": None}})
        assert await watch.events(1) == [("DELETED", "team")]


async def test_a_crd_goes_with_its_objects(ask: KubernetesRequests) -> None:
    await owner(ask)
    await ask("PATCH", f"{WIDGETS}/owner", {"metadata": {"finalizers": ["x.io/hold"]}})
    deleted = (await ask("DELETE", f"{CRDS}/widgets.test.example.com")).json()
    assert deleted["status"]["conditions"][-1]["type"] == "Terminating"
    assert await left(ask, WIDGETS) == ["owner"]
    await ask("PATCH", f"{WIDGETS}/owner", {"metadata": {"finalizers": None}})
    assert (await ask("GET", f"{CRDS}/widgets.test.example.com")).status_code == 404
    assert (await ask("GET", WIDGETS)).status_code == 404


async def test_an_empty_crd_goes_at_once(ask: KubernetesRequests) -> None:
    await ask("DELETE", f"{CRDS}/racks.test.example.com")
    assert (await ask("GET", "/apis/test.example.com/v1/racks")).status_code == 404


async def test_a_collection_is_deleted_by_selector(ask: KubernetesRequests) -> None:
    for name in ("a", "b", "c"):
        await owned(ask, name, labels={"name": name})
    await ask("DELETE", f"{CONFIG_MAPS}?labelSelector=name in (a,b)")
    assert await left(ask) == ["c"]


@pytest.mark.parametrize("kind", ["serviceaccounts", "configmaps"], ids=str)
async def test_a_deletion_answers_with_the_object_or_a_status(ask: KubernetesRequests, kind: str) -> None:
    path = f"/api/v1/namespaces/team/{kind}"
    await ask("POST", path, {"metadata": {"name": "x"}})
    answer = (await ask("DELETE", f"{path}/x")).json()
    assert answer["kind"] == ("ServiceAccount" if kind == "serviceaccounts" else "Status")
