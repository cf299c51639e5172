"""What docs/credentials.md has people type makes Secrets and rights that the functions can use."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import secrets
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from image_catalog.models import Reference
from image_catalog.models.secrets import PullSecret
from image_catalog.registry import check_namespace, find_credential
from image_catalog.testing.kubectl import find_kubectl
from image_catalog.testing.kubernetes_api import KubernetesApi, kubernetes_api

pytestmark = pytest.mark.skipif(
    find_kubectl() is None or shutil.which("bash") is None, reason="kubectl or bash is not installed"
)

PAGE = (Path(__file__).parents[2] / "docs/credentials.md").read_text()
IMAGE = Reference.parse("quay.io/acme/autosd:cs9")
PATIENCE = 60.0
"""Seconds for one block; each takes less than two."""


@dataclass(frozen=True)
class Reader:
    """Somebody who types what the page shows."""

    api: KubernetesApi
    home: Path
    password: str

    async def type(self, commands: str) -> str:
        """Run commands, which must succeed, and return what they print."""
        process = await asyncio.create_subprocess_exec(
            "bash",
            "-euc",
            commands,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.home),
                "KUBECONFIG": str(self.api.kubeconfig),
                "PASSWORD": self.password,
            },
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(PATIENCE):
            out, _ = await process.communicate()
        assert process.returncode == 0, f"{commands}\n{out.decode()}"
        return out.decode()

    async def get(self, path: str) -> dict[str, Any]:
        """Return an object as the API server has it."""
        answer = await self.api.client.get(path)
        assert answer.is_success, answer.text
        document: dict[str, Any] = answer.json()
        return document


@pytest.fixture
async def reader(tmp_path: Path) -> AsyncIterator[Reader]:
    password = secrets.token_urlsafe(12)
    auth = base64.b64encode(f"robot:{password}".encode()).decode()
    file = tmp_path / ".config/containers/auth.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"auths": {"quay.io": {"auth": auth}}}))
    async with kubernetes_api(tmp_path, namespace="team-a", namespaces=["team-a", "team-b", "image-catalog"]) as api:
        yield Reader(api, tmp_path, password)


def blocks(heading: str) -> list[str]:
    """Return the shell blocks below a heading."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", section, flags=re.DOTALL)


async def test_every_kind_of_secret_that_the_page_makes_opens_the_image(reader: Reader) -> None:
    ways = blocks("Secrets")[0].split("\n\n")
    assert len(ways) == 3
    types = []
    for way in ways:
        await reader.type(way)
        secret = PullSecret.from_object(await reader.get("/api/v1/namespaces/team-a/secrets/pull"))
        credential = find_credential(secret, IMAGE).credential
        assert credential
        assert (credential.username, credential.password) == ("robot", reader.password)
        assert not find_credential(secret, Reference.parse("quay.example.com/acme/autosd")).credential
        types.append(secret.type.removeprefix("kubernetes.io/"))
        await reader.type("kubectl delete secret pull")
    assert types == ["dockerconfigjson", "dockerconfigjson", "basic-auth"]


async def test_a_secret_is_shared_as_the_page_says(reader: Reader) -> None:
    await reader.type('kubectl create secret generic pull -n team-b --from-literal=token="$PASSWORD"')
    _, _, sharing = blocks("Secrets")
    await reader.type(sharing)
    secret = PullSecret.from_object(await reader.get("/api/v1/namespaces/team-b/secrets/pull"))
    for namespace in ("team-a", "team-b", "team-c"):
        check_namespace(secret, namespace)


@pytest.mark.parametrize(
    ("heading", "number", "role"),
    [
        pytest.param("Secrets", 1, "image-catalog-secret-reader", id="secrets"),
        pytest.param("OpenShift's internal registry", 0, "system:image-puller", id="images"),
    ],
)
async def test_the_owner_of_a_namespace_gives_both_functions_their_right(
    reader: Reader, heading: str, number: int, role: str
) -> None:
    await reader.type(blocks(heading)[number])
    found = await reader.get("/apis/rbac.authorization.k8s.io/v1/namespaces/team-a/rolebindings")
    (binding,) = found["items"]
    assert (binding["roleRef"]["kind"], binding["roleRef"]["name"]) == ("ClusterRole", role)
    assert [(s["namespace"], s["name"]) for s in binding["subjects"]] == [
        ("image-catalog", "publish"),
        ("image-catalog", "verify"),
    ]


async def test_both_service_accounts_get_their_role_at_aws(reader: Reader) -> None:
    for name in ("publish", "verify"):
        await reader.type(f"kubectl create serviceaccount -n image-catalog {name}")
    await reader.type(blocks("ECR")[0])
    for name in ("publish", "verify"):
        account = await reader.get(f"/api/v1/namespaces/image-catalog/serviceaccounts/{name}")
        assert "eks.amazonaws.com/role-arn" in account["metadata"]["annotations"]


async def test_kubectl_makes_a_token_that_ends_with_a_secret(reader: Reader) -> None:
    """Judge of TokenRequest as the embedded API answers it, which the functions use too."""
    await reader.type("kubectl create serviceaccount robot; kubectl create secret generic anchor")
    bound = "kubectl create token robot --bound-object-kind Secret --bound-object-name anchor"
    token = (await reader.type(bound)).strip()
    whoami: dict[str, Any] = {"headers": {"Authorization": f"Bearer {token}"}, "json": {}}
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    answer = await reader.api.client.post(path, **whoami)
    assert answer.json()["status"]["userInfo"]["username"] == "system:serviceaccount:team-a:robot"
    await reader.type("kubectl delete secret anchor")
    assert (await reader.api.client.post(path, **whoami)).status_code == 401
