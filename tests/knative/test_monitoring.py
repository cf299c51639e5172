"""The monitoring component: it builds with every overlay, and what it scrapes is there and may be scraped."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Objects = dict[tuple[str, str], dict[str, Any]]

_FUNCTIONS = ["publish", "verify", "reverify", "cleanup", "audit", "api"]
_OVERLAY = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - ../knative/overlays/plain
components:
  - ../knative/monitoring
"""


@pytest.fixture(scope="module")
def watched(top: Path, build: Callable[[Path], Objects], tmp_path_factory: pytest.TempPathFactory) -> Objects:
    """Build an overlay as the README says to write it."""
    checkout = tmp_path_factory.mktemp("checkout")
    for folder in ("knative", "crds"):
        (checkout / folder).symlink_to(top / folder)
    overlay = checkout / "my-overlay"
    overlay.mkdir()
    (overlay / "kustomization.yaml").write_text(_OVERLAY)
    return build(overlay)


@pytest.mark.parametrize("function", _FUNCTIONS)
def test_every_process_is_scraped_at_its_own_port(watched: Objects, function: str) -> None:
    spec = watched["PodMonitor", "image-catalog"]["spec"]
    template = watched["Service", function]["spec"]["template"]
    assert spec["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    # The label that Knative gives each Pod of a Service, and the name that it gives the Service's only port.
    assert spec["selector"]["matchExpressions"] == [{"key": "serving.knative.dev/service", "operator": "Exists"}]
    (endpoint,) = spec["podMetricsEndpoints"]
    assert (endpoint["port"], endpoint["path"]) == ("user-port", "/metrics")
    assert template["spec"]["containers"][0]["ports"] == [{"containerPort": 8080}]


def test_prometheus_is_let_in(watched: Objects) -> None:
    policy = watched["NetworkPolicy", "image-catalog-functions-ingress"]["spec"]
    assert (
        policy["podSelector"]["matchLabels"]
        == watched["PodMonitor", "image-catalog"]["spec"]["selector"]["matchLabels"]
    )
    (rule,) = (rule for rule in policy["ingress"] if {"protocol": "TCP", "port": 8080} in rule["ports"])
    (allowed,) = rule["from"][0]["namespaceSelector"]["matchExpressions"]
    assert "openshift-user-workload-monitoring" in allowed["values"]


def test_the_dashboard_goes_where_grafana_looks_for_it(watched: Objects, top: Path) -> None:
    config = watched["ConfigMap", "image-catalog-dashboard"]
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    (text,) = config["data"].values()
    assert json.loads(text) == json.loads((top / "knative/monitoring/dashboard.json").read_text())
    # What `kubectl apply` notes beside an object has to fit into an annotation.
    assert len(json.dumps(config)) < 200_000
