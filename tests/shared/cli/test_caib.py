from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from image_catalog import __version__
from image_catalog.cli.caib import app
from image_catalog.cli.errors import ExitCode
from image_catalog.models.names import API_VERSION
from image_catalog.testing.kubernetes_api import KubernetesApi

RunBeside = Callable[..., asyncio.Future[Any]]
DIGEST = "sha256:" + "a" * 64


async def put(cluster: KubernetesApi, name: str, *, namespace: str = "default", **status: Any) -> None:
    path = f"/apis/{API_VERSION}/namespaces/{namespace}/catalogimages"
    spec = {
        "registryUrl": f"quay.io/acme/{name}:1.0",
        "tags": ["nightly"],
        "metadata": {"distro": "cs9", "targets": [{"name": "qemu"}, {"name": "raspberry-pi"}]},
    }
    body = {"apiVersion": API_VERSION, "kind": "CatalogImage", "metadata": {"name": name}, "spec": spec}
    assert (await cluster.client.post(path, json=body)).status_code == 201
    if status:
        headers = {"content-type": "application/merge-patch+json"}
        content = orjson.dumps({"status": status})
        answer = await cluster.client.patch(f"{path}/{name}/status", content=content, headers=headers)
        assert answer.status_code == 200


def published(at: str, architecture: str = "arm64") -> dict[str, Any]:
    registry = {"resolvedDigest": DIGEST, "platform": {"architecture": architecture, "os": "linux"}}
    return {"phase": "Available", "publishedAt": at, "registryMetadata": registry}


async def test_list_shows_the_newest_publication_first(cluster: KubernetesApi, run_beside: RunBeside) -> None:
    await put(cluster, "older", **published("2026-11-01T00:00:00Z"))
    await put(cluster, "unpublished")
    await put(cluster, "newer", **published("2026-11-02T00:00:00Z", "amd64"))
    await put(cluster, "elsewhere", namespace="team-b", **published("2026-11-03T00:00:00Z"))

    ran = await run_beside(app, "catalog", "list", "--kubeconfig", cluster.kubeconfig)

    head, *lines = ran.out.splitlines()
    assert head.split() == ["NAME", "REGISTRY", "ARCHITECTURE", "DISTRO", "TARGET", "PHASE", "AGE"]
    assert [line.split()[0] for line in lines] == ["newer", "older", "unpublished"]
    assert lines[0].split()[:6] == [
        "newer", "quay.io/acme/newer:1.0", "amd64", "cs9", "qemu,raspberry-pi", "Available",
    ]  # fmt: skip
    assert "Pending" in lines[2]
    assert (ran.code, ran.err) == (0, "")


async def test_list_of_all_namespaces_has_them_all(cluster: KubernetesApi, run_beside: RunBeside) -> None:
    await put(cluster, "here")
    await put(cluster, "there", namespace="team-b")
    ran = await run_beside(app, "catalog", "list", "-A", "--kubeconfig", cluster.kubeconfig)
    assert {line.split()[0] for line in ran.out.splitlines()[1:]} == {"here", "there"}


@pytest.mark.parametrize(
    ("arguments", "where"), [((), "namespace default"), (("-A",), "any namespace")], ids=["one", "all"]
)
async def test_an_empty_list_says_so_beside_the_output(
    cluster: KubernetesApi, run_beside: RunBeside, arguments: tuple[str, ...], where: str
) -> None:
    ran = await run_beside(app, "catalog", "list", *arguments, "--kubeconfig", cluster.kubeconfig)
    assert (ran.code, ran.out, ran.err) == (0, "", f"no images in {where}\n")


@pytest.mark.parametrize(("output", "read"), [("yaml", yaml.safe_load), ("json", orjson.loads)], ids=["yaml", "json"])
async def test_get_shows_everything_and_can_be_applied_again(
    cluster: KubernetesApi, run_beside: RunBeside, output: str, read: Callable[[str], Any]
) -> None:
    await put(cluster, "cs9", **published("2026-11-01T00:00:00Z"))

    ran = await run_beside(app, "catalog", "get", "cs9", "-o", output, "--kubeconfig", cluster.kubeconfig)

    shown = read(ran.out)
    assert (ran.code, shown["kind"]) == (0, "CatalogImage")
    assert shown["metadata"] == {"name": "cs9", "namespace": "default"}
    assert shown["status"]["registryMetadata"]["resolvedDigest"] == DIGEST
    path = f"/apis/{API_VERSION}/namespaces/default/catalogimages/cs9"
    await cluster.client.delete(path)
    again = await cluster.client.post(path.rpartition("/")[0], params={"fieldValidation": "Strict"}, json=shown)
    assert again.status_code == 201, again.text


async def test_what_is_not_there_is_said_in_one_line_with_a_code_of_its_own(
    cluster: KubernetesApi, run_beside: RunBeside
) -> None:
    ran = await run_beside(app, "catalog", "get", "x", "--kubeconfig", cluster.kubeconfig)
    assert ran.code == 4
    assert (ran.out, ran.err) == ("", 'Error: catalog image "x" not found in namespace "default"\n')


async def test_a_token_that_is_not_known_is_denied(
    cluster: KubernetesApi, run_beside: RunBeside, tmp_path: Path
) -> None:
    stranger = tmp_path / "stranger"
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    config["users"][0]["user"]["token"] = "nobody's"
    stranger.write_text(yaml.safe_dump(config))
    ran = await run_beside(app, "catalog", "list", "--kubeconfig", stranger)
    assert ran.code == ExitCode.DENIED
    assert len(ran.err.splitlines()) == 1


def nowhere(tmp_path: Path) -> Path:
    path = tmp_path / "nowhere"
    context = {"name": "a", "context": {"cluster": "a", "user": "a"}}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "a", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "a", "user": {"token": "a"}}],
        "contexts": [context],
        "current-context": "a",
    }
    path.write_text(yaml.safe_dump(config))
    return path


def broken(tmp_path: Path) -> Path:
    path = tmp_path / "broken"
    path.write_text("clusters: [\n")
    return path


@pytest.mark.parametrize(
    ("kubeconfig", "said"),
    [
        (nowhere, "cannot be reached"),
        (broken, "cannot be used"),
        (lambda tmp_path: tmp_path / "missing", "there is no kubeconfig"),
    ],
    ids=["nobody listens", "no YAML", "no file"],
)
def test_a_kubeconfig_that_leads_nowhere_is_named_in_one_line(
    run: Callable[..., Any], tmp_path: Path, kubeconfig: Callable[[Path], Path], said: str
) -> None:
    path = kubeconfig(tmp_path)
    ran = run(app, "catalog", "list", "--kubeconfig", path)
    assert (ran.code, len(ran.err.splitlines())) == (ExitCode.ERROR, 1)
    assert str(path) in ran.err
    assert said in ran.err


def test_kubectls_own_place_is_where_the_kubeconfig_is_looked_for(
    run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert str(tmp_path / ".kube" / "config") in run(app, "catalog", "list").err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--nope",),
        ("nonsense",),
        ("catalog", "get"),
        ("catalog", "get", "x", "-o", "xml"),
        ("catalog", "list", "--nope"),
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_is_one_line_and_where_to_read_on(
    run: Callable[..., Any], arguments: tuple[str, ...]
) -> None:
    ran = run(app, *arguments)
    assert ran.code == 2
    assert len(ran.err.splitlines()) == 1
    assert ran.err.startswith("Error: ")
    assert ran.err.rstrip().endswith("--help")


@pytest.mark.parametrize("arguments", [(), ("catalog",)], ids=["caib", "caib catalog"])
def test_a_group_without_a_command_shows_its_help(run: Callable[..., Any], arguments: tuple[str, ...]) -> None:
    ran = run(app, *arguments)
    assert ran.code == ExitCode.USAGE
    assert "Commands" in ran.out + ran.err


def test_the_version_is_the_packages(run: Callable[..., Any]) -> None:
    ran = run(app, "--version")
    assert (ran.code, ran.out) == (0, f"caib {__version__}\n")
