"""Lists, pages, selectors and content types."""

from __future__ import annotations

import json

import pytest
import yaml

from image_catalog.testing.kubernetes_requests import KubernetesRequests

WIDGETS = "/apis/test.example.com/v1/namespaces/team/widgets"


async def make(ask: KubernetesRequests, name: str, **labels: str) -> None:
    body = {
        "apiVersion": "test.example.com/v1",
        "kind": "Widget",
        "metadata": {"name": name, "labels": labels},
        "spec": {"url": name},
    }
    assert (await ask("POST", WIDGETS, body)).status_code == 201


def names(listed: dict[str, list[dict[str, dict[str, str]]]]) -> list[str]:
    return [item["metadata"]["name"] for item in listed["items"]]


async def test_pages_show_the_moment_of_the_first(ask: KubernetesRequests) -> None:
    for name in ("a", "b", "d"):
        await make(ask, name)
    first = (await ask("GET", f"{WIDGETS}?limit=2")).json()
    await make(ask, "c")
    await ask("DELETE", f"{WIDGETS}/d")
    await ask("PATCH", f"{WIDGETS}/b", {"spec": {"url": "changed"}})
    second = (await ask("GET", f"{WIDGETS}?limit=2&continue={first['metadata']['continue']}")).json()
    assert names(first) == ["a", "b"]
    assert names(second) == ["d"]
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_a_page_older_than_the_history_is_gone(ask: KubernetesRequests) -> None:
    for name in ("a", "b"):
        await make(ask, name)
    first = (await ask("GET", f"{WIDGETS}?limit=1")).json()
    for number in range(20):
        await ask("PATCH", f"{WIDGETS}/a", {"spec": {"url": f"{number}"}})
    answer = await ask("GET", f"{WIDGETS}?limit=1&continue={first['metadata']['continue']}")
    assert (answer.status_code, answer.json()["reason"]) == (410, "Expired")


async def test_an_exact_version_shows_the_past(ask: KubernetesRequests) -> None:
    await make(ask, "a")
    before = (await ask("GET", WIDGETS)).json()["metadata"]["resourceVersion"]
    await make(ask, "b")
    past = (await ask("GET", f"{WIDGETS}?resourceVersion={before}&resourceVersionMatch=Exact")).json()
    now = (await ask("GET", f"{WIDGETS}?resourceVersion={before}&resourceVersionMatch=NotOlderThan")).json()
    assert names(past) == ["a"]
    assert names(now) == ["a", "b"]


async def test_an_exact_version_before_the_history_is_gone(ask: KubernetesRequests) -> None:
    await make(ask, "a")
    answer = await ask("GET", f"{WIDGETS}?resourceVersion=1&resourceVersionMatch=Exact")
    assert (answer.status_code, answer.json()["reason"]) == (410, "Expired")


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        pytest.param("size>3", ["big"], id="greater"),
        pytest.param("size<3", ["small"], id="less"),
        pytest.param("tier in (a,b)", ["big", "small"], id="in"),
        pytest.param("tier notin (a)", ["none", "small"], id="not in, absent counts"),
        pytest.param("tier,tier!=a", ["small"], id="present and different"),
        pytest.param("tier=", [], id="empty value"),
        pytest.param("", ["big", "none", "small"], id="everything"),
    ],
)
async def test_labels_select(ask: KubernetesRequests, selector: str, expected: list[str]) -> None:
    await make(ask, "big", size="5", tier="a")
    await make(ask, "small", size="2", tier="b")
    await make(ask, "none", size="x")
    listed = await ask("GET", f"{WIDGETS}?labelSelector={selector.replace('<', '%3C').replace('>', '%3E')}")
    assert names(listed.json()) == expected


@pytest.mark.parametrize(
    "selector", ["a=b c", "a in b", "a in (b", "a in (b))", "size>x", "!", "a~b=(", ",", "a b"], ids=str
)
async def test_a_broken_label_selector_is_refused(ask: KubernetesRequests, selector: str) -> None:
    answer = await ask("GET", f"{WIDGETS}?labelSelector={selector.replace('>', '%3E')}")
    assert answer.status_code == 400


async def test_fields_select_and_escape(ask: KubernetesRequests) -> None:
    await make(ask, "a")
    await ask("PATCH", f"{WIDGETS}/a/status", {"status": {"phase": "x,y"}})
    assert names((await ask("GET", rf"{WIDGETS}?fieldSelector=status.phase=x\,y")).json()) == ["a"]
    assert names((await ask("GET", f"{WIDGETS}?fieldSelector=status.phase!=x,metadata.name=a")).json()) == ["a"]


async def test_many_values_of_a_field_are_left_out_and_its_absence_is_none_of_them(ask: KubernetesRequests) -> None:
    for name, phase in {"a": "x", "b": "y", "c": "z", "d": None}.items():
        await make(ask, name)
        await ask("PATCH", f"{WIDGETS}/{name}/status", {"status": {"phase": phase}})
    found = await ask("GET", f"{WIDGETS}?fieldSelector=status.phase!=x,status.phase!=z")
    assert names(found.json()) == ["b", "d"]


async def test_a_list_of_revision_0_comes_whole_as_from_an_api_server_s_own_memory(ask: KubernetesRequests) -> None:
    for name in ("a", "b", "c"):
        await make(ask, name)
    found = (await ask("GET", f"{WIDGETS}?limit=1&resourceVersion=0")).json()
    assert names(found) == ["a", "b", "c"]
    assert not found["metadata"].get("continue")


async def test_core_events_are_selected_by_their_source_and_type(ask: KubernetesRequests) -> None:
    event = {
        "metadata": {"name": "e"},
        "involvedObject": {"namespace": "team", "name": "a"},
        "source": {"component": "verify"},
        "type": "Warning",
    }
    assert (await ask("POST", "/api/v1/namespaces/team/events", event)).status_code == 201
    found = await ask("GET", "/api/v1/namespaces/team/events?fieldSelector=source=verify,type=Warning")
    assert names(found.json()) == ["e"]
    none = await ask("GET", "/api/v1/namespaces/team/events?fieldSelector=source=verify,type!=Warning")
    assert names(none.json()) == []


async def test_events_are_the_same_objects_in_both_groups(ask: KubernetesRequests) -> None:
    event = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": "e"},
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "catalog",
        "reportingInstance": "one",
        "action": "Verify",
        "reason": "Verified",
        "regarding": {"namespace": "team", "name": "a"},
        "note": "fine",
        "type": "Normal",
    }
    path = "/namespaces/team/events"
    created = await ask("POST", f"/apis/events.k8s.io/v1{path}", event)
    assert created.status_code == 201
    assert created.json()["note"] == "fine"
    core = (await ask("GET", f"/api/v1{path}/e")).json()
    assert (core["apiVersion"], core["message"], core["involvedObject"]["name"]) == ("v1", "fine", "a")
    patched = await ask("PATCH", f"/apis/events.k8s.io/v1{path}/e", {"note": "better"})
    assert patched.json()["note"] == "better"
    bad = await ask("POST", f"/apis/events.k8s.io/v1{path}", {**event, "metadata": {"name": "f"}, "type": "Odd"})
    assert [cause["field"] for cause in bad.json()["details"]["causes"]] == ["type"]


async def test_yaml_is_read_and_written(ask: KubernetesRequests) -> None:
    manifest = {"apiVersion": "test.example.com/v1", "kind": "Widget", "metadata": {"name": "y"}, "spec": {"url": "u"}}
    headers = {"Content-Type": "application/yaml", "Accept": "application/yaml"}
    created = await ask("POST", WIDGETS, raw=yaml.safe_dump(manifest).encode(), headers=headers)
    assert created.status_code == 201
    assert yaml.safe_load(created.text)["spec"] == {"url": "u", "mode": "image"}
    listed = await ask("GET", WIDGETS, headers={"Accept": "application/yaml"})
    assert names(yaml.safe_load(listed.text)) == ["y"]
    dated = await ask("PATCH", f"{WIDGETS}/y", {"metadata": {"annotations": {"seen": "no"}}})
    as_yaml = yaml.safe_dump(dated.json()).replace("seen: 'no'", "seen: 2026-01-01")
    assert (await ask("PUT", f"{WIDGETS}/y", raw=as_yaml.encode(), headers=headers)).status_code == 200
    assert (await ask("GET", f"{WIDGETS}/y")).json()["metadata"]["annotations"] == {"seen": "2026-01-01"}


@pytest.mark.parametrize(
    "body",
    [
        b"a: [",
        b"- a",
        b"a: !!binary aGk=",
        b"? [a]\n: b",
        b"a: &a [*a]",
        b"a: .inf",
        b"[" * 500,
        b"metadata: {a: !!set {b}}",
    ],
    ids=["broken", "list", "bytes", "key", "circle", "infinite", "deep", "set"],
)
async def test_yaml_that_is_no_json_object_is_a_bad_request(ask: KubernetesRequests, body: bytes) -> None:
    refused = await ask("POST", WIDGETS, raw=body, headers={"Content-Type": "application/yaml"})
    assert (refused.status_code, refused.json()["reason"]) == (400, "BadRequest")


async def test_a_number_of_more_than_64_bits_is_no_integer(ask: KubernetesRequests) -> None:
    """As in JSON, where it becomes a number with a fraction."""
    manifest = {
        "apiVersion": "test.example.com/v1",
        "kind": "Widget",
        "metadata": {"name": "n"},
        "spec": {"url": 2**80},
    }
    for content, body in (("yaml", yaml.safe_dump(manifest)), ("json", json.dumps(manifest))):
        headers = {"Content-Type": f"application/{content}"}
        refused = await ask("POST", WIDGETS, raw=body.encode(), headers=headers)
        assert (refused.status_code, refused.json()["details"]["causes"][0]["field"]) == (422, "spec.url")


@pytest.mark.parametrize(
    "accept",
    [
        "application/vnd.kubernetes.protobuf",
        "application/json;as=Table;v=v1beta1;g=meta.k8s.io",
        "image/png",
    ],
    ids=["protobuf alone", "an old Table", "another type"],
)
async def test_what_is_not_served_is_not_acceptable(ask: KubernetesRequests, accept: str) -> None:
    answer = await ask("GET", WIDGETS, headers={"Accept": accept})
    assert (answer.status_code, answer.json()["reason"]) == (406, "NotAcceptable")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        pytest.param("limit=x", 400, id="limit"),
        pytest.param("continue=e30", 400, id="a token without its parts"),
        pytest.param("watch=true&timeoutSeconds=x", 400, id="timeout"),
        pytest.param("includeObject=Some", 400, id="includeObject"),
    ],
)
async def test_a_broken_query_is_refused(ask: KubernetesRequests, query: str, code: int) -> None:
    assert (await ask("GET", f"{WIDGETS}?{query}")).status_code == code


async def test_a_table_of_one_object_carries_what_was_asked_for(ask: KubernetesRequests) -> None:
    await make(ask, "a")
    headers = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    table = (await ask("GET", f"{WIDGETS}/a?includeObject=Object", headers=headers)).json()
    assert table["rows"][0]["object"]["spec"]["url"] == "a"
    partial = {"Accept": "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"}
    assert set((await ask("GET", f"{WIDGETS}/a", headers=partial)).json()) == {"kind", "apiVersion", "metadata"}


async def test_every_version_of_a_kind_shows_the_same_objects(ask: KubernetesRequests) -> None:
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.test.example.com"
    crd = (await ask("GET", path)).json()
    crd["spec"]["versions"].append({**crd["spec"]["versions"][0], "name": "v1beta1", "storage": False})
    assert (await ask("PUT", path, crd)).status_code == 200
    await make(ask, "a")
    old = (await ask("GET", f"{WIDGETS.replace('/v1/', '/v1beta1/')}/a")).json()
    assert old["apiVersion"] == "test.example.com/v1beta1"
    group = (await ask("GET", "/apis/test.example.com")).json()
    assert [version["version"] for version in group["versions"]] == ["v1", "v1beta1"]
