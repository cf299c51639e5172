from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from image_catalog.local.ages import age_since, human_duration
from image_catalog.local.kubernetes.objects.builtin import builtin_registry
from image_catalog.local.kubernetes.resources import NAME_COLUMN, Column, Resource
from image_catalog.local.kubernetes.wire.json_path import compile_path
from image_catalog.local.kubernetes.wire.tables import IncludeObject, render_table

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)

GADGETS = Resource(
    group="contract.example.com",
    version="v1alpha1",
    kind="Gadget",
    plural="gadgets",
    singular="gadget",
    list_kind="GadgetList",
    namespaced=True,
    columns=(
        NAME_COLUMN,
        Column("Url", json_path=".spec.url"),
        Column("Size", "integer", ".status.size", priority=1),
        Column("Ratio", "number", ".status.ratio"),
        Column("Bootc", "boolean", ".spec.bootc"),
        Column("Ready", "string", '.status.conditions[?(@.type=="Ready")].status'),
        Column("Tags", "string", ".spec.tags"),
        Column("Age", "date", ".metadata.creationTimestamp"),
    ),
    custom=True,
)


def gadget(**parts: Any) -> dict[str, Any]:
    metadata = {"name": "g1", "resourceVersion": "7", "creationTimestamp": "2026-03-01T11:59:57Z"}
    return {"apiVersion": "contract.example.com/v1alpha1", "kind": "Gadget", "metadata": metadata, **parts}


def cells(resource: Resource, item: dict[str, Any]) -> list[Any]:
    row: list[Any] = render_table(resource, [item], now=NOW)["rows"][0]["cells"]
    return row


def builtin(group: str, plural: str) -> Resource:
    resource = builtin_registry().find(group, "v1", plural)
    assert resource is not None
    return resource


def test_a_custom_resource_is_printed_by_its_printer_columns() -> None:
    item = gadget(
        spec={"url": "q.io/a:1", "bootc": False, "tags": ["x", "y"]},
        status={"size": 3, "ratio": 1, "conditions": [{"type": "Ready", "status": "True"}]},
    )

    assert cells(GADGETS, item) == ["g1", "q.io/a:1", 3, 1.0, False, "True", '["x","y"]', "3s"]


def test_a_missing_value_is_an_empty_cell() -> None:
    assert cells(GADGETS, gadget()) == ["g1", None, None, None, None, None, None, "3s"]


def test_a_value_of_another_type_than_its_column_is_an_empty_cell() -> None:
    item = gadget(spec={"url": 5, "bootc": "yes"}, status={"size": True, "ratio": "1"})

    assert cells(GADGETS, item)[:5] == ["g1", "5", None, None, None]


def test_a_column_whose_path_is_not_understood_stays_empty() -> None:
    odd = Resource(
        group="g", version="v1", kind="K", plural="ks", singular="k", list_kind="KList", namespaced=True,
        columns=(NAME_COLUMN, Column("Deep", json_path="..name")), custom=True,
    )  # fmt: skip

    assert cells(odd, gadget()) == ["g1", None]


def test_column_definitions_tell_type_format_and_priority() -> None:
    definitions = render_table(GADGETS, [], now=NOW)["columnDefinitions"]

    assert definitions[0] == {
        "name": "Name",
        "type": "string",
        "format": "name",
        "description": "Name must be unique within a namespace. Is required when creating resources.",
        "priority": 0,
    }
    assert [column["priority"] for column in definitions] == [0, 0, 1, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("include", "expected"),
    [
        pytest.param("None", None, id="none"),
        pytest.param(
            "Metadata",
            {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": gadget()["metadata"]},
            id="metadata",
        ),
        pytest.param("Object", gadget(spec={"url": "q.io/a:1"}), id="object"),
    ],
)
def test_a_row_carries_as_much_of_its_object_as_was_asked(include: IncludeObject, expected: Any) -> None:
    table = render_table(GADGETS, [gadget(spec={"url": "q.io/a:1"})], include_object=include, now=NOW)

    assert table["rows"][0]["object"] == expected


def test_a_list_tells_its_own_metadata_and_one_object_its_resource_version() -> None:
    listed = render_table(GADGETS, [gadget()], now=NOW, metadata={"resourceVersion": "9", "continue": "more"})

    assert listed["metadata"] == {"resourceVersion": "9", "continue": "more"}
    assert render_table(GADGETS, [gadget()], now=NOW)["metadata"] == {"resourceVersion": "7"}
    assert render_table(GADGETS, [], now=NOW)["metadata"] == {}


def test_later_watch_events_repeat_no_headers() -> None:
    assert render_table(GADGETS, [gadget()], now=NOW, headers=False)["columnDefinitions"] is None


@pytest.mark.parametrize(
    ("group", "plural", "item", "expected"),
    [
        pytest.param("", "namespaces", {"status": {"phase": "Active"}}, ["o", "Active", "2m"], id="namespace"),
        pytest.param(
            "", "secrets", {"type": "Opaque", "data": {"a": "MQ==", "b": "MQ=="}}, ["o", "Opaque", 2, "2m"], id="secret"
        ),
        pytest.param(
            "", "configmaps", {"data": {"a": "1"}, "binaryData": {"b": "MQ=="}}, ["o", 2, "2m"], id="configmap"
        ),
        pytest.param("", "configmaps", {}, ["o", 0, "2m"], id="empty-configmap"),
        pytest.param("", "serviceaccounts", {}, ["o", "2m"], id="serviceaccount"),
        pytest.param(
            "coordination.k8s.io", "leases", {"spec": {"holderIdentity": "me"}}, ["o", "me", "2m"], id="lease"
        ),
        pytest.param("coordination.k8s.io", "leases", {"spec": {}}, ["o", "", "2m"], id="free-lease"),
        pytest.param("apiextensions.k8s.io", "customresourcedefinitions", {}, ["o", "2026-03-01T11:58:00Z"], id="crd"),
        pytest.param("rbac.authorization.k8s.io", "roles", {}, ["o", "2026-03-01T11:58:00Z"], id="role"),
        pytest.param(
            "rbac.authorization.k8s.io",
            "rolebindings",
            {
                "roleRef": {"kind": "Role", "name": "reader"},
                "subjects": [
                    {"kind": "ServiceAccount", "name": "a", "namespace": "n"},
                    {"kind": "ServiceAccount", "name": "b", "namespace": "n"},
                    {"kind": "Group", "name": "ops"},
                ],
            },
            ["o", "Role/reader", "2m", "", "ops", "n/a, n/b"],
            id="rolebinding",
        ),
    ],
)
def test_a_built_in_kind_is_printed_as_on_a_cluster(
    group: str, plural: str, item: dict[str, Any], expected: list[Any]
) -> None:
    metadata = {"name": "o", "creationTimestamp": "2026-03-01T11:58:00Z"}

    assert cells(builtin(group, plural), {"metadata": metadata, **item}) == expected


EVENT: dict[str, Any] = {
    "metadata": {"name": "g1.e1"},
    "involvedObject": {"kind": "Gadget", "name": "g1", "fieldPath": "spec"},
    "reason": "Verified",
    "message": " digest unchanged\n",
    "source": {"component": "verify", "host": "n1"},
    "type": "Normal",
}


@pytest.mark.parametrize(
    ("change", "last", "source", "first", "count"),
    [
        pytest.param(
            {"firstTimestamp": "2026-03-01T11:00:00Z", "lastTimestamp": "2026-03-01T11:59:00Z", "count": 4},
            "60s", "verify, n1", "60m", 4, id="counted",
        ),
        pytest.param({"eventTime": "2026-03-01T11:59:50.000000Z"}, "10s", "verify, n1", "10s", 1, id="single"),
        pytest.param(
            {
                "eventTime": "2026-03-01T11:00:00.000000Z",
                "series": {"count": 7, "lastObservedTime": "2026-03-01T11:59:58.000000Z"},
                "source": {},
                "reportingComponent": "catalog",
            },
            "2s", "catalog", "60m", 7, id="series",
        ),
        pytest.param({}, "<unknown>", "verify, n1", "<unknown>", 1, id="without-times"),
    ],
)  # fmt: skip
def test_events_are_printed_as_on_a_cluster(
    change: dict[str, Any], last: str, source: str, first: str, count: int
) -> None:
    assert cells(builtin("", "events"), EVENT | change) == [
        last, "Normal", "Verified", "gadget/g1", "spec", source, "digest unchanged", first, count, "g1.e1",
    ]  # fmt: skip


def test_an_event_about_a_kind_as_a_whole_names_the_kind() -> None:
    assert cells(builtin("", "events"), EVENT | {"involvedObject": {"kind": "Node"}})[3] == "node"


@pytest.mark.parametrize(
    ("elapsed", "shown"),
    [
        (timedelta(seconds=-5), "<invalid>"),
        (timedelta(seconds=-1.5), "0s"),
        (timedelta(seconds=0), "0s"),
        (timedelta(seconds=119), "119s"),
        (timedelta(seconds=120), "2m"),
        (timedelta(seconds=330), "5m30s"),
        (timedelta(minutes=10, seconds=30), "10m"),
        (timedelta(minutes=179), "179m"),
        (timedelta(hours=3), "3h"),
        (timedelta(hours=7, minutes=5), "7h5m"),
        (timedelta(hours=47), "47h"),
        (timedelta(days=2), "2d"),
        (timedelta(days=7, hours=23), "7d23h"),
        (timedelta(days=8, hours=1), "8d"),
        (timedelta(days=729), "729d"),
        (timedelta(days=730), "2y"),
        (timedelta(days=365 * 3 + 4), "3y4d"),
        (timedelta(days=365 * 9 + 4), "9y"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_ages_get_coarser_the_longer_they_are(elapsed: timedelta, shown: str) -> None:
    assert human_duration(elapsed) == shown


@pytest.mark.parametrize(
    ("timestamp", "shown"),
    [
        pytest.param(None, "<unknown>", id="none"),
        pytest.param("soon", "<invalid>", id="no-time"),
        pytest.param("2026-03-01T11:59:58", "2s", id="naive-is-utc"),
        pytest.param("2026-03-01T13:59:50.5+02:00", "9s", id="offset-and-fraction"),
    ],
)
def test_an_age_is_told_of_any_timestamp(timestamp: str | None, shown: str) -> None:
    assert age_since(timestamp, NOW) == shown


VALUE = {
    "a": {"b.c": 1, "d/e": 2},
    "list": [{"n": "x", "v": 1}, {"n": "y", "v": 2}, {"v": "3"}],
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".", [VALUE]),
        (r".a.b\.c", [1]),
        ("['a']['d/e']", [2]),
        ("{.a.*}", [1, 2]),
        (".list[0].n", ["x"]),
        (".list[-1].v", ["3"]),
        (".list[7]", []),
        (".list[1:].v", [2, "3"]),
        (".list[*].n", ["x", "y"]),
        ('.list[?(@.n=="y")].v', [2]),
        (".list[?(@.n=='y')].v", [2]),
        (".list[?(@.n)].v", [1, 2]),
        (".list[?(@.v>1)].v", [2]),
        (".list[?(@.v!=1)].v", [2, "3"]),
        (".a[*].nothing", []),
        (".a[0]", []),
        (".a[:1]", []),
        (".list.n", []),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_json_path_finds_what_it_names(path: str, found: list[Any]) -> None:
    assert compile_path(path).find(VALUE) == found


@pytest.mark.parametrize("path", ["..a", ".a[", "a", ".list[?(@.n==y)]"])
def test_a_json_path_outside_the_subset_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="JSONPath"):
        compile_path(path)
