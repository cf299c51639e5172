"""The API over HTTPS: a certificate authority made at start, a port, and a kubeconfig that knows both."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

import trustme
import yaml

from image_catalog.local.kubernetes.app import Cluster, create_app
from image_catalog.local.serving import LoopbackServer

__all__ = ["EmbeddedKubernetes", "kubeconfig"]

_GRACE = timedelta(seconds=1)
"""How long answers may go on at the end; watches have been ended before."""


class EmbeddedKubernetes:
    """Serves a cluster's API on a loopback port while the context lasts.

    Parameters
    ----------
    cluster
        The state that is served.
    kubeconfig_path
        Where the kubeconfig is written, readable by its owner alone.
    port
        0 for any free port.
    crds
        Manifests of CustomResourceDefinitions to install.
    namespaces
        Namespaces to create.
    namespace
        The namespace of the kubeconfig's context.

    Attributes
    ----------
    server
        What listens: it may be stopped and started without the cluster's state being lost.
    """

    def __init__(
        self,
        *,
        cluster: Cluster,
        kubeconfig_path: Path,
        port: int = 0,
        crds: Iterable[Mapping[str, Any]] = (),
        namespaces: Sequence[str] = (),
        namespace: str = "default",
    ) -> None:
        self.cluster = cluster
        self.kubeconfig_path = kubeconfig_path
        self._crds = tuple(crds)
        self._namespaces = tuple(namespaces)
        self._namespace = namespace
        self._authority = trustme.CA()
        self.server = LoopbackServer(create_app(cluster), port=port, certificate=self._authority, grace=_GRACE)

    @property
    def url(self) -> str:
        """Return the API's base URL; the port is known once the context was entered."""
        return self.server.url

    @property
    def ca_pem(self) -> bytes:
        """Return the certificate that clients must trust."""
        return self._authority.cert_pem.bytes()

    async def __aenter__(self) -> Self:
        """Start to serve.

        Raises
        ------
        PermanentError
            When the port is taken.
        """
        for manifest in self._crds:
            self.cluster.apply(manifest)
        for name in self._namespaces:
            self.cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        await self.server.start()
        self._write_kubeconfig()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End every watch, answer what is under way, and stop."""
        self.cluster.close()
        await self.server.stop()

    def service_account_token(self, namespace: str, name: str) -> str:
        """Issue a token for a service account, which is created when it is absent."""
        return self.cluster.service_account_token(namespace, name)

    def service_account_kubeconfig(self, path: Path, *, namespace: str, name: str) -> Path:
        """Write a kubeconfig that acts as a service account, as a function's pod does.

        Parameters
        ----------
        path
            Where it is written, readable by its owner alone.
        """
        token = self.service_account_token(namespace, name)
        document = kubeconfig(url=self.url, ca_pem=self.ca_pem, token=token, namespace=namespace, user=name)
        _write_private(path, document)
        return path

    def extend_kubeconfig(self, **extensions: Mapping[str, Any]) -> None:
        """Write the kubeconfig again, with what other programs than kubectl find in its context, by name."""
        self._write_kubeconfig(extensions)

    def _write_kubeconfig(self, extensions: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        document = kubeconfig(
            url=self.url,
            ca_pem=self.ca_pem,
            token=self.cluster.admin_token,
            namespace=self._namespace,
            user="admin",
            extensions=extensions or {},
        )
        _write_private(self.kubeconfig_path, document)


def kubeconfig(
    *,
    url: str,
    ca_pem: bytes,
    token: str,
    namespace: str,
    user: str,
    extensions: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> dict[str, Any]:
    """Build a kubeconfig with one cluster, one user and one context.

    See https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
    """
    authority = base64.b64encode(ca_pem).decode()
    context: dict[str, Any] = {"cluster": "embedded", "user": user, "namespace": namespace}
    if extensions:
        context["extensions"] = [{"name": name, "extension": dict(value)} for name, value in extensions.items()]
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "embedded", "cluster": {"server": url, "certificate-authority-data": authority}}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": "embedded", "context": context}],
        "current-context": "embedded",
    }


def _write_private(path: Path, document: Mapping[str, Any]) -> None:
    """Write a file that is its owner's alone from its first byte on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        yaml.safe_dump(dict(document), file, sort_keys=False)
