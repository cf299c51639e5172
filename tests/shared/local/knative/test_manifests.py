"""Reading manifests, and refusing what the local stack does not understand."""

from __future__ import annotations

import copy
from datetime import timedelta
from typing import Any

import pytest

from image_catalog.errors import InvalidObjectError
from image_catalog.local.knative import (
    Backoff,
    Broker,
    Delivery,
    Destination,
    Service,
    SinkBinding,
    WatchedResource,
    read_manifests,
)
from image_catalog.testing.knative import render, resource

SERVICE = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "work"}
SINK = {"ref": SERVICE}
WORK = Destination("Service", "default", "work")
FULL_DELIVERY = {
    "retry": 5,
    "backoffPolicy": "linear",
    "backoffDelay": "PT0.2S",
    "timeout": "PT1M30S",
    "retryAfterMax": "PT2M",
    "deadLetterSink": {"ref": {**SERVICE, "namespace": "other"}, "uri": "/path"},
}

BROKER = resource("Broker", "events", {"config": {"kind": "ConfigMap"}, "delivery": FULL_DELIVERY})
TRIGGER = resource("Trigger", "work", {"broker": "events", "subscriber": SINK, "delivery": FULL_DELIVERY})
BUILDS = {"apiVersion": "example.org/v1", "kind": "ImageBuild"}
SOURCE = resource("ApiServerSource", "builds", {"mode": "Resource", "resources": [BUILDS], "sink": SINK})
PING = resource("PingSource", "tick", {"schedule": "* * * * *", "sink": SINK})
BINDING = resource("SinkBinding", "work", {"subject": SERVICE, "sink": SINK})


def changed(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Copy a document with one field of its spec set, or removed when the value is None."""
    copied = copy.deepcopy(document)
    *parents, last = path.split(".")
    target = copied["spec"]
    for parent in parents:
        target = target[int(parent)] if isinstance(target, list) else target.setdefault(parent, {})
    if value is None:
        target.pop(last)
    else:
        target[last] = value
    return copied


def test_a_delivery_is_read_whole() -> None:
    manifests = read_manifests(render(BROKER, TRIGGER))

    delivery = Delivery(
        retry=5,
        backoff=Backoff.LINEAR,
        backoff_delay=timedelta(milliseconds=200),
        timeout=timedelta(seconds=90),
        dead_letter_sink=Destination("Service", "other", "work", "/path"),
    )
    assert manifests.brokers == (Broker("default", "events", delivery),)
    assert manifests.triggers[0].delivery == delivery
    assert manifests.triggers[0].subscriber == WORK


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        pytest.param("PT0.05S", timedelta(milliseconds=50), id="fraction"),
        pytest.param("PT2H3M", timedelta(hours=2, minutes=3), id="hours"),
        pytest.param("P1DT1S", timedelta(days=1, seconds=1), id="days"),
        pytest.param("P2W", timedelta(weeks=2), id="weeks"),
    ],
)
def test_durations_are_iso_8601(text: str, duration: timedelta) -> None:
    manifests = read_manifests(render(changed(TRIGGER, "delivery.timeout", text)))

    assert manifests.triggers[0].delivery.timeout == duration


def test_what_belongs_to_the_cluster_alone_is_left_alone() -> None:
    others = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "publish"}},
        {"apiVersion": "example.org/v1", "kind": "Service", "metadata": {"name": "publish"}},
    ]

    assert read_manifests("---\n" + render(*others) + "---\n") == read_manifests("")


def test_documents_that_are_loaded_already_are_read_the_same() -> None:
    assert read_manifests([BROKER, BINDING]) == read_manifests(render(BROKER, BINDING))


def test_sources_and_bindings_are_read() -> None:
    ping = changed(changed(PING, "dataBase64", "eHk="), "contentType", "text/plain")
    manifests = read_manifests(render(SOURCE, changed(ping, "ceOverrides", {"extensions": {"a": "b"}}), BINDING))

    source = manifests.api_server_sources[0]
    assert source.resources == (WatchedResource("example.org/v1", "ImageBuild"),)
    assert source.watched_namespace == "default"
    assert manifests.ping_sources[0].data == b"xy"
    assert manifests.ping_sources[0].timezone == "UTC"
    assert manifests.ping_sources[0].extensions == {"a": "b"}
    assert manifests.sink_bindings == (SinkBinding("default", "work", WORK, WORK, {}),)


def test_an_empty_namespace_selector_watches_all_namespaces() -> None:
    manifests = read_manifests(render(changed(SOURCE, "namespaceSelector", {})))

    assert manifests.api_server_sources[0].watched_namespace is None


def test_a_label_selector_is_written_as_a_query() -> None:
    selector = {
        "matchLabels": {"a": "b"},
        "matchExpressions": [
            {"key": "c", "operator": "In", "values": ["d", "e"]},
            {"key": "f", "operator": "NotIn", "values": ["g"]},
            {"key": "h", "operator": "Exists"},
            {"key": "i", "operator": "DoesNotExist"},
        ],
    }

    manifests = read_manifests(render(changed(SOURCE, "resources.0.selector", selector)))

    watched = manifests.api_server_sources[0].resources[0]
    assert watched.label_selector == "a=b,c in (d,e),f notin (g),h,!i"


def test_a_service_gives_its_environment() -> None:
    container = {
        "image": "any",
        "env": [
            {"name": "PLAIN", "value": "a"},
            {"name": "EMPTY"},
            {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}},
        ],
        "command": ["python", "-m", "work"],
        "args": ["--fast"],
    }
    scale = {"autoscaling.knative.dev/min-scale": "1"}
    template = {"metadata": {"annotations": scale}, "spec": {"containers": [container]}}

    manifests = read_manifests(render(resource("Service", "work", {"template": template})))

    assert manifests.services == (
        Service("default", "work", {"PLAIN": "a", "EMPTY": ""}, scale, ("python", "-m", "work", "--fast")),
    )


@pytest.mark.parametrize(
    ("document", "message"),
    [
        pytest.param(changed(TRIGGER, "broker", None), r"Trigger default/work: spec\.broker: a text", id="missing"),
        pytest.param(changed(TRIGGER, "broker", 5), r"spec\.broker: a text is needed, not 5", id="type"),
        pytest.param(changed(TRIGGER, "surprise", 5), r"spec\.surprise: the local stack does not know", id="unknown"),
        pytest.param(changed(TRIGGER, "delivery.format", "json"), r"spec\.delivery\.format: .* not know", id="nested"),
        pytest.param(changed(TRIGGER, "delivery.retry", -1), r"spec\.delivery\.retry: .* at least 0", id="negative"),
        pytest.param(changed(TRIGGER, "delivery.retry", True), r"spec\.delivery\.retry: ", id="boolean-count"),
        pytest.param(changed(TRIGGER, "delivery.backoffPolicy", "none"), r"backoffPolicy: 'none' is", id="policy"),
        pytest.param(changed(TRIGGER, "delivery.backoffDelay", "2s"), r"backoffDelay: '2s' is no ISO 8601", id="go"),
        pytest.param(changed(TRIGGER, "delivery.backoffDelay", "P"), r"backoffDelay: 'P' is no", id="bare-p"),
        pytest.param(changed(TRIGGER, "delivery.backoffDelay", "PT"), r"backoffDelay: 'PT' is no", id="bare-pt"),
        pytest.param(changed(TRIGGER, "delivery.backoffDelay", "P1M"), r"backoffDelay: 'P1M' is no", id="month"),
        pytest.param(changed(TRIGGER, "delivery.timeout", "PT0S"), r"timeout: more than no time", id="no-time"),
        pytest.param(changed(TRIGGER, "subscriber", {}), r"subscriber: a ref or an absolute URL", id="nowhere"),
        pytest.param(changed(TRIGGER, "subscriber", {"uri": "/a"}), r"spec\.subscriber: a ref", id="relative"),
        pytest.param(changed(TRIGGER, "subscriber.ref.kind", "Channel"), r"ref\.kind: .*Channel", id="kind"),
        pytest.param(changed(TRIGGER, "subscriber.ref.group", "a"), r"subscriber\.ref\.group: ", id="ref-field"),
        pytest.param(changed(TRIGGER, "subscriber.CACerts", "a"), r"subscriber\.CACerts: ", id="destination-field"),
        pytest.param(changed(TRIGGER, "filters", "a"), r"spec\.filters: a list", id="filters"),
        pytest.param(changed(TRIGGER, "filters", [{"cesql": "a ="}]), r"spec\.filters: \[0\]\.cesql", id="cesql"),
        pytest.param(changed(TRIGGER, "filter", {"attributes": {"a": 1}}), r"attributes\.a: a text", id="legacy"),
        pytest.param(changed(SOURCE, "mode", None), r"spec\.mode: .*Resource only", id="default-mode"),
        pytest.param(changed(SOURCE, "owner", {"kind": "a"}), r"spec\.owner: ", id="owner"),
        pytest.param(changed(SOURCE, "resources", []), r"spec\.resources: at least one", id="no-resources"),
        pytest.param(changed(SOURCE, "resources", ["a"]), r"spec\.resources\[0\]: an object", id="resource-type"),
        pytest.param(changed(SOURCE, "resources.0.kind", None), r"spec\.resources\[0\]\.kind: ", id="resource-kind"),
        pytest.param(changed(SOURCE, "filters", {}), None, id="no-filters"),
        pytest.param(changed(SOURCE, "filters", {"a": 1}), r"spec\.filters: a list", id="source-filters"),
        pytest.param(changed(SOURCE, "filters", [{}]), r"spec\.filters: \[0\]", id="source-filter"),
        pytest.param(
            changed(SOURCE, "namespaceSelector", {"matchLabels": {"a": "b"}}),
            r"spec\.namespaceSelector: ",
            id="some-namespaces",
        ),
        pytest.param(
            changed(SOURCE, "resources.0.selector", {"matchExpressions": [{"key": "a", "operator": "Near"}]}),
            r"matchExpressions\[0\]\.operator: none of",
            id="operator",
        ),
        pytest.param(changed(PING, "timezone", "Mars/Olympus"), r"spec\.timezone: .*Olympus", id="timezone"),
        pytest.param(changed(PING, "timezone", "../etc"), r"spec\.timezone: ", id="timezone-path"),
        pytest.param(changed(PING, "dataBase64", "?"), r"spec\.dataBase64: no base64", id="base64"),
        pytest.param(changed(changed(PING, "data", "{}"), "dataBase64", "e30="), r"data is given", id="two-data"),
        pytest.param(changed(BINDING, "subject.selector", {}), r"spec\.subject\.selector: ", id="subject-selector"),
        pytest.param(
            resource("Channel", "a", {}) | {"apiVersion": "messaging.knative.dev/v1"}, r"kind: .*Channel", id="channel"
        ),
        pytest.param(TRIGGER | {"apiVersion": "eventing.knative.dev/v1beta1"}, r"v1beta1 Trigger", id="version"),
        pytest.param(TRIGGER | {"data": {}}, r"Trigger default/work: data: ", id="top-level"),
        pytest.param({"kind": "Trigger"}, r"document 1: apiVersion: a text is needed", id="no-version"),
    ],
)
def test_what_is_not_understood_is_refused_by_document_and_field(document: dict[str, Any], message: str | None) -> None:
    if message is None:
        assert read_manifests(render(document))
        return
    with pytest.raises(InvalidObjectError, match=message) as refused:
        read_manifests(render(document))

    violation = refused.value.violations[0]
    assert refused.value.message.endswith(f"{violation.path}: {violation.message}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("a: [", "no YAML", id="yaml"),
        pytest.param("- a", "document 1 of the manifest is no object", id="list"),
    ],
)
def test_what_is_no_manifest_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidObjectError, match=message):
        read_manifests(text)
