"""The kinds that an installation is made of, and where the API server keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from image_catalog.cluster import CATALOG_REGISTRY, CONFIG_MAP, NAMESPACE, ResourceKind

__all__ = ["CRD", "DEPLOYMENT", "INSTALLED", "STOPPED", "kind_of", "named", "subject_of"]

CRD: Final = ResourceKind(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
DEPLOYMENT: Final = ResourceKind("apps", "v1", "deployments", "Deployment")

_RBAC: Final = "rbac.authorization.k8s.io"

STOPPED: Final = (
    ResourceKind("eventing.knative.dev", "v1", "triggers", "Trigger"),
    ResourceKind("sources.knative.dev", "v1", "apiserversources", "ApiServerSource"),
    ResourceKind("sources.knative.dev", "v1", "pingsources", "PingSource"),
    ResourceKind("sources.knative.dev", "v1", "sinkbindings", "SinkBinding"),
    ResourceKind("serving.knative.dev", "v1", "services", "Service"),
)
"""What wakes a function, and the functions themselves: in this order they stop."""

INSTALLED: Final = (
    ResourceKind("eventing.knative.dev", "v1alpha1", "eventpolicies", "EventPolicy"),
    ResourceKind("eventing.knative.dev", "v1", "brokers", "Broker"),
    ResourceKind("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy"),
    ResourceKind("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget"),
    CONFIG_MAP,
    CATALOG_REGISTRY,
    ResourceKind(_RBAC, "v1", "rolebindings", "RoleBinding"),
    ResourceKind(_RBAC, "v1", "roles", "Role"),
    ResourceKind(_RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False),
    ResourceKind(_RBAC, "v1", "clusterroles", "ClusterRole", namespaced=False),
    ResourceKind("", "v1", "serviceaccounts", "ServiceAccount"),
    NAMESPACE,
)
"""What else an overlay brings, in the order in which it is taken away."""

_KINDS: Final = {(kind.api_version, kind.kind): kind for kind in (CRD, *STOPPED, *INSTALLED)}


def kind_of(manifest: Mapping[str, Any]) -> ResourceKind:
    """Return the kind of a manifest of ours.

    Raises
    ------
    KeyError
        Raised if no manifest of ours is of that kind.
    """
    return _KINDS[manifest["apiVersion"], manifest["kind"]]


def named(kind: ResourceKind, name: str, namespace: str | None = None) -> str:
    """Return an object as kubectl names it: ``trigger/verify``; a Knative Service by its short name, ``ksvc/api``."""
    short = "ksvc" if kind.group == "serving.knative.dev" else kind.kind.lower()
    where = f" in {namespace}" if namespace is not None else ""
    return f"{short}/{name}{where}"


def subject_of(manifest: Mapping[str, Any]) -> str:
    """Return a manifest's object as kubectl names it, without its namespace."""
    return named(kind_of(manifest), manifest["metadata"]["name"])
