"""Creations, updates and patches beyond what was recorded."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from image_catalog.local.kubernetes import Cluster
from image_catalog.local.kubernetes.status import StatusError
from image_catalog.testing.kubernetes_requests import KubernetesRequests

CORE = "/api/v1/namespaces/team"
WIDGETS = "/apis/test.example.com/v1/namespaces/team/widgets"
RACKS = "/apis/test.example.com/v1/racks"
STRATEGIC = {"Content-Type": "application/strategic-merge-patch+json"}
JSON_PATCH = {"Content-Type": "application/json-patch+json"}


def widget(**metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "test.example.com/v1", "kind": "Widget", "metadata": metadata, "spec": {"url": "u"}}


def fields(answer: dict[str, Any]) -> list[str]:
    return [cause["field"] for cause in answer["details"]["causes"]]


@pytest.mark.parametrize(
    ("metadata", "field"),
    [
        pytest.param({"name": "a", "labels": {"-x": ""}}, "metadata.labels", id="label name"),
        pytest.param({"name": "a", "labels": {"x" * 64: ""}}, "metadata.labels", id="long label name"),
        pytest.param({"name": "a", "labels": {"UP/x": ""}}, "metadata.labels", id="label prefix"),
        pytest.param({"name": "a", "labels": {"x/": ""}}, "metadata.labels", id="empty label name"),
        pytest.param({"name": "a", "labels": {"x": "y" * 64}}, "metadata.labels", id="long label value"),
        pytest.param({"name": "a", "annotations": {"?": ""}}, "metadata.annotations", id="annotation name"),
        pytest.param(
            {"name": "a", "annotations": {"a": "x" * 262144}}, "metadata.annotations", id="annotations too long"
        ),
        pytest.param(
            {"name": "a", "ownerReferences": [{"kind": "K", "name": "n", "uid": "u"}]},
            "metadata.ownerReferences[0].apiVersion",
            id="owner without its version",
        ),
        pytest.param({"generateName": "UP-"}, "metadata.generateName", id="generateName"),
    ],
)
async def test_bad_metadata_is_invalid(ask: KubernetesRequests, metadata: dict[str, Any], field: str) -> None:
    answer = await ask("POST", WIDGETS, widget(**metadata))
    assert answer.status_code == 422
    assert field in fields(answer.json())


@pytest.mark.parametrize(
    "metadata",
    [
        [1],
        {"name": "a", "labels": {"x": 1}},
        {"name": "a", "labels": ["x"]},
        {"name": "a", "finalizers": {"x": 1}},
    ],
    ids=["a list", "a number as label", "a list as labels", "an object as finalizers"],
)
async def test_metadata_of_a_wrong_type_is_a_bad_request(ask: KubernetesRequests, metadata: Any) -> None:
    body = {"apiVersion": "test.example.com/v1", "kind": "Widget", "metadata": metadata, "spec": {"url": "u"}}
    assert (await ask("POST", WIDGETS, body)).status_code == 400


@pytest.mark.parametrize("url", [WIDGETS, f"{CORE}/configmaps"], ids=["custom", "built in"])
async def test_a_label_or_annotation_that_is_null_is_empty(ask: KubernetesRequests, url: str) -> None:
    """As Go reads a null where a map has text."""
    body = widget(name="a", labels={"x": None, "y": "z"}, annotations={"x": None})
    if url != WIDGETS:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": body["metadata"]}
    answer = await ask("POST", url, body)
    assert answer.status_code == 201
    made = answer.json()["metadata"]
    assert (made["labels"], made["annotations"]) == ({"x": "", "y": "z"}, {"x": ""})


async def test_unknown_metadata_is_warned_of(ask: KubernetesRequests) -> None:
    answer = await ask("POST", WIDGETS, widget(name="a", colour="red"))
    assert answer.headers["warning"] == '299 - "unknown field \\"metadata.colour\\""'
    assert "colour" not in answer.json()["metadata"]


async def test_a_warning_goes_out_whole_or_not_at_all(ask: KubernetesRequests) -> None:
    answer = await ask("POST", WIDGETS, {**widget(name="a"), "gr\u00f6\u00dfe": 1, "a\r\nX-Evil: 1": 2})
    assert answer.status_code == 201
    assert answer.headers.raw[-1] == (b"warning", '299 - "unknown field \\"gr\u00f6\u00dfe\\""'.encode())
    assert "x-evil" not in answer.headers


async def test_ignored_validation_prunes_without_a_word(ask: KubernetesRequests) -> None:
    answer = await ask("POST", f"{WIDGETS}?fieldValidation=Ignore", {**widget(name="a"), "extra": 1})
    assert (answer.status_code, answer.headers.get("warning")) == (201, None)


async def test_a_body_that_is_no_object_is_refused(ask: KubernetesRequests) -> None:
    await ask("POST", WIDGETS, widget(name="a"))
    answer = await ask("PATCH", f"{WIDGETS}/a", [{"op": "replace", "path": "", "value": 1}], headers=JSON_PATCH)
    assert answer.status_code == 400
    assert (await ask("PATCH", f"{WIDGETS}/a", raw=b"{")).status_code == 400


async def test_a_wrong_uid_in_a_patch_is_invalid_and_in_a_status_patch_ignored(ask: KubernetesRequests) -> None:
    await ask("POST", WIDGETS, widget(name="a"))
    patch = {"metadata": {"uid": "1"}, "status": {"phase": "x"}}
    main = await ask("PATCH", f"{WIDGETS}/a", patch)
    assert (main.status_code, fields(main.json())) == (422, ["metadata.uid"])
    status = await ask("PATCH", f"{WIDGETS}/a/status", patch)
    assert (status.status_code, status.json()["status"]) == (200, {"phase": "x"})


async def test_true_is_another_value_than_one(ask: KubernetesRequests) -> None:
    await ask("POST", WIDGETS, widget(name="a"))
    await ask("PATCH", f"{WIDGETS}/a/status", {"status": {"count": 1}})
    answer = await ask("PATCH", f"{WIDGETS}/a/status", {"status": {"count": True}})
    assert (answer.status_code, fields(answer.json())) == (422, ["status.count"])


async def test_dry_runs_change_nothing(ask: KubernetesRequests) -> None:
    before = (await ask("POST", WIDGETS, widget(name="a", finalizers=["x.io/y"]))).json()
    await ask("PATCH", f"{WIDGETS}/a?dryRun=All", {"spec": {"url": "v"}})
    await ask("DELETE", f"{WIDGETS}/a?dryRun=All")
    await ask("DELETE", f"{WIDGETS}/a", {"dryRun": ["All"]})
    assert (await ask("GET", f"{WIDGETS}/a")).json() == before
    await ask("DELETE", f"{WIDGETS}/a")
    marked = (await ask("GET", f"{WIDGETS}/a")).json()
    gone = await ask("PATCH", f"{WIDGETS}/a?dryRun=All", {"metadata": {"finalizers": None}})
    assert "finalizers" not in gone.json()["metadata"]
    assert (await ask("GET", f"{WIDGETS}/a")).json() == marked


async def test_cluster_scoped_kinds_have_no_namespace(ask: KubernetesRequests) -> None:
    rack = {**widget(name="r", namespace="team"), "kind": "Rack"}
    assert "namespace" not in (await ask("POST", RACKS, rack)).json()["metadata"]
    assert (await ask("GET", "/apis/test.example.com/v1/namespaces/team/racks")).status_code == 404
    assert (await ask("POST", "/apis/test.example.com/v1/widgets", widget(name="a"))).status_code == 404


async def test_a_put_creates_leases_alone(ask: KubernetesRequests) -> None:
    path = "/apis/coordination.k8s.io/v1/namespaces/team/leases/l"
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "l", "resourceVersion": "7", "uid": "u"},
        "spec": {"holderIdentity": "me"},
    }
    created = await ask("PUT", path, lease)
    assert (created.status_code, created.json()["spec"]) == (201, {"holderIdentity": "me"})
    bad = await ask("PATCH", path, {"spec": {"leaseDurationSeconds": 0}})
    assert fields(bad.json()) == ["spec.leaseDurationSeconds"]
    absent = await ask("PUT", f"{CORE}/configmaps/c", {"metadata": {"name": "c"}})
    assert absent.status_code == 404


@pytest.mark.parametrize(
    ("secret", "field"),
    [
        pytest.param({"type": "kubernetes.io/tls", "data": {"tls.crt": ""}}, "data[tls.key]", id="tls"),
        pytest.param({"type": "kubernetes.io/basic-auth"}, "data[username]", id="basic auth"),
        pytest.param(
            {"type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": "{"}},
            "data[.dockerconfigjson]",
            id="docker config that is no JSON",
        ),
        pytest.param({"data": {"a b": ""}}, "data[a b]", id="key"),
    ],
)
async def test_secrets_follow_the_rules_of_their_type(
    ask: KubernetesRequests, secret: dict[str, Any], field: str
) -> None:
    answer = await ask("POST", f"{CORE}/secrets", {"metadata": {"name": "s"}, **secret})
    assert answer.status_code == 422
    assert field in fields(answer.json())


async def test_immutable_data_stays(ask: KubernetesRequests) -> None:
    encoded = base64.b64encode(b"v").decode()
    for path, value in ((f"{CORE}/secrets", encoded), (f"{CORE}/configmaps", "v")):
        created = await ask("POST", path, {"metadata": {"name": "s"}, "data": {"k": value}, "immutable": True})
        assert created.status_code == 201
        changed = await ask("PATCH", f"{path}/s", {"data": {"k": None}})
        assert fields(changed.json()) == ["data"]


async def test_config_maps_hold_strings(ask: KubernetesRequests) -> None:
    number = await ask("POST", f"{CORE}/configmaps", {"metadata": {"name": "c"}, "data": {"k": 1}})
    assert number.status_code == 400
    doubled = {"metadata": {"name": "c"}, "data": {"k": ""}, "binaryData": {"k": ""}}
    assert fields((await ask("POST", f"{CORE}/configmaps", doubled)).json()) == ["data[k]"]


async def test_a_field_of_a_wrong_type_is_a_bad_request(ask: KubernetesRequests) -> None:
    answer = await ask("POST", f"{CORE}/secrets", {"metadata": {"name": "s"}, "data": ["x"]})
    assert answer.status_code == 400
    assert "Secret.data" in answer.json()["message"]


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        pytest.param({"secrets": [{"name": "b"}]}, ["a", "b"], id="lists are merged by key"),
        pytest.param({"secrets": [{"name": "a", "$patch": "delete"}]}, [], id="an item is deleted"),
        pytest.param({"secrets": [{"$patch": "replace"}, {"name": "c"}]}, ["c"], id="a list is replaced"),
    ],
)
async def test_strategic_patches_merge_lists(
    ask: KubernetesRequests, patch: dict[str, Any], expected: list[str]
) -> None:
    account = {"metadata": {"name": "sa"}, "secrets": [{"name": "a"}]}
    await ask("POST", f"{CORE}/serviceaccounts", account)
    answer = await ask("PATCH", f"{CORE}/serviceaccounts/sa", patch, headers=STRATEGIC)
    assert [item["name"] for item in answer.json().get("secrets", [])] == expected


async def test_strategic_patches_know_their_directives(ask: KubernetesRequests) -> None:
    await ask(
        "POST", f"{CORE}/configmaps", {"metadata": {"name": "c", "finalizers": ["x/a"]}, "data": {"a": "1", "b": "2"}}
    )
    path = f"{CORE}/configmaps/c"

    async def data(patch: dict[str, Any]) -> dict[str, Any]:
        answer = await ask("PATCH", path, patch, headers=STRATEGIC)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    assert (await data({"data": {"$retainKeys": ["a", "c"], "c": "3"}}))["data"] == {"a": "1", "c": "3"}
    assert (await data({"data": {"$patch": "replace", "d": "4"}}))["data"] == {"d": "4"}
    assert (await data({"data": {"d": None}}))["data"] == {}
    assert (await data({"metadata": {"finalizers": ["x/b"]}}))["metadata"]["finalizers"] == ["x/a", "x/b"]
    removed = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["x/a"]}}
    assert (await data(removed))["metadata"]["finalizers"] == ["x/b"]
    assert (await data({"data": {"$patch": "delete"}}))["data"] == {}


@pytest.mark.parametrize(
    ("operations", "tags"),
    [
        pytest.param([{"op": "replace", "path": "/spec/tags/1", "value": "z"}], ["a", "z"], id="replace"),
        pytest.param([{"op": "remove", "path": "/spec/tags/0"}], ["b"], id="remove"),
        pytest.param([{"op": "move", "from": "/spec/tags/0", "path": "/spec/tags/1"}], ["b", "a"], id="move"),
        pytest.param([{"op": "copy", "from": "/spec/tags/0", "path": "/spec/tags/-"}], ["a", "b", "a"], id="copy"),
        pytest.param([{"op": "add", "path": "/spec/tags/1", "value": "x"}], ["a", "x", "b"], id="insert"),
    ],
)
async def test_json_patches_change_lists(
    ask: KubernetesRequests, operations: list[dict[str, Any]], tags: list[str]
) -> None:
    created = widget(name="a")
    created["spec"]["tags"] = ["a", "b"]
    await ask("POST", WIDGETS, created)
    answer = await ask("PATCH", f"{WIDGETS}/a", operations, headers=JSON_PATCH)
    assert answer.json()["spec"]["tags"] == tags


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "add", "path": "/spec/tags/9", "value": "x"},
        {"op": "add", "path": "/spec/tags/x", "value": "x"},
        {"op": "add", "path": "spec", "value": "x"},
        {"op": "shuffle", "path": "/spec", "from": "/spec"},
        {"op": "replace", "path": "/spec/none", "value": 1},
        {"op": "add", "path": "/spec"},
        "no operation",
    ],
    ids=["beyond the end", "no index", "no pointer", "unknown", "absent", "without a value", "a string"],
)
async def test_a_json_patch_that_cannot_be_applied_is_invalid(ask: KubernetesRequests, operation: Any) -> None:
    created = widget(name="a")
    created["spec"]["tags"] = ["a", "b"]
    await ask("POST", WIDGETS, created)
    answer = await ask("PATCH", f"{WIDGETS}/a", [operation], headers=JSON_PATCH)
    assert (answer.status_code, answer.json()["reason"]) == (422, "Invalid")


async def test_generated_names_that_are_taken_are_drawn_again(ask: KubernetesRequests) -> None:
    made = {(await ask("POST", WIDGETS, widget(generateName="g-"))).json()["metadata"]["name"] for _ in range(50)}
    assert len(made) == 50


@pytest.mark.parametrize(
    ("method", "path"),
    [
        pytest.param("POST", f"{CORE}/secrets/s", id="POST to a name of a core kind"),
        pytest.param("PUT", WIDGETS, id="PUT to a collection"),
        pytest.param("PATCH", WIDGETS, id="PATCH to a collection"),
        pytest.param("DELETE", "/api/v1/namespaces", id="DELETE of all namespaces"),
        pytest.param("GET", "/apis/authentication.k8s.io/v1/tokenreviews", id="GET of reviews"),
    ],
)
async def test_a_method_that_does_not_fit_is_not_allowed(ask: KubernetesRequests, method: str, path: str) -> None:
    answer = await ask(method, path, {} if method != "GET" else None)
    assert (answer.status_code, answer.json()["reason"]) == (405, "MethodNotAllowed")


@pytest.mark.parametrize("path", [f"{WIDGETS}/a/scale", f"{CORE}/secrets/s/status"], ids=["scale", "status"])
async def test_a_subresource_that_is_not_there_is_not_found(ask: KubernetesRequests, path: str) -> None:
    answer = await ask("GET", path)
    assert (answer.status_code, answer.json()["reason"]) == (404, "NotFound")


async def test_a_body_beyond_the_limit_is_refused(ask: KubernetesRequests) -> None:
    answer = await ask("POST", WIDGETS, raw=b" " * (3 * 1024 * 1024 + 1))
    assert (answer.status_code, answer.json()["reason"]) == (413, "RequestEntityTooLarge")


def test_applying_a_manifest_creates_and_replaces(cluster: Cluster) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "a"}}
    cluster.apply(account)
    cluster.apply({**account, "automountServiceAccountToken": False})
    stored = cluster.store.bucket(("", "serviceaccounts")).get(("default", "a"))
    assert stored is not None
    assert stored.body["automountServiceAccountToken"] is False
    with pytest.raises(StatusError, match="Nope"):
        cluster.apply({"apiVersion": "v1", "kind": "Nope", "metadata": {"name": "a"}})
