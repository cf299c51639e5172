"""The API over HTTPS: a certificate authority made at start, a port, and a kubeconfig that knows both."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import socket
import ssl
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import trustme
import uvicorn
import yaml

from image_catalog.errors import PermanentError
from image_catalog.local.kubernetes.app import Cluster, create_app

__all__ = ["EmbeddedKubernetes", "kubeconfig"]

_HOST = "127.0.0.1"
_SHUTDOWN_GRACE = timedelta(seconds=1)
"""How long answers may go on at the end; watches have been ended before."""


class _Server(uvicorn.Server):
    """A uvicorn server that leaves the process's signal handlers to whoever owns the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


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
        self._port = port
        self._crds = tuple(crds)
        self._namespaces = tuple(namespaces)
        self._namespace = namespace
        self._authority = trustme.CA()
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Return the API's base URL; the port is known once the context was entered."""
        return f"https://{_HOST}:{self._port}"

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
        listener = self._listen()
        self._port = listener.getsockname()[1]
        for manifest in self._crds:
            self.cluster.apply(manifest)
        for name in self._namespaces:
            self.cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        self._write_kubeconfig()
        config = uvicorn.Config(
            create_app(self.cluster),
            lifespan="off",
            log_config=None,
            access_log=False,
        )
        config.load()
        config.ssl = self._tls()
        self._server = _Server(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]), name="embedded-kubernetes")
        await self._started()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End every watch, answer what is under way, and stop."""
        self.cluster.close()
        if self._server is not None and self._task is not None:
            self._server.should_exit = True
            await asyncio.wait({self._task}, timeout=_SHUTDOWN_GRACE.total_seconds())
            # A client that does not read its end keeps its connection open; nobody waits for it.
            self._server.force_exit = True
            await self._task

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

    def _listen(self) -> socket.socket:
        # The protocol is named because asyncio turns Nagle's algorithm off only on sockets that name it.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((_HOST, self._port))
        except OSError as e:
            listener.close()
            raise PermanentError(
                f"port {self._port} of {_HOST} is taken: choose another one, or 0 for any free port ({e.strerror})"
            ) from e
        listener.setblocking(False)
        return listener

    def _tls(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(_HOST, "localhost").configure_cert(context)
        return context

    async def _started(self) -> None:
        assert self._server is not None  # noqa: S101 - set by the only caller
        assert self._task is not None  # noqa: S101 - the same
        while not self._server.started:
            if self._task.done():
                await self._task
                raise PermanentError(f"the embedded Kubernetes API did not start on {self.url}")
            await asyncio.sleep(0.005)

    def _write_kubeconfig(self) -> None:
        document = kubeconfig(
            url=self.url, ca_pem=self.ca_pem, token=self.cluster.admin_token, namespace=self._namespace, user="admin"
        )
        _write_private(self.kubeconfig_path, document)


def kubeconfig(*, url: str, ca_pem: bytes, token: str, namespace: str, user: str) -> dict[str, Any]:
    """Build a kubeconfig with one cluster, one user and one context.

    See https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
    """
    authority = base64.b64encode(ca_pem).decode()
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "embedded", "cluster": {"server": url, "certificate-authority-data": authority}}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": "embedded", "context": {"cluster": "embedded", "user": user, "namespace": namespace}}],
        "current-context": "embedded",
    }


def _write_private(path: Path, document: Mapping[str, Any]) -> None:
    """Write a file that is its owner's alone from its first byte on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        yaml.safe_dump(dict(document), file, sort_keys=False)
