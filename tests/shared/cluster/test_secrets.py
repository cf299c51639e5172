"""Secrets: read one by one, and shown to nobody."""

from __future__ import annotations

import base64
import secrets

import pytest

from image_catalog.cluster import SECRET, KubernetesAPI, Secrets
from image_catalog.errors import ClusterUnavailableError, SecretError
from image_catalog.testing.cluster import Effect, InProcessCluster

NS = "team-a"


async def store(api: KubernetesAPI, data: dict[str, bytes]) -> None:
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    metadata = {"name": "pull", "annotations": {"automotive.sdv.cloud.redhat.com/registry-host": "quay.io"}}
    await api.create(SECRET, {"metadata": metadata, "type": "Opaque", "data": encoded}, NS)


async def test_secret_is_decoded_and_hides_its_values(api: KubernetesAPI) -> None:
    planted = secrets.token_urlsafe(16)
    await store(api, {"username": b"robot", "password": planted.encode()})
    found = await Secrets(api=api).get(NS, "pull")
    assert found is not None
    assert found.data == {"username": b"robot", "password": planted.encode()}
    assert found.annotations == {"automotive.sdv.cloud.redhat.com/registry-host": "quay.io"}
    assert found.type == "Opaque"
    assert found.resource_version
    assert planted not in repr(found)


async def test_absent_secret_is_none(api: KubernetesAPI) -> None:
    assert await Secrets(api=api).get(NS, "absent") is None


async def test_forbidden_secret_names_the_command_that_allows_it(cluster: InProcessCluster, api: KubernetesAPI) -> None:
    cluster.fail(Effect.FORBIDDEN, resource="secrets")
    with pytest.raises(SecretError) as caught:
        await Secrets(api=api, service_accounts=["catalog:verify"]).get(NS, "pull")
    assert caught.value.reason == "SecretForbidden"
    assert caught.value.message.endswith(
        "kubectl create rolebinding image-catalog-secret-reader --clusterrole=image-catalog-secret-reader "
        "--serviceaccount=catalog:verify --namespace=team-a"
    )


async def test_role_binding_of_the_owner_opens_the_namespace(cluster: InProcessCluster, api: KubernetesAPI) -> None:
    await store(api, {"username": b"robot"})
    ours = Secrets(api=cluster.api("verify", restricted=True))
    with pytest.raises(SecretError, match="is not allowed"):
        await ours.get(NS, "pull")
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "image-catalog-secret-reader"}
    kind = {"apiVersion": "rbac.authorization.k8s.io/v1"}
    rules = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]
    cluster.server.apply({**kind, "kind": "ClusterRole", "metadata": {"name": role["name"]}, "rules": rules})
    subject = {"kind": "ServiceAccount", "name": "verify", "namespace": "image-catalog"}
    metadata = {"name": role["name"], "namespace": NS}
    binding = {**kind, "kind": "RoleBinding", "metadata": metadata, "roleRef": role, "subjects": [subject]}
    cluster.server.apply(binding)
    assert await ours.get(NS, "pull") is not None


async def test_unreachable_cluster_is_no_fault_of_the_secret(cluster: InProcessCluster, api: KubernetesAPI) -> None:
    cluster.fail(Effect.UNAVAILABLE, resource="secrets")
    with pytest.raises(ClusterUnavailableError):
        await Secrets(api=api).get(NS, "pull")


async def test_value_that_is_no_base64_is_said_without_being_shown(
    cluster: InProcessCluster, api: KubernetesAPI
) -> None:
    await store(api, {"password": b"x"})
    cluster.store_unchecked(SECRET, "pull", NS, {"data": {"password": "%%planted%%"}})
    with pytest.raises(SecretError, match="no base64") as caught:
        await Secrets(api=api).get(NS, "pull")
    assert caught.value.reason == "SecretInvalid"
    assert "planted" not in str(caught.value)
