"""The API over HTTPS, and what it leaves out."""

from __future__ import annotations

import asyncio
import stat
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
import yaml

from image_catalog.errors import PermanentError
from image_catalog.local.kubernetes import Cluster, EmbeddedKubernetes, create_app
from image_catalog.local.kubernetes.left_out import ANSWERED_OTHERWISE, LEFT_OUT
from image_catalog.testing.kubernetes_api import client_of
from image_catalog.testing.kubernetes_requests import KubernetesRequests

WIDGETS = "/apis/test.example.com/v1/namespaces/team/widgets"


async def test_a_kubeconfig_is_all_that_a_client_needs(cluster: Cluster, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "kubeconfig"
    async with EmbeddedKubernetes(
        cluster=cluster, kubeconfig_path=path, namespaces=["made"], namespace="made"
    ) as embedded:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        context = yaml.safe_load(path.read_text())["contexts"][0]["context"]
        assert context["namespace"] == "made"
        async with client_of(path) as client:
            assert (await client.get("/api/v1/namespaces/made")).status_code == 200
        account = embedded.service_account_kubeconfig(tmp_path / "account", namespace="made", name="worker")
        async with client_of(account) as client:
            review = await client.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", json={})
            assert review.json()["status"]["userInfo"]["username"] == "system:serviceaccount:made:worker"


async def test_a_client_must_trust_the_authority(cluster: Cluster, tmp_path: Path) -> None:
    async with EmbeddedKubernetes(cluster=cluster, kubeconfig_path=tmp_path / "kubeconfig") as embedded:
        async with httpx.AsyncClient() as client:
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await client.get(f"{embedded.url}/version")
        assert embedded.ca_pem.startswith(b"-----BEGIN CERTIFICATE-----")


async def test_a_taken_port_is_told_in_one_line(cluster: Cluster, tmp_path: Path) -> None:
    async with EmbeddedKubernetes(cluster=cluster, kubeconfig_path=tmp_path / "one") as embedded:
        port = int(embedded.url.rpartition(":")[2])
        second = EmbeddedKubernetes(cluster=cluster, kubeconfig_path=tmp_path / "two", port=port)
        with pytest.raises(PermanentError, match=f"port {port} of 127.0.0.1 is taken"):
            await second.__aenter__()


async def test_stopping_ends_the_watches_within_two_seconds(cluster: Cluster, tmp_path: Path) -> None:
    async with EmbeddedKubernetes(cluster=cluster, kubeconfig_path=tmp_path / "kubeconfig") as embedded:
        client = client_of(embedded.kubeconfig_path)
        stream = client.stream("GET", "/api/v1/namespaces?watch=true")
        response = await stream.__aenter__()
        lines = response.aiter_lines()
        await anext(lines)
        started = asyncio.get_running_loop().time()
    async for _ in lines:
        pass
    assert asyncio.get_running_loop().time() - started < 2
    await stream.__aexit__(None, None, None)
    await client.aclose()


async def test_the_same_state_can_be_served_again(cluster: Cluster, tmp_path: Path) -> None:
    for number in range(2):
        async with (
            EmbeddedKubernetes(cluster=cluster, kubeconfig_path=tmp_path / "kubeconfig") as embedded,
            client_of(embedded.kubeconfig_path) as client,
        ):
            body = {"metadata": {"name": f"c{number}"}}
            assert (await client.post("/api/v1/namespaces/team/configmaps", json=body)).status_code == 201
            listed = (await client.get("/api/v1/namespaces/team/configmaps")).json()["items"]
            assert len(listed) == number + 1
            async with client.stream("GET", "/api/v1/namespaces/team/configmaps?watch=true") as watch:
                assert "c0" in await anext(watch.aiter_lines())


async def test_an_app_makes_its_own_cluster() -> None:
    app = create_app()
    made = app.state.cluster
    assert isinstance(made, Cluster)
    assert (await KubernetesRequests(made)("GET", "/api/v1/namespaces/default")).status_code == 200


async def test_a_fault_inside_is_a_status_too(cluster: Cluster) -> None:
    def failing(**_facts: object) -> None:
        raise RuntimeError("the hook is broken")

    cluster.on_request = failing
    answer = await KubernetesRequests(cluster)("GET", WIDGETS)
    assert (answer.status_code, answer.json()["reason"]) == (500, "InternalError")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        pytest.param("/nothing", 404, id="unknown path"),
        pytest.param("/openapi/v3/apis/nope/v1", 404, id="unknown document"),
        pytest.param("/openapi/v2", 200, id="v2"),
        pytest.param("/apis/test.example.com/v1/namespaces/team/widgets/a/status/deep", 404, id="too deep"),
        pytest.param("/apis/test.example.com/v1//widgets", 404, id="an empty part"),
    ],
)
async def test_other_paths(ask: KubernetesRequests, path: str, code: int) -> None:
    assert (await ask("GET", path)).status_code == code


async def test_an_openapi_document_is_not_sent_twice(ask: KubernetesRequests) -> None:
    index = (await ask("GET", "/openapi/v3")).json()
    url = index["paths"]["apis/test.example.com/v1"]["serverRelativeURL"]
    first = await ask("GET", url)
    assert first.headers["cache-control"] == "public, immutable"
    again = await ask("GET", url, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
APPLY = {"Content-Type": "application/apply-patch+yaml"}
CONVERTED = {"metadata": {"name": "a"}, "spec": {"names": {}, "conversion": {"strategy": "Webhook"}}}
LEFT_OUT_REQUESTS: dict[str, tuple[str, str, dict[str, Any], dict[str, str]]] = {
    "conversion webhooks": ("POST", CRDS, CONVERTED, {}),
    "namespace finalize": ("PUT", "/api/v1/namespaces/team/finalize", {}, {}),
    "server-side apply": ("PATCH", f"{WIDGETS}/a?fieldManager=m", {}, APPLY),
}


@pytest.mark.parametrize("what", sorted(LEFT_OUT), ids=str)
async def test_what_is_left_out_says_so(ask: KubernetesRequests, what: str) -> None:
    method, path, body, headers = LEFT_OUT_REQUESTS[what]
    answer = await ask(method, path, body, headers=headers)
    assert answer.status_code == 501
    assert answer.json()["reason"] == "NotImplemented"
    assert what in answer.json()["message"]
    assert LEFT_OUT[what] in answer.json()["message"]


def test_every_difference_has_its_reason() -> None:
    assert all(reason.strip() for reason in (*LEFT_OUT.values(), *ANSWERED_OTHERWISE.values()))
    assert not LEFT_OUT.keys() & ANSWERED_OTHERWISE.keys()


def test_a_seed_makes_the_same_names() -> None:
    def uid(seed: int) -> str:
        made = Cluster(clock=lambda: datetime(2026, 1, 1, tzinfo=UTC), random=Random(seed))  # noqa: S311 - no secrets
        stored = made.store.bucket(("", "namespaces")).get(("", "default"))
        assert stored is not None
        return str(stored.body["metadata"]["uid"])

    assert uid(1) == uid(1) != uid(2)
