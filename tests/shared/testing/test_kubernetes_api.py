from __future__ import annotations

import base64
import stat
from pathlib import Path

import trustme
import yaml

from image_catalog.testing.kubernetes_api import client_of, kubernetes_api


async def test_the_embedded_api_answers_its_own_kubeconfig(tmp_path: Path) -> None:
    async with kubernetes_api(tmp_path, namespace="demo", namespaces=["demo"]) as api:
        namespace = await api.client.get("/api/v1/namespaces/demo")

        assert namespace.json()["status"]["phase"] == "Active"
        assert stat.S_IMODE(api.kubeconfig.stat().st_mode) == 0o600


async def test_another_cluster_is_used_by_its_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    async with (
        kubernetes_api(tmp_path / "real") as real,
        kubernetes_api(tmp_path, namespace="demo", kubeconfig=real.kubeconfig) as api,
    ):
        assert str(api.client.base_url) == str(real.client.base_url)
        assert yaml.safe_load(api.kubeconfig.read_text())["contexts"][0]["context"]["namespace"] == "demo"
        assert (await api.client.get("/api/v1/namespaces")).status_code == 200


async def test_a_client_certificate_takes_the_place_of_a_token(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("admin@example.com")

    def inline(pem: bytes) -> str:
        return base64.b64encode(pem).decode()

    user = {
        "client-certificate-data": inline(certificate.cert_chain_pems[0].bytes()),
        "client-key-data": inline(certificate.private_key_pem.bytes()),
    }
    cluster = {
        "server": "https://127.0.0.1:6443",
        "certificate-authority-data": inline(authority.cert_pem.bytes()),
    }
    kubeconfig = tmp_path / "kubeconfig"
    document = {
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    kubeconfig.write_text(yaml.safe_dump(document))

    async with client_of(kubeconfig) as client:
        assert "authorization" not in client.headers
