"""Structural schemas: what they prune, default and refuse."""

from __future__ import annotations

from typing import Any

import pytest

from image_catalog.local.kubernetes.schemas.structural import Schema
from image_catalog.testing.kubernetes_requests import KubernetesRequests

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def of(**value: Any) -> Schema:
    return Schema({"type": "object", "properties": {"v": value}})


def causes(schema: Schema, value: Any, old: Any = None) -> list[str]:
    before = () if old is None else ({"v": old},)
    return [f"{cause.reason} {cause.field}" for cause in schema.validate({"v": value}, *before)]


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        pytest.param({"type": "integer", "maximum": 3}, 3, 4, id="maximum"),
        pytest.param({"type": "integer", "maximum": 3, "exclusiveMaximum": True}, 2, 3, id="exclusive maximum"),
        pytest.param({"type": "number", "minimum": 0.5}, 0.5, 0.25, id="minimum"),
        pytest.param({"type": "number", "minimum": 0, "exclusiveMinimum": True}, 1, 0, id="exclusive minimum"),
        pytest.param({"type": "integer", "multipleOf": 2}, 4, 3, id="multiple"),
        pytest.param({"type": "string", "minLength": 2}, "ab", "a", id="minimal length"),
        pytest.param({"type": "string", "pattern": "^a$"}, "a", "a\n", id="a pattern's end is the end"),
        pytest.param({"type": "array", "minItems": 1}, [1], [], id="minimal items"),
        pytest.param(
            {"type": "object", "minProperties": 1, "additionalProperties": True}, {"a": 1}, {}, id="properties"
        ),
        pytest.param(
            {"type": "string", "format": "date-time"}, "2026-01-01T00:00:00.5+01:00", "2026-13-01T00:00:00Z", id="time"
        ),
        pytest.param({"type": "string", "format": "date"}, "2026-01-01", "1/1/2026", id="date"),
        pytest.param({"type": "string", "format": "duration"}, "1h30m", "soon", id="duration"),
        pytest.param({"type": "string", "format": "ipv4"}, "10.0.0.1", "10.0.0.300", id="IPv4"),
        pytest.param({"type": "string", "format": "ipv6"}, "::1", "1", id="IPv6"),
        pytest.param({"type": "string", "format": "cidr"}, "10.0.0.1/8", "10.0.0.1/80", id="CIDR"),
        pytest.param({"type": "string", "format": "uri"}, "https://x", "x", id="URI"),
        pytest.param({"type": "string", "format": "uuid"}, "0" * 32, "x", id="UUID"),
        pytest.param({"type": "string", "format": "byte"}, "YQ==", "%", id="base64"),
        pytest.param({"type": "string", "format": "email"}, "a@b", "a", id="mail"),
        pytest.param({"type": "string", "format": "hostname"}, "a.b", "-", id="host"),
        pytest.param({"type": "integer", "format": "int32"}, 2**31 - 1, 2**31, id="32 bits"),
        pytest.param({"type": "boolean"}, True, "true", id="boolean"),
        pytest.param({"type": "array"}, [], {}, id="array"),
        pytest.param({"type": "string", "nullable": True}, None, 1, id="nullable"),
        pytest.param(
            {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}]}, "5%", 1.5, id="int or string"
        ),
        pytest.param({"type": "integer", "allOf": [{"minimum": 1}, {"maximum": 2}]}, 2, 3, id="allOf"),
        pytest.param({"type": "integer", "anyOf": [{"maximum": 1}, {"minimum": 5}]}, 6, 3, id="anyOf"),
        pytest.param({"type": "integer", "oneOf": [{"minimum": 1}, {"maximum": 5}]}, 6, 3, id="oneOf"),
        pytest.param({"type": "string", "not": {"enum": ["a"]}}, "b", "a", id="not"),
        pytest.param(
            {
                "type": "object",
                "x-kubernetes-preserve-unknown-fields": True,
                "oneOf": [
                    {"required": ["a"]},
                    {"properties": {"b": {"type": "string", "pattern": "x"}}, "required": ["b"]},
                ],
            },
            {"b": "x"},
            {"b": "y"},
            id="one of two shapes",
        ),
        pytest.param({"type": "object", "additionalProperties": {"type": "integer"}}, {"a": 1}, {"a": "1"}, id="map"),
    ],
)
def test_values_are_judged(schema: dict[str, Any], good: Any, bad: Any) -> None:
    assert causes(of(**schema), good) == []
    assert len(causes(of(**schema), bad)) == 1


def test_sizes_have_their_own_reason() -> None:
    assert causes(of(type="array", maxItems=1), [1, 2]) == ["FieldValueTooMany v"]
    assert causes(of(type="object", maxProperties=0, additionalProperties=True), {"a": 1}) == ["FieldValueTooMany v"]


def test_what_did_not_change_is_not_judged_again() -> None:
    schema = of(type="string", maxLength=1)
    assert causes(schema, "long", old="long") == []
    assert causes(schema, "longer", old="long") == ["FieldValueTooLong v"]


def test_items_of_a_keyed_list_are_judged_against_their_former_selves() -> None:
    item = {"type": "object", "properties": {"k": {"type": "string"}, "n": {"type": "integer", "maximum": 1}}}
    schema = of(
        **{"type": "array", "items": item, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}
    )
    assert causes(schema, [{"k": "b", "n": 0}, {"k": "a", "n": 9}], old=[{"k": "a", "n": 9}]) == []


def test_defaults_fill_defaults() -> None:
    inner = {"type": "object", "properties": {"a": {"type": "integer", "default": 1}}, "default": {}}
    assert of(**inner).normalise({}) == ({"v": {"a": 1}}, [])


def test_nulls_stay_where_they_are_allowed() -> None:
    assert of(type="string", nullable=True, default="x").normalise({"v": None}) == ({"v": None}, [])


def test_unknown_fields_stay_where_they_are_preserved() -> None:
    preserving = of(**{"type": "object", "x-kubernetes-preserve-unknown-fields": True})
    assert preserving.normalise({"v": {"a": 1}, "w": 1}) == ({"v": {"a": 1}}, ["w"])


def test_unknown_fields_inside_lists_are_named() -> None:
    schema = of(type="array", items={"type": "object", "properties": {"a": {"type": "integer"}}})
    assert schema.normalise({"v": [{"a": 1}, {"b": 2}]}) == ({"v": [{"a": 1}, {}]}, ["v[1].b"])


def test_embedded_resources_keep_their_metadata() -> None:
    schema = of(**{"type": "object", "x-kubernetes-embedded-resource": True})
    embedded = {"apiVersion": "v1", "kind": "X", "metadata": {"name": "x"}}
    assert schema.normalise({"v": embedded}) == ({"v": embedded}, [])


RULED = {"type": "object", "properties": {"n": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("rule", "value", "old", "expected"),
    [
        pytest.param({"rule": "self.n > 1"}, {"n": 2}, None, [], id="holds"),
        pytest.param(
            {"rule": "self.n > 1"}, {"n": 1}, None, ["Invalid value: failed rule: self.n > 1"], id="no message"
        ),
        pytest.param(
            {"rule": "self.n > 1", "messageExpression": "'n is ' + string(self.n)"},
            {"n": 1},
            None,
            ["Invalid value: n is 1"],
            id="message expression",
        ),
        pytest.param(
            {"rule": "self.n > 1", "message": "no", "reason": "FieldValueForbidden", "fieldPath": ".n"},
            {"n": 1},
            None,
            ["Forbidden: no"],
            id="reason",
        ),
        pytest.param({"rule": "self.n >= oldSelf.n"}, {"n": 1}, None, [], id="a transition needs a former value"),
        pytest.param(
            {"rule": "self.n >= oldSelf.n", "message": "shrinks"},
            {"n": 1},
            {"n": 2},
            ["Invalid value: shrinks"],
            id="transition",
        ),
    ],
)
def test_rules_are_judged(rule: dict[str, Any], value: Any, old: Any, expected: list[str]) -> None:
    schema = of(**RULED, **{"x-kubernetes-validations": [rule]})
    before = () if old is None else ({"v": old},)
    assert [cause.message for cause in schema.validate({"v": value}, *before)] == expected


def test_a_rule_that_fails_to_run_is_told() -> None:
    schema = of(**RULED, **{"x-kubernetes-validations": [{"rule": "self.none > 1"}]})
    assert "no such" in schema.validate({"v": {"n": 1}})[0].message


def test_rules_of_list_items_are_judged() -> None:
    item = {**RULED, "x-kubernetes-validations": [{"rule": "self.n > 1"}]}
    assert causes(of(type="array", items=item), [{"n": 2}, {"n": 1}]) == ["FieldValueInvalid v[1]"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        pytest.param({"scope": "Everywhere"}, "spec.scope", id="scope"),
        pytest.param({"group": "other.io"}, "metadata.name", id="name"),
        pytest.param({"versions": []}, "spec.versions", id="no storage version"),
        pytest.param({"names": {"plural": "things"}}, "spec.names.kind", id="kind"),
        pytest.param({"versions": [{"storage": True}]}, "spec.versions[0].name", id="no name of the storage version"),
        pytest.param({"conversion": None, "scope": ""}, "spec.scope", id="null for the conversion"),
        pytest.param(
            {"versions": [{"name": "v1", "storage": True}]}, "spec.versions[0].schema.openAPIV3Schema", id="no schema"
        ),
        pytest.param(
            {
                "versions": [
                    {"name": "v1", "storage": True, "schema": {"openAPIV3Schema": {"type": "string", "pattern": "("}}}
                ]
            },
            "spec.versions[0].schema.openAPIV3Schema",
            id="broken pattern",
        ),
        pytest.param(
            {
                "versions": [
                    {
                        "name": "v1",
                        "storage": True,
                        "schema": {"openAPIV3Schema": {"x-kubernetes-validations": [{"rule": "self."}]}},
                    }
                ]
            },
            "spec.versions[0].schema.openAPIV3Schema",
            id="broken rule",
        ),
    ],
)
async def test_a_broken_crd_is_invalid(ask: KubernetesRequests, change: dict[str, Any], field: str) -> None:
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
    spec = {
        "group": "test.io",
        "scope": "Cluster",
        "names": {"plural": "things", "kind": "Thing"},
        "versions": [version],
        **change,
    }
    body = {"metadata": {"name": "things.test.io"}, "spec": spec}
    answer = await ask("POST", CRDS, body)
    assert answer.status_code == 422, answer.text
    assert field in [cause["field"] for cause in answer.json()["details"]["causes"]]


async def test_a_crd_without_names_is_a_bad_request(ask: KubernetesRequests) -> None:
    answer = await ask("POST", CRDS, {"metadata": {"name": "things.test.io"}, "spec": {}})
    assert answer.status_code == 400


async def test_a_changed_schema_is_in_force_at_once(ask: KubernetesRequests) -> None:
    path = f"{CRDS}/racks.test.example.com"
    crd = (await ask("GET", path)).json()
    properties = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    properties["url"]["enum"] = ["only"]
    crd["spec"]["versions"][0]["additionalPrinterColumns"] = [{"name": "U", "type": "string", "jsonPath": ".spec.url"}]
    assert (await ask("PUT", path, crd)).json()["metadata"]["generation"] == 2
    rack = {"apiVersion": "test.example.com/v1", "kind": "Rack", "metadata": {"name": "r"}, "spec": {"url": "x"}}
    assert (await ask("POST", "/apis/test.example.com/v1/racks", rack)).status_code == 422
