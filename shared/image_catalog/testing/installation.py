"""An installation of the catalog in an embedded cluster: whole, and ready as Knative's controllers would say.

::

    cluster = InProcessCluster()
    install_catalog(cluster.server)
    change(cluster.server, "Trigger", "verify", status={"conditions": [...]})
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from image_catalog.local.kubernetes.app import Cluster
from image_catalog.local.manifests import load_manifests
from image_catalog.testing.cluster import FUNCTIONS_NAMESPACE

__all__ = ["READY", "change", "install_catalog", "operator_deployment"]

READY: Final = {"conditions": [{"type": "Ready", "status": "True"}]}
"""What a Knative object's status says when all is well."""

_KINDS: Final = {
    "eventing.knative.dev/v1": {"Broker": "brokers", "Trigger": "triggers"},
    "eventing.knative.dev/v1alpha1": {"EventPolicy": "eventpolicies"},
    "sources.knative.dev/v1": {
        "ApiServerSource": "apiserversources",
        "PingSource": "pingsources",
        "SinkBinding": "sinkbindings",
    },
    "serving.knative.dev/v1": {"Service": "services"},
    "apps/v1": {"Deployment": "deployments"},
    "networking.k8s.io/v1": {"NetworkPolicy": "networkpolicies"},
    "policy/v1": {"PodDisruptionBudget": "poddisruptionbudgets"},
}
"""Kinds that the embedded API does not know by itself."""


def install_catalog(cluster: Cluster) -> None:
    """Put everything there that the local overlay installs, ready as on a cluster where all is well."""
    for api_version, kinds in _KINDS.items():
        for kind, plural in kinds.items():
            cluster.apply(_definition(api_version, kind, plural))
    for manifest in _manifests():
        if manifest["kind"] == "CustomResourceDefinition" and _serves(cluster, manifest):
            continue
        knative = ".knative.dev/" in manifest["apiVersion"]
        status: dict[str, Any] = dict(READY) if knative else {}
        if manifest["kind"] == "Broker":
            status["address"] = {
                "url": f"http://broker-ingress.knative-eventing.svc.cluster.local/{FUNCTIONS_NAMESPACE}/broker"
            }
        cluster.apply({**manifest, "status": status} if status else manifest)


def change(cluster: Cluster, kind: str, name: str, **fields: Any) -> None:
    """Replace top-level fields of an object that the local overlay installs."""
    (manifest,) = [m for m in _manifests() if (m["kind"], m["metadata"]["name"]) == (kind, name)]
    cluster.apply({**manifest, **fields})


def operator_deployment(
    *, namespace: str = "automotive-dev-operator-system", arguments: tuple[str, ...] = (), **fields: Any
) -> Mapping[str, Any]:
    """Return the build operator as its own manifests deploy it, with the rights' account that they name.

    Parameters
    ----------
    namespace
        Where it runs.
    arguments
        What its manager is started with.
    fields
        More of the container: ``env`` for example.
    """
    container = {"name": "manager", "command": ["/manager"], "args": ["--leader-elect", *arguments], **fields}
    pod = {"serviceAccountName": "ado-controller-manager", "containers": [container]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "ado-controller-manager",
            "namespace": namespace,
            "labels": {"app.kubernetes.io/name": "automotive-dev-operator", "control-plane": "controller-manager"},
        },
        "spec": {"replicas": 1, "template": {"spec": pod}},
    }


@cache
def _manifests() -> tuple[dict[str, Any], ...]:
    """Return what is installed, read once: every test needs it, and none changes it."""
    return tuple(load_manifests())


def _serves(cluster: Cluster, definition: Mapping[str, Any]) -> bool:
    """Tell whether a kind is there already, because its schema takes long to compile."""
    spec = definition["spec"]
    return (
        cluster.registry.find_kind(f"{spec['group']}/{spec['versions'][0]['name']}", spec["names"]["kind"]) is not None
    )


def _definition(api_version: str, kind: str, plural: str) -> dict[str, Any]:
    """Define a kind that takes every shape: what its own schema says is somebody else's test."""
    group, _, version = api_version.partition("/")
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
            "scope": "Namespaced",
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
                }
            ],
        },
    }
