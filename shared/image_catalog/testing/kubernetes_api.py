"""A Kubernetes API for tests that speak to it over HTTPS: the embedded one, or a real one by its kubeconfig."""

from __future__ import annotations

import base64
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from tempfile import NamedTemporaryFile
from typing import Any

import httpx
import yaml

from image_catalog.local.kubernetes import Cluster, EmbeddedKubernetes

__all__ = ["KubernetesApi", "client_of", "kubernetes_api"]


@dataclass(frozen=True, slots=True)
class KubernetesApi:
    """An API that answers.

    Attributes
    ----------
    kubeconfig
        For ``kubectl``; its context names the namespace that was asked for.
    client
        With the same rights, for what a test does beside ``kubectl``.
    """

    kubeconfig: Path
    client: httpx.AsyncClient


@asynccontextmanager
async def kubernetes_api(
    folder: Path,
    *,
    namespace: str = "default",
    kubeconfig: Path | None = None,
    crds: Iterable[Mapping[str, Any]] = (),
    namespaces: Sequence[str] = (),
) -> AsyncIterator[KubernetesApi]:
    """Serve the embedded API, or use a real one.

    Parameters
    ----------
    folder
        Where the kubeconfig is written.
    namespace
        The namespace of its context.
    kubeconfig
        Of a real cluster, which then is used as it is; without it, the embedded API is started.
    crds
        Manifests that the embedded API starts with.
    namespaces
        Namespaces that the embedded API starts with.
    """
    path = folder / "kubeconfig"
    if kubeconfig is not None:
        _copy(kubeconfig, path, namespace)
        async with client_of(path) as client:
            yield KubernetesApi(path, client)
        return
    cluster = Cluster(clock=lambda: datetime.now(UTC), random=Random())  # noqa: S311  # uids and names, no secrets
    embedded = EmbeddedKubernetes(
        cluster=cluster, kubeconfig_path=path, crds=crds, namespaces=namespaces, namespace=namespace
    )
    async with embedded, client_of(path) as client:
        yield KubernetesApi(path, client)


def client_of(kubeconfig: Path) -> httpx.AsyncClient:
    """Build a client from the current context of a kubeconfig: a token or a client certificate, a CA inline.

    Parameters
    ----------
    kubeconfig
        With everything inline; files that it might name are not read.
    """
    document = yaml.safe_load(kubeconfig.read_text())
    cluster, user = _current(document, "cluster"), _current(document, "user")
    tls = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
    if "client-key-data" in user:
        with NamedTemporaryFile() as pair:
            pair.write(base64.b64decode(user["client-certificate-data"]) + b"\n")
            pair.write(base64.b64decode(user["client-key-data"]))
            pair.flush()
            tls.load_cert_chain(pair.name)
    return httpx.AsyncClient(base_url=cluster["server"], verify=tls, headers=headers)


def _copy(kubeconfig: Path, path: Path, namespace: str) -> None:
    document = yaml.safe_load(kubeconfig.read_text())
    _current(document, "context")["namespace"] = namespace
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(document))


def _current(document: Mapping[str, Any], part: str) -> dict[str, Any]:
    """Return the context, cluster or user that the current context of a kubeconfig is made of."""
    context = next(entry for entry in document["contexts"] if entry["name"] == document["current-context"])
    wanted = context["name"] if part == "context" else context["context"][part]
    found: dict[str, Any] = next(entry for entry in document[f"{part}s"] if entry["name"] == wanted)[part]
    return found
