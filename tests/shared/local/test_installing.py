from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from image_catalog.cluster import CATALOG_REGISTRY, KubernetesAPI, ResourceKind
from image_catalog.errors import InvalidObjectError
from image_catalog.local.installing import install
from image_catalog.local.manifests import load_manifests
from image_catalog.models.names import API_VERSION
from image_catalog.testing.cluster import InProcessCluster

ROLE = ResourceKind("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False)


@pytest.fixture
async def api() -> AsyncIterator[KubernetesAPI]:
    async with InProcessCluster() as cluster:
        yield cluster.api("admin")


def registry(**spec: Any) -> dict[str, Any]:
    spec = {"host": "quay.io", **spec}
    return {"apiVersion": API_VERSION, "kind": "CatalogRegistry", "metadata": {"name": "quay"}, "spec": spec}


async def test_the_manifests_can_be_installed_again_and_again(api: KubernetesAPI) -> None:
    documents = load_manifests()
    await install(api, documents)
    await install(api, documents)
    roles = {document["metadata"]["name"] for document in documents if document["kind"] == "ClusterRole"}
    assert roles
    for name in roles:
        assert await api.get(ROLE, name, None) is not None


async def test_what_is_there_is_brought_up_to_date(api: KubernetesAPI) -> None:
    await install(api, [registry(endpoint="http://127.0.0.1:1")])
    await install(api, [registry(endpoint="http://127.0.0.1:2")])
    found = await api.get(CATALOG_REGISTRY, "quay", None)
    assert found is not None
    assert found["spec"]["endpoint"] == "http://127.0.0.1:2"


async def test_kinds_that_the_stack_reads_itself_are_passed_over(api: KubernetesAPI) -> None:
    await install(api, [{"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "metadata": {"name": "x"}}])


async def test_an_object_that_is_wrong_is_refused(api: KubernetesAPI) -> None:
    with pytest.raises(InvalidObjectError, match=r"spec\.endpoint"):
        await install(api, [registry(endpoint="nonsense")])
