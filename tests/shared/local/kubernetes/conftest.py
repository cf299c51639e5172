"""An embedded cluster whose time and chance the tests hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from image_catalog.local.kubernetes import Cluster
from image_catalog.testing.clock import StillClock
from image_catalog.testing.kubernetes_requests import KubernetesRequests

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["spec"],
    "properties": {
        "spec": {
            "type": "object",
            "required": ["url"],
            "properties": {
                "url": {"type": "string"},
                "mode": {"type": "string", "default": "image"},
                "tags": {"type": "array", "items": {"type": "string"}},
            },
        },
        "status": {"type": "object", "properties": {"phase": {"type": "string"}, "count": {"type": "integer"}}},
    },
}


def crd(kind: str, *, namespaced: bool = True, **version: Any) -> dict[str, Any]:
    plural = f"{kind.lower()}s"
    served = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": SCHEMA},
        "subresources": {"status": {}},
        "selectableFields": [{"jsonPath": ".status.phase"}],
        **version,
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.test.example.com"},
        "spec": {
            "group": "test.example.com",
            "scope": "Namespaced" if namespaced else "Cluster",
            "names": {"plural": plural, "kind": kind},
            "versions": [served],
        },
    }


@pytest.fixture
def clock() -> StillClock:
    return StillClock(datetime(2026, 1, 1, 12, tzinfo=UTC))


@pytest.fixture
def cluster(clock: StillClock) -> Cluster:
    made = Cluster(
        clock=clock,
        random=Random(7),  # noqa: S311 - uids and names, no secrets
        history=8,
        namespace_grace=timedelta(milliseconds=20),
    )
    made.apply(crd("Widget"))
    made.apply(crd("Rack", namespaced=False))
    made.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}})
    return made


@pytest.fixture
def ask(cluster: Cluster) -> KubernetesRequests:
    return KubernetesRequests(cluster)
