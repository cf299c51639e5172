"""Puts the manifests' ordinary Kubernetes objects into a cluster, as `kubectl apply` would."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from image_catalog.cluster import KubernetesAPI, ResourceKind
from image_catalog.errors import AlreadyExistsError, ClusterUnavailableError, WriteConflictError
from image_catalog.models.names import API_VERSION

__all__ = ["install"]

_KINDS = {
    ("v1", "Namespace"): ("namespaces", False),
    ("v1", "ServiceAccount"): ("serviceaccounts", True),
    ("v1", "ConfigMap"): ("configmaps", True),
    ("v1", "Secret"): ("secrets", True),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"): ("customresourcedefinitions", False),
    ("rbac.authorization.k8s.io/v1", "Role"): ("roles", True),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): ("rolebindings", True),
    ("rbac.authorization.k8s.io/v1", "ClusterRole"): ("clusterroles", False),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): ("clusterrolebindings", False),
    (API_VERSION, "CatalogRegistry"): ("catalogregistries", False),
}
"""What is installed. Knative's kinds are not among it: the stack reads those itself."""

_TRIES = 50
_PAUSE = timedelta(milliseconds=100)
"""A real API server needs a moment until it serves a kind that was just defined."""


async def install(api: KubernetesAPI, documents: Iterable[dict[str, Any]]) -> None:
    """Create every object, or bring it up to date.

    Parameters
    ----------
    api
        The cluster, as somebody who may create all of it.
    documents
        Objects in the order of a manifest; kinds that the stack interprets
        itself are passed over.

    Raises
    ------
    ForbiddenError
        Raised if the kubeconfig's user may not create an object.
    ClusterUnavailableError
        Raised if the API server does not answer.
    """
    for document in documents:
        key = (document["apiVersion"], document["kind"])
        if key in _KINDS:
            plural, namespaced = _KINDS[key]
            group, _, version = document["apiVersion"].rpartition("/")
            await _apply(api, ResourceKind(group, version, plural, document["kind"], namespaced), document)


async def _apply(api: KubernetesAPI, kind: ResourceKind, document: dict[str, Any]) -> None:
    metadata = document["metadata"]
    namespace = metadata.get("namespace", "default") if kind.namespaced else None
    for attempt in range(1, _TRIES + 1):
        try:
            await api.create(kind, document, namespace)
        except AlreadyExistsError:
            current = await api.get(kind, metadata["name"], namespace)
            version = current["metadata"]["resourceVersion"] if current else None
            await api.patch(kind, metadata["name"], namespace, document, resource_version=version)
        except (ClusterUnavailableError, WriteConflictError):
            if attempt == _TRIES:
                raise
            await asyncio.sleep(_PAUSE.total_seconds())
            continue
        return
