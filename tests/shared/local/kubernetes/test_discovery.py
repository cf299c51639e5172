from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from image_catalog.local.kubernetes.discovery.groups import AGGREGATED_MEDIA_TYPE, answer_discovery, version_info
from image_catalog.local.kubernetes.objects.builtin import builtin_registry
from image_catalog.local.kubernetes.resources import ResourceRegistry

RECORDED = json.loads((Path(__file__).parents[3] / "contract" / "kubernetes" / "kubectl.json").read_text())
KUBECTL_ACCEPT = f"{AGGREGATED_MEDIA_TYPE},{AGGREGATED_MEDIA_TYPE.replace('v2', 'v2beta1')},application/json"


@pytest.fixture
def registry() -> ResourceRegistry:
    registry = builtin_registry()
    created = RECORDED["commands"][1]["exchanges"][-1]["response"]["body"]
    registry.install(created)
    return registry


def answer(registry: ResourceRegistry, path: str, accept: str = "application/json") -> dict[str, Any]:
    found = answer_discovery(registry, path, accept=accept)
    assert found is not None
    assert found.media_type == "application/json"
    return found.body


def recorded_aggregate(path: str) -> dict[str, Any]:
    for command in RECORDED["commands"][9:]:
        for exchange in command.get("exchanges", ()):
            if exchange["request"]["path"].startswith(path + "?") and exchange["response"]["status"] == 200:
                item: dict[str, Any] = exchange["response"]["body"]["items"][0]
                return item
    raise AssertionError(path)


def test_the_core_group_tells_its_versions(registry: ResourceRegistry) -> None:
    body = answer(registry, "/api")

    assert (body["kind"], body["versions"]) == ("APIVersions", ["v1"])


def test_a_group_of_a_crd_is_listed_with_its_preferred_version(registry: ResourceRegistry) -> None:
    version = {"groupVersion": "contract.example.com/v1alpha1", "version": "v1alpha1"}
    group = {"name": "contract.example.com", "versions": [version], "preferredVersion": version}

    groups = answer(registry, "/apis")
    assert group in groups["groups"]
    assert "" not in [entry["name"] for entry in groups["groups"]]
    assert answer(registry, "/apis/contract.example.com") == {"kind": "APIGroup", "apiVersion": "v1"} | group


def test_a_version_tells_its_resources_as_a_real_api_server_does(registry: ResourceRegistry) -> None:
    assert answer(registry, "/apis/contract.example.com/v1alpha1") == {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": "contract.example.com/v1alpha1",
        "resources": [
            {
                "name": "gadgets",
                "singularName": "gadget",
                "namespaced": True,
                "kind": "Gadget",
                "verbs": ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"],
                "shortNames": ["gad"],
                "categories": ["contract"],
                "storageVersionHash": "wUrM5QwFM00=",
            },
            {
                "name": "gadgets/status",
                "singularName": "",
                "namespaced": True,
                "kind": "Gadget",
                "verbs": ["get", "patch", "update"],
            },
        ],
    }


def test_core_kinds_tell_their_subresources(registry: ResourceRegistry) -> None:
    body = answer(registry, "/api/v1")

    assert body["groupVersion"] == "v1"
    assert {
        "name": "serviceaccounts/token",
        "singularName": "",
        "namespaced": True,
        "group": "authentication.k8s.io",
        "version": "v1",
        "kind": "TokenRequest",
        "verbs": ["create"],
    } in body["resources"]


def test_reviews_know_create_alone(registry: ResourceRegistry) -> None:
    (review,) = [
        entry
        for entry in answer(registry, "/apis/authorization.k8s.io/v1")["resources"]
        if entry["name"] == "selfsubjectaccessreviews"
    ]

    assert review["verbs"] == ["create"]
    assert "storageVersionHash" not in review


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/version",
        "/api/v9",
        "/apis/nope.example.com",
        "/apis/contract.example.com/v9",
        "/apis/contract.example.com/v1alpha1/gadgets",
    ],
)
def test_what_is_not_served_is_not_discovered(registry: ResourceRegistry, path: str) -> None:
    assert answer_discovery(registry, path) is None


@pytest.mark.parametrize("path", ["/api", "/apis"])
def test_kubectl_gets_the_aggregated_document_that_it_asks_for(registry: ResourceRegistry, path: str) -> None:
    found = answer_discovery(registry, path, accept=KUBECTL_ACCEPT)

    assert found is not None
    assert found.media_type == AGGREGATED_MEDIA_TYPE
    recorded = recorded_aggregate(path)
    (ours,) = [item for item in found.body["items"] if item["metadata"] == recorded["metadata"]]
    (version,), (expected,) = ours["versions"], recorded["versions"]
    assert version["version"] == expected["version"]
    for resource in expected["resources"]:
        (served,) = [entry for entry in version["resources"] if entry["resource"] == resource["resource"]]
        assert facts(served) == facts(resource)


def facts(entry: dict[str, Any]) -> dict[str, Any]:
    """Leave out what differs without meaning: kinds told in full, and a subresource that is not served."""
    subresources = [sub["subresource"] for sub in entry.get("subresources", ()) if sub["subresource"] != "finalize"]
    kind = entry["responseKind"]["kind"]
    return {k: v for k, v in entry.items() if k not in {"responseKind", "subresources"}} | {
        "k": kind,
        "s": subresources,
    }


@pytest.mark.parametrize(
    "accept",
    ["application/json", "*/*", "", "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"],
)
def test_others_get_the_plain_document(registry: ResourceRegistry, accept: str) -> None:
    assert answer(registry, "/apis", accept)["kind"] == "APIGroupList"


def test_the_version_is_one_that_kubectl_1_32_takes_for_its_own() -> None:
    version = version_info()

    assert (version["major"], version["minor"]) == ("1", "32")
    assert version["gitVersion"].startswith("v1.32.")
