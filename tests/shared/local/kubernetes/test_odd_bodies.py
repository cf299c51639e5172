"""Whatever a client sends, the API answers with a Status and never breaks."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from image_catalog.local.kubernetes import Cluster
from image_catalog.local.kubernetes.objects.shapes import METADATA, SHAPES, Shape
from image_catalog.local.kubernetes.resources import Resource
from image_catalog.testing.kubernetes_requests import KubernetesRequests

CLUSTER = Cluster(clock=lambda: datetime(2026, 1, 1, tzinfo=UTC), random=Random(1))  # noqa: S311 - no secrets
CLUSTER.apply(json.loads((Path(__file__).parents[3] / "contract" / "kubernetes" / "gadget-crd.json").read_text()))
SERVED = CLUSTER.registry.all()

EACH = settings().max_examples // 5
"""Examples of each resource: there are many resources, and what they share is reached by all of them."""

SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "a", "Role", "-", "µ\n", "1"])
NAMES = st.sampled_from(
    [
        *("name", "namespace", "uid", "kind", "apiVersion", "labels", "annotations", "finalizers", "ownerReferences"),
        *("metadata", "data", "stringData", "type", "spec", "status", "subjects", "roleRef", "rules", "involvedObject"),
        *("names", "versions", "plural", "group", "scope", "schema", "openAPIV3Schema", "leaseDurationSeconds", "user"),
        *("groups", "token", "audiences", "expirationSeconds", "resourceAttributes", "verb", "preconditions", "x"),
    ]
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12
)


def fitting(shape: Shape) -> st.SearchStrategy[Any]:
    """Make values that pass the check of types, so that what stands behind it is reached."""
    if isinstance(shape, list):
        return st.lists(fitting(shape[0]), max_size=2)
    if isinstance(shape, dict):
        if "*" in shape:
            return st.dictionaries(NAMES, fitting(shape["*"]), max_size=2)
        return st.fixed_dictionaries({}, optional={name: fitting(part) for name, part in shape.items()})
    made = {str: st.sampled_from(["", "a", "Role", "%"]), int: st.integers(-9, 9), bool: st.booleans()}
    return made.get(shape, st.just({}))


ODD_METADATA = {name: fitting(shape) | JSON for name, shape in METADATA.items() if name != "name"}


def bodies(resource: Resource) -> st.SearchStrategy[Any]:
    shape = SHAPES.get(resource.group_resource, {"spec": {"url": str, "tags": [str]}, "status": {"size": int}})
    name = st.just({"name": "a"}) | st.fixed_dictionaries({"name": st.just("a")}, optional=ODD_METADATA)
    right = st.fixed_dictionaries({"metadata": name}, optional={field: fitting(part) for field, part in shape.items()})
    wrong = st.fixed_dictionaries({"metadata": name}, optional=dict.fromkeys(shape, JSON))
    return right | wrong | st.dictionaries(NAMES, JSON, max_size=4) | JSON


@pytest.mark.parametrize("resource", SERVED, ids=lambda resource: resource.group_resource)
@settings(max_examples=EACH, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_odd_bodies_get_a_status(resource: Resource, data: st.DataObject) -> None:
    body, patch = data.draw(bodies(resource)), data.draw(bodies(resource))
    ask = KubernetesRequests(CLUSTER)
    path = resource.path("default" if resource.namespaced else None)

    async def story() -> None:
        for method, where, sent in (
            ("POST", path, body),
            ("PATCH", f"{path}/a", patch),
            ("PUT", f"{path}/a", body),
            ("DELETE", f"{path}/a", patch),
        ):
            answer = await ask(method, where, sent)
            assert answer.json().get("reason") != "InternalError", (method, sent)

    asyncio.run(story())
