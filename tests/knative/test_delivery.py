"""What Knative does with events, and what the manifests must say because of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from croniter import croniter
from pydantic import TypeAdapter

from image_catalog.models.names import PING_REVERIFY, PING_SWEEP

Objects = dict[tuple[str, str], dict[str, Any]]

_DIALECTS = {"exact", "prefix", "suffix", "all", "any", "not", "cesql"}


def _of_kind(objects: Objects, kind: str) -> list[dict[str, Any]]:
    return [manifest for (of, _), manifest in objects.items() if of == kind]


def _duration(text: str) -> timedelta:
    return TypeAdapter(timedelta).validate_python(text)


def _deliveries(objects: Objects) -> list[dict[str, Any]]:
    return [m["spec"]["delivery"] for kind in ("Trigger", "Broker") for m in _of_kind(objects, kind)]


def test_every_trigger_carries_its_full_delivery_block(objects: Objects) -> None:
    # A Trigger's block replaces the Broker's as a whole: one that names a dead-letter sink alone has no retries.
    for delivery in _deliveries(objects):
        assert delivery.keys() == {"backoffPolicy", "backoffDelay", "retry", "timeout", "deadLetterSink"}


def test_retries_back_off_exponentially(objects: Objects) -> None:
    # The first retry of the linear policy is immediate.
    for delivery in _deliveries(objects):
        assert delivery["backoffPolicy"] == "exponential"
        assert _duration(delivery["backoffDelay"]) > timedelta()
        assert delivery["retry"] >= 1


def test_dead_letters_go_to_audit(objects: Objects) -> None:
    for delivery in _deliveries(objects):
        assert delivery["deadLetterSink"]["ref"] == {
            "apiVersion": "serving.knative.dev/v1",
            "kind": "Service",
            "name": "audit",
            "namespace": "image-catalog",
        }


def test_what_takes_dead_letters_has_no_way_to_the_broker(objects: Objects) -> None:
    # It listens, too, and what it could not take comes back to it once: but nothing of that can go round.
    assert ("SinkBinding", "audit") not in objects


def test_a_function_may_answer_as_long_as_the_broker_waits(objects: Objects) -> None:
    for trigger in _of_kind(objects, "Trigger"):
        service = objects["Service", trigger["spec"]["subscriber"]["ref"]["name"]]
        allowed = timedelta(seconds=service["spec"]["template"]["spec"]["timeoutSeconds"])
        assert allowed >= _duration(trigger["spec"]["delivery"]["timeout"])


def test_every_function_that_is_triggered_has_a_sink_save_audit(objects: Objects) -> None:
    for trigger in _of_kind(objects, "Trigger"):
        subscriber = trigger["spec"]["subscriber"]["ref"]
        if subscriber["name"] == "audit":
            continue
        binding = objects["SinkBinding", subscriber["name"]]
        assert binding["spec"]["subject"] == subscriber
        assert binding["spec"]["sink"]["ref"]["kind"] == "Broker"


def test_sink_bindings_work_where_they_must_be_asked_for(objects: Objects) -> None:
    assert objects["Namespace", "image-catalog"]["metadata"]["labels"]["bindings.knative.dev/include"] == "true"


def _check_filter(entry: dict[str, Any]) -> None:
    (dialect,) = entry.keys()
    assert dialect in _DIALECTS
    if dialect in {"any", "all"}:
        assert entry[dialect]
        for nested in entry[dialect]:
            _check_filter(nested)
    elif dialect in {"exact", "prefix", "suffix"}:
        # Attribute names have lower-case letters and digits alone: a path into the data could not be written.
        assert all(name.isalnum() and name.islower() for name in entry[dialect])


def test_every_filter_entry_is_of_one_dialect_and_sees_attributes_alone(objects: Objects) -> None:
    for trigger in _of_kind(objects, "Trigger"):
        assert "filter" not in trigger["spec"], "filters wins over filter, which would say nothing"
        assert trigger["spec"]["filters"]
        for entry in trigger["spec"]["filters"]:
            _check_filter(entry)


@pytest.mark.parametrize("overlay", ["local", "plain", "openshift"])
def test_the_in_memory_channel_answers_before_its_subscribers(
    overlay: str, top: Path, build: Callable[[Path], Objects]
) -> None:
    annotations = build(top / "knative/overlays" / overlay)["Broker", "image-catalog"]["metadata"]["annotations"]
    assert annotations["eventing.knative.dev/broker.class"] == "MTChannelBasedBroker"
    assert annotations["messaging.knative.dev/async-handler"] == "true"


def test_a_kafka_broker_names_its_configuration_and_order(top: Path, build: Callable[[Path], Objects]) -> None:
    objects = build(top / "knative/overlays/kafka")
    broker = objects["Broker", "image-catalog"]
    assert broker["metadata"]["annotations"] == {"eventing.knative.dev/broker.class": "Kafka"}
    config = broker["spec"]["config"]
    assert objects[config["kind"], config["name"]]["data"].keys() == {
        "bootstrap.servers",
        "default.topic.partitions",
        "default.topic.replication.factor",
    }
    order = {
        trigger["metadata"]["name"]: trigger["metadata"]["annotations"]["kafka.eventing.knative.dev/delivery.order"]
        for trigger in _of_kind(objects, "Trigger")
    }
    assert order == {
        "publish": "unordered",
        "verify": "ordered",
        "reverify": "unordered",
        "cleanup": "unordered",
        "audit": "unordered",
    }


def test_the_api_server_sources_send_whole_objects_of_every_namespace(objects: Objects) -> None:
    watched = {}
    for source in _of_kind(objects, "ApiServerSource"):
        assert source["spec"]["mode"] == "Resource"
        # Empty means every namespace, absent the source's own.
        assert source["spec"]["namespaceSelector"] == {}
        (resource,) = source["spec"]["resources"]
        watched[resource["kind"]] = resource["apiVersion"]
    assert watched == dict.fromkeys(["ImageBuild", "CatalogImage"], "automotive.sdv.cloud.redhat.com/v1alpha1")


def test_a_tick_sends_a_json_object_on_a_schedule_that_knative_reads(objects: Objects) -> None:
    for ping in _of_kind(objects, "PingSource"):
        assert ping["spec"]["contentType"] == "application/json"
        assert isinstance(json.loads(ping["spec"]["data"]), dict)
        fields = ping["spec"]["schedule"].split()
        assert len(fields) in {5, 6}
        assert croniter.is_valid(ping["spec"]["schedule"], second_at_beginning=len(fields) == 6)


def test_the_functions_know_the_ticks_by_the_source_that_knative_gives_them(objects: Objects) -> None:
    sources = {
        f"/apis/v1/namespaces/{ping['metadata']['namespace']}/pingsources/{ping['metadata']['name']}"
        for ping in _of_kind(objects, "PingSource")
    }
    assert sources == {PING_REVERIFY, PING_SWEEP}


def test_the_local_stack_waits_seconds_where_a_cluster_waits_minutes(local: Objects) -> None:
    for ping in _of_kind(local, "PingSource"):
        assert len(ping["spec"]["schedule"].split()) == 6
    for delivery in _deliveries(local):
        assert _duration(delivery["backoffDelay"]) < timedelta(seconds=1)


def test_the_readme_says_how_long_each_trigger_keeps_trying(top: Path, build: Callable[[Path], Objects]) -> None:
    section = (top / "knative/README.md").read_text().partition("## Delivery")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| ([\d.]+) (seconds|minutes?) \|", section, re.MULTILINE)
    documented = {name: (int(retries), float(n) * (60 if unit[0] == "m" else 1)) for name, retries, n, unit in rows}
    actual: dict[str, Any] = {}
    for trigger in _of_kind(build(top / "knative/base"), "Trigger"):
        delivery = trigger["spec"]["delivery"]
        # Delays of d, 2d, 4d, ... add up to this.
        waiting = _duration(delivery["backoffDelay"]).total_seconds() * (2 ** delivery["retry"] - 1)
        actual[trigger["metadata"]["name"]] = (delivery["retry"], pytest.approx(waiting, rel=0.05))
    assert documented == actual
