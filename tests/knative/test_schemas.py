"""Every object of every overlay has the fields that its kind has, and no other: others are pruned or refused."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]  # it has neither types nor stubs
import pytest
import yaml

from image_catalog.cli.installation.kinds import INSTALLED, STOPPED, kind_of
from image_catalog.models.names import GROUP

Objects = dict[tuple[str, str], dict[str, Any]]
Fields = dict[str, "Fields | None"]
"""Fields by name, those of an object below them; `None` is anything."""

_KUBERNETES = ("1.31", "1.37")
"""The oldest minor version that may run the catalog (selectable fields of custom resources), and the newest known."""

_REFERENCE: Fields = dict.fromkeys(["apiVersion", "kind", "name", "namespace"])
_DESTINATION: Fields = {"ref": _REFERENCE, "uri": None, "CACerts": None, "audience": None}
_DELIVERY: Fields = {
    **dict.fromkeys(["backoffDelay", "backoffPolicy", "retry", "timeout"]),
    "deadLetterSink": _DESTINATION,
}
"""Without ``retryAfterMax``, ``backoffMax`` and ``format``: each is refused unless a feature is on."""
_SOURCE: Fields = {"sink": _DESTINATION, "ceOverrides": {"extensions": None}}
_FIELDS: dict[tuple[str, str], Fields] = {
    # pkg/apis/eventing/v1: BrokerSpec, TriggerSpec; the filters are looked at one by one in test_delivery.py
    ("eventing.knative.dev/v1", "Broker"): {"config": _REFERENCE, "delivery": _DELIVERY},
    ("eventing.knative.dev/v1", "Trigger"): {
        "broker": None,
        "filters": None,
        "subscriber": _DESTINATION,
        "delivery": _DELIVERY,
    },
    # pkg/apis/sources/v1: ApiServerSourceSpec, PingSourceSpec, SinkBindingSpec
    ("sources.knative.dev/v1", "ApiServerSource"): {
        **_SOURCE,
        **dict.fromkeys(["mode", "namespaceSelector", "owner", "resources", "serviceAccountName", "filters"]),
    },
    ("sources.knative.dev/v1", "PingSource"): {
        **_SOURCE,
        **dict.fromkeys(["contentType", "data", "dataBase64", "schedule", "timezone"]),
    },
    ("sources.knative.dev/v1", "SinkBinding"): {**_SOURCE, "subject": {**_REFERENCE, "selector": None}},
    # pkg/apis/eventing/v1alpha1: EventPolicySpec
    ("eventing.knative.dev/v1alpha1", "EventPolicy"): dict.fromkeys(["to", "from", "filters"]),
    # pkg/apis/serving/v1: ServiceSpec is a ConfigurationSpec and a RouteSpec
    ("serving.knative.dev/v1", "Service"): {"template": {"metadata": None, "spec": None}, "traffic": None},
    # The Prometheus Operator's pkg/apis/monitoring/v1: PodMonitorSpec, PrometheusRuleSpec
    ("monitoring.coreos.com/v1", "PodMonitor"): dict.fromkeys(
        ["jobLabel", "selector", "namespaceSelector", "podMetricsEndpoints", "podTargetLabels"]
    ),
    ("monitoring.coreos.com/v1", "PrometheusRule"): {"groups": None},
}
"""What the published types have, of each kind that is in use: https://github.com/knative/eventing, …/serving, and
https://github.com/prometheus-operator/prometheus-operator."""

_EXTENSIONS = (".knative.dev", GROUP, "monitoring.coreos.com")
"""Groups that Kubernetes itself has no schema of."""

_OF_A_REVISION = {
    "containerConcurrency",
    "timeoutSeconds",
    "responseStartTimeoutSeconds",
    "idleTimeoutSeconds",
}
"""What a RevisionSpec has beside a Pod's fields."""


def _is_extension(manifest: dict[str, Any]) -> bool:
    return str(manifest["apiVersion"]).partition("/")[0].endswith(_EXTENSIONS)


@cache
def _validate(document: str, version: str) -> None:
    """Hold an object against its kind's schema; the overlays share most of theirs."""
    kubernetes_validate.validate(json.loads(document), version, strict=True)


@pytest.mark.parametrize("version", _KUBERNETES)
def test_kubernetes_takes_every_object_of_its_own_kinds(objects: Objects, version: str) -> None:
    checked = [manifest for manifest in objects.values() if not _is_extension(manifest)]
    assert {manifest["kind"] for manifest in checked} >= {"Namespace", "ServiceAccount", "ClusterRole"}
    for manifest in checked:
        _validate(json.dumps(manifest, sort_keys=True), version)


@pytest.mark.parametrize("version", _KUBERNETES)
def test_kubernetes_takes_the_pods_that_knative_makes_of_the_services(objects: Objects, version: str) -> None:
    for (kind, _), manifest in objects.items():
        if kind == "Service":
            template = manifest["spec"]["template"]
            pod = {key: value for key, value in template["spec"].items() if key not in _OF_A_REVISION}
            pod["containers"] = [_as_knative_fills_it(container) for container in pod["containers"]]
            document = {"apiVersion": "v1", "kind": "Pod", "metadata": template["metadata"], "spec": pod}
            _validate(json.dumps(document, sort_keys=True), version)


def _as_knative_fills_it(container: dict[str, Any]) -> dict[str, Any]:
    """Give a container the name, and its probes the port, that a Revision's get."""
    (port,) = container["ports"]
    probes = {
        name: {**container[name], "httpGet": {**container[name]["httpGet"], "port": port["containerPort"]}}
        for name in ("readinessProbe", "livenessProbe")
    }
    return {**container, **probes, "name": "user-container"}


def test_knatives_kinds_have_the_fields_that_they_are_given(objects: Objects) -> None:
    found = [manifest for manifest in objects.values() if ".knative.dev/" in manifest["apiVersion"]]
    assert {manifest["kind"] for manifest in found} == {
        kind for version, kind in _FIELDS if ".knative.dev/" in version
    } - {"EventPolicy"}
    for manifest in found:
        assert manifest.keys() <= {"apiVersion", "kind", "metadata", "spec"}
        _check_spec(manifest)


def test_every_file_holds_before_it_is_rendered(top: Path) -> None:
    # What an overlay makes of them needs kubectl to be known; what is written must be true without it.
    files = [path for path in (top / "knative").rglob("*.yaml") if path.name != "kustomization.yaml"]
    documents = [document for path in files for document in yaml.safe_load_all(path.read_text())]
    manifests = [document for document in documents if "metadata" in document]
    assert {m["kind"] for m in manifests} >= {"NetworkPolicy", "PodDisruptionBudget", "EventPolicy", "Role"}
    for manifest in manifests:
        if not _is_extension(manifest):
            _validate(json.dumps(manifest, sort_keys=True), _KUBERNETES[-1])
        elif not manifest["apiVersion"].startswith(f"{GROUP}/"):
            _check_spec(manifest)


def _check_spec(manifest: dict[str, Any]) -> None:
    _check(manifest["spec"], _FIELDS[manifest["apiVersion"], manifest["kind"]], manifest["metadata"]["name"])


def _check(node: dict[str, Any], fields: Fields, path: str) -> None:
    assert node.keys() <= fields.keys(), path
    for name, value in node.items():
        if (below := fields[name]) is not None:
            _check(value, below, f"{path}.{name}")


def test_the_event_policy_that_no_overlay_has_names_objects_of_ours_alone(top: Path, local: Objects) -> None:
    policy = yaml.safe_load((top / "knative/components/event-policy/event-policy.yaml").read_text())
    _check_spec(policy)
    for side in ("to", "from"):
        for peer in policy["spec"][side]:
            # A subject would be `sub`, and a namespace goes with senders alone.
            assert peer.keys() == {"ref"}
            assert peer["ref"].keys() == ({"apiVersion", "kind", "name"} | ({"namespace"} if side == "from" else set()))
            assert local[peer["ref"]["kind"], peer["ref"]["name"]]["apiVersion"] == peer["ref"]["apiVersion"]


def test_whatever_an_overlay_brings_is_taken_away_by_uninstall(objects: Objects) -> None:
    for (kind, name), manifest in objects.items():
        if kind != "CustomResourceDefinition":
            assert kind_of(manifest) in (*STOPPED, *INSTALLED), (kind, name)
            assert kind_of(manifest).namespaced == ("namespace" in manifest["metadata"]), (kind, name)


@pytest.mark.parametrize(
    ("kind", "where", "field"),
    [
        ("Trigger", ("spec", "delivery"), "retries"),
        ("Broker", ("spec",), "filters"),
        ("PingSource", ("spec", "sink", "ref"), "uid"),
    ],
    ids=["delivery", "broker", "reference"],
)
def test_a_field_that_a_kind_does_not_have_is_found(
    local: Objects, kind: str, where: tuple[str, ...], field: str
) -> None:
    manifest = json.loads(json.dumps(next(m for (of, _), m in local.items() if of == kind)))
    node = manifest
    for step in where:
        node = node[step]
    node[field] = 1
    with pytest.raises(AssertionError):
        test_knatives_kinds_have_the_fields_that_they_are_given(
            {**local, (kind, manifest["metadata"]["name"]): manifest}
        )


def test_kubernetes_refuses_a_field_that_a_kind_does_not_have(local: Objects) -> None:
    account = {**local["ServiceAccount", "publish"], "spec": {}}
    with pytest.raises(kubernetes_validate.ValidationError):
        _validate(json.dumps(account), _KUBERNETES[-1])
