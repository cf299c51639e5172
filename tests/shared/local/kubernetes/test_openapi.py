from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from image_catalog.local.kubernetes.discovery.openapi import OpenAPI
from image_catalog.local.kubernetes.objects.builtin import builtin_registry
from image_catalog.local.kubernetes.resources import ResourceRegistry

COMMANDS = json.loads((Path(__file__).parents[3] / "contract" / "kubernetes" / "kubectl.json").read_text())["commands"]
CRD = COMMANDS[1]["exchanges"][-1]["response"]["body"]
RECORDED = COMMANDS[18]["exchanges"][1]["response"]["body"]
GADGETS = "/apis/contract.example.com/v1alpha1/namespaces/{namespace}/gadgets"


@pytest.fixture
def registry() -> ResourceRegistry:
    registry = builtin_registry()
    registry.install(CRD)
    return registry


def index(openapi: OpenAPI) -> dict[str, str]:
    answer = openapi.answer("/openapi/v3")
    assert answer is not None
    return {name: entry["serverRelativeURL"] for name, entry in json.loads(answer.body)["paths"].items()}


def document(registry: ResourceRegistry, path: str = "apis/contract.example.com/v1alpha1") -> dict[str, Any]:
    answer = OpenAPI(registry).answer(f"/openapi/v3/{path}")
    assert answer is not None
    body: dict[str, Any] = json.loads(answer.body)
    return body


def test_the_index_names_every_group_version_and_its_url_leads_to_the_document(registry: ResourceRegistry) -> None:
    openapi = OpenAPI(registry)
    urls = index(openapi)

    assert {"api/v1", "apis/apiextensions.k8s.io/v1", "apis/contract.example.com/v1alpha1"} <= urls.keys()
    path, _, query = urls["apis/contract.example.com/v1alpha1"].partition("?hash=")
    answer = openapi.answer(path, query_hash=query)
    assert answer is not None
    assert answer.immutable
    assert answer.etag == f'"{query}"'


def test_a_document_under_an_old_hash_is_not_to_be_cached(registry: ResourceRegistry) -> None:
    answer = OpenAPI(registry).answer("/openapi/v3/api/v1", query_hash="OLD")

    assert answer is not None
    assert not answer.immutable


def test_a_changed_crd_changes_the_hash_of_its_document_alone(registry: ResourceRegistry) -> None:
    openapi = OpenAPI(registry)
    before = index(openapi)
    changed = json.loads(json.dumps(CRD))
    schema = changed["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["spec"]["properties"]["url"]["description"] = "Where it is."
    registry.install(changed)
    after = index(openapi)

    assert {name for name in after if after[name] != before[name]} == {"apis/contract.example.com/v1alpha1"}


def test_a_removed_crd_takes_its_document_along(registry: ResourceRegistry) -> None:
    openapi = OpenAPI(registry)
    registry.uninstall("gadgets.contract.example.com")

    assert "apis/contract.example.com/v1alpha1" not in index(openapi)
    assert openapi.answer("/openapi/v3/apis/contract.example.com/v1alpha1") is None


def test_the_patch_operation_tells_that_fields_are_validated_here(registry: ResourceRegistry) -> None:
    patch = document(registry)["paths"][f"{GADGETS}/{{name}}"]["patch"]
    recorded = RECORDED["paths"][f"{GADGETS}/{{name}}"]["patch"]

    assert patch["x-kubernetes-group-version-kind"] == recorded["x-kubernetes-group-version-kind"]
    assert ("fieldValidation", "query") in [(parameter["name"], parameter["in"]) for parameter in patch["parameters"]]


def test_every_recorded_operation_but_collections_over_all_namespaces_is_there(registry: ResourceRegistry) -> None:
    ours = document(registry)["paths"]

    for path, operations in RECORDED["paths"].items():
        if "{namespace}" in path:
            assert set(operations) - set(ours[path]) <= {"delete"}


def test_the_schema_of_a_custom_kind_is_that_of_a_real_api_server(registry: ResourceRegistry) -> None:
    name = "com.example.contract.v1alpha1.Gadget"

    assert shape(document(registry)["components"]["schemas"][name]) == shape(RECORDED["components"]["schemas"][name])


def test_object_metadata_has_the_fields_that_explain_shows(registry: ResourceRegistry) -> None:
    name = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
    ours, recorded = document(registry)["components"]["schemas"][name], RECORDED["components"]["schemas"][name]

    assert set(ours["properties"]) == set(recorded["properties"])


def test_every_reference_leads_somewhere(registry: ResourceRegistry) -> None:
    for path in ("api/v1", "apis/contract.example.com/v1alpha1", "apis/authorization.k8s.io/v1"):
        body = document(registry, path)

        assert references(body) <= {f"#/components/schemas/{name}" for name in body["components"]["schemas"]}


def test_cluster_scoped_kinds_have_no_namespace_in_their_path(registry: ResourceRegistry) -> None:
    paths = document(registry, "apis/apiextensions.k8s.io/v1")["paths"]

    assert "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}/status" in paths
    assert not any("{namespace}" in path for path in paths)


def test_v2_is_an_empty_protobuf_message(registry: ResourceRegistry) -> None:
    accept = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
    answer = OpenAPI(registry).answer("/openapi/v2", accept=accept)

    assert answer is not None
    assert (answer.body, answer.media_type) == (b"", "application/com.github.proto-openapi.spec.v2.v1.0+protobuf")


def test_v2_in_json_has_no_paths(registry: ResourceRegistry) -> None:
    answer = OpenAPI(registry).answer("/openapi/v2", accept="application/json")

    assert answer is not None
    assert json.loads(answer.body)["paths"] == {}


def shape(schema: Any) -> Any:
    """Drop texts, which the recording cuts short."""
    if isinstance(schema, dict):
        return {key: shape(value) for key, value in schema.items() if key != "description"}
    return [shape(value) for value in schema] if isinstance(schema, list) else schema


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(references(item) for item in value.values()))
    return set().union(*(references(item) for item in value)) if isinstance(value, list) else set()
