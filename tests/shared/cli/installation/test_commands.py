"""``image-catalog check`` and ``uninstall`` as people run them, on a cluster that listens."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from image_catalog.cli.errors import ExitCode
from image_catalog.cli.installation import Reach, probe
from image_catalog.cli.operator import app
from image_catalog.local.kubernetes.app import Cluster
from image_catalog.local.kubernetes.server import EmbeddedKubernetes
from image_catalog.models.names import API_VERSION, FINALIZER
from image_catalog.testing.background import in_background
from image_catalog.testing.installation import change, install_catalog, operator_deployment

Run = Callable[..., Any]


@pytest.fixture
def kubernetes(tmp_path: Path) -> Iterator[EmbeddedKubernetes]:
    """Return a cluster with the catalog and an entry in it, whose API listens."""
    cluster = Cluster(clock=lambda: datetime.now(UTC), random=random.Random(0))  # noqa: S311  # guards nothing
    embedded = EmbeddedKubernetes(
        cluster=cluster, kubeconfig_path=tmp_path / "kubeconfig", namespaces=["image-catalog", "ado"]
    )
    with in_background(embedded):
        install_catalog(cluster)
        cluster.apply(
            {
                "apiVersion": API_VERSION,
                "kind": "CatalogImage",
                "metadata": {"name": "sample", "namespace": "default", "finalizers": [FINALIZER]},
                "spec": {"registryUrl": "quay.io/org/sample:1"},
            }
        )
        yield embedded


@pytest.fixture
def on(run: Run, kubernetes: EmbeddedKubernetes) -> Run:
    """Run a command on that cluster."""
    return lambda *words: run(app, *words, "--kubeconfig", kubernetes.kubeconfig_path)


def test_a_check_says_a_line_for_each_thing_and_counts_them(on: Run) -> None:
    ran = on("check")
    assert ran.code == ExitCode.DONE, ran.out
    lines = ran.out.splitlines()
    assert "✓ delivery    trigger/verify: ready" in lines
    # From here the Broker's name is not known, which is no fault of the installation.
    unknown = next(i for i, line in enumerate(lines) if line.startswith("?"))
    assert "inside the cluster alone" in lines[unknown]
    assert lines[unknown + 1].strip().startswith("→ run the check in a Pod to know")
    assert ran.err.endswith(" well, 1 not to be told from here\n")


def test_a_check_fails_where_something_is_wrong(on: Run, kubernetes: EmbeddedKubernetes) -> None:
    condition = {"type": "Ready", "status": "False", "reason": "BrokerNotFound", "message": "no broker"}
    change(kubernetes.cluster, "Trigger", "verify", status={"conditions": [condition]})
    ran = on("check", "-o", "json")
    assert ran.code == ExitCode.ERROR
    answer = json.loads(ran.out)
    assert answer["ok"] is False
    assert [one for one in answer["checks"] if one["state"] == "wrong"] == [
        {
            "check": "delivery",
            "subject": "trigger/verify",
            "state": "wrong",
            "message": "not ready: BrokerNotFound: no broker",
            "remedy": "kubectl -n image-catalog describe trigger/verify",
        }
    ]


def test_a_check_refuses_beside_the_operators_controller(on: Run, kubernetes: EmbeddedKubernetes) -> None:
    rbac = "rbac.authorization.k8s.io"
    kubernetes.cluster.apply(operator_deployment(namespace="ado"))
    kubernetes.cluster.apply(
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "operator"},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "image-catalog-verify"},
            "subjects": [{"kind": "ServiceAccount", "name": "ado-controller-manager", "namespace": "ado"}],
        }
    )
    # It patches the status with the rights of verify, and its own would let it update.
    assert on("check").code == ExitCode.DONE
    role = {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": {"name": "image-catalog-verify"}}
    kubernetes.cluster.apply({**role, "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]})
    ran = on("check")
    assert ran.code == ExitCode.ERROR
    assert "✗ operator    ado/deployment/ado-controller-manager: reconciles CatalogImages" in ran.out


def test_a_cluster_that_does_not_answer_ends_the_check(
    run: Run, tmp_path: Path, kubernetes: EmbeddedKubernetes
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nowhere = f"https://127.0.0.1:{taken.getsockname()[1]}"
    config = tmp_path / "nowhere"
    config.write_text(kubernetes.kubeconfig_path.read_text().replace(kubernetes.url, nowhere))
    ran = run(app, "check", "--kubeconfig", config)
    assert ran.code == ExitCode.ERROR
    assert ran.err.startswith("Error: get customresourcedefinitions")


def test_a_context_without_a_kubeconfig_is_a_mistake(run: Run) -> None:
    ran = run(app, "check", "--context", "production")
    assert (ran.code, ran.err.splitlines()[0]) == (
        ExitCode.ERROR,
        'Error: there is no kubeconfig with a context "production"',
    )


def test_a_removal_that_nobody_confirms_does_nothing(on: Run, kubernetes: EmbeddedKubernetes) -> None:
    ran = on("uninstall", "--remove")
    assert ran.code == ExitCode.USAGE
    assert "say --yes" in ran.err
    assert "take the finalizer off 1 entry in default" in ran.out
    assert _finalizers(kubernetes) == [FINALIZER]


def test_a_dry_run_does_nothing(on: Run, kubernetes: EmbeddedKubernetes) -> None:
    ran = on("uninstall", "--remove", "--delete-entries", "--dry-run", "--yes")
    assert ran.code == ExitCode.DONE
    assert "delete 1 entry, in every namespace" in ran.out.splitlines()
    assert _finalizers(kubernetes) == [FINALIZER]


def test_a_removal_does_what_it_said(on: Run, kubernetes: EmbeddedKubernetes) -> None:
    ran = on("uninstall", "--yes")
    assert ran.code == ExitCode.DONE
    assert ran.out.splitlines()[-2:] == ["let go of catalogimage/sample in default", "done"]
    assert _finalizers(kubernetes) == []
    assert on("uninstall", "--yes").out == "nothing of the catalog is left to take away\n"


def _finalizers(kubernetes: EmbeddedKubernetes) -> list[str]:
    (stored,) = kubernetes.cluster.store.bucket(("automotive.sdv.cloud.redhat.com", "catalogimages")).select(None)
    return list(stored.body["metadata"].get("finalizers", []))


async def test_an_address_is_asked_once(kubernetes: EmbeddedKubernetes) -> None:
    assert await probe("http://no-such-name.invalid/") is Reach.NO_SUCH_NAME
    # Its certificate is trusted by nobody here.
    assert await probe(kubernetes.url) is Reach.SILENT


async def test_any_answer_of_an_address_will_do() -> None:
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    thread = Thread(target=server.handle_request)
    thread.start()
    assert await probe(f"http://127.0.0.1:{server.server_port}/") is Reach.ANSWERED
    thread.join()
    server.server_close()
