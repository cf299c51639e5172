"""The whole catalog on one machine: cluster, registry, broker, sources, functions and the catalog's API."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from image_catalog.cluster import KubernetesAPI, KubernetesTransport, ResourceKind
from image_catalog.config import ApiAuth
from image_catalog.errors import ClusterUnavailableError, PermanentError
from image_catalog.local.catalog_api import API, api_command, api_environment
from image_catalog.local.clients import IN_CLEAR
from image_catalog.local.database import KEEPERS, fresh_database
from image_catalog.local.folder import exclusive
from image_catalog.local.functions import ENTRYPOINT, FunctionProcess, free_ports
from image_catalog.local.installing import install
from image_catalog.local.knative import ClusterWatcher, LocalKnative, Observer, Service, read_manifests
from image_catalog.local.knative import Settings as BrokerSettings
from image_catalog.local.kubernetes import Cluster, EmbeddedKubernetes
from image_catalog.local.manifests import load_manifests
from image_catalog.local.notifying import PushNotifier
from image_catalog.local.registry import EmbeddedRegistry
from image_catalog.local.tokens import TokenFile

__all__ = ["FUNCTIONS_NAMESPACE", "LocalStack", "StackOptions"]

FUNCTIONS_NAMESPACE = "image-catalog"
"""Namespace of the functions and the broker, as the manifests have it."""

_NAMESPACE = ResourceKind("", "v1", "namespaces", "Namespace", namespaced=False)

MIRRORED_HOSTS = ("quay.io", "private-registry.example.com")
"""Hosts that the stack's registry answers for, so that references read as they do in the field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StackOptions:
    """What of the stack is swapped or placed.

    Attributes
    ----------
    folder
        Where kubeconfigs, logs and the registry's content go.
    kubeconfig
        A real cluster in place of the embedded API.
    registry_url
        A real registry in place of the embedded one.
    api_port, broker_port, registry_port, catalog_port
        Where the Kubernetes API and the other parts listen; 0 takes a free port.
    auth
        Whether the catalog's API asks the cluster about each caller, or lets
        in whoever is on this machine.
    documents
        More Knative resources than the manifests have: a subscriber's Trigger,
        for example.
    services
        URLs of the Services that those name; a function of that name is not started, somebody else is it.
    environment
        Settings for every function, beside those of its manifest.
    accounts
        Passwords of the embedded registry by user.
    private
        Repositories of the embedded registry, or their first path components,
        that ask for one of these passwords.
    notify
        Whether the embedded registry tells the catalog's API of pushes.
    """

    folder: Path
    kubeconfig: Path | None = None
    registry_url: str | None = None
    api_port: int = 0
    broker_port: int = 0
    registry_port: int = 0
    catalog_port: int = 0
    auth: ApiAuth = ApiAuth.KUBERNETES
    documents: tuple[dict[str, Any], ...] = ()
    services: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    accounts: dict[str, str] = field(default_factory=dict)
    private: tuple[str, ...] = ("private",)
    notify: bool = False


class LocalStack:
    """Runs the catalog while the context lasts.

    Parameters
    ----------
    options
        What is swapped or placed.
    observer
        Is told of each delivery of the broker.
    notice
        Is told in one line what somebody should know: that a function ended
        and was started again.
    """

    def __init__(
        self,
        options: StackOptions,
        *,
        observer: Observer | None = None,
        notice: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.options = options
        self._notice = notice
        self._observer = observer
        self._exit = AsyncExitStack()
        self.functions: dict[str, FunctionProcess] = {}
        self.registry: EmbeddedRegistry | None = None
        self.kubernetes: EmbeddedKubernetes | None = None
        self._api: KubernetesAPI | None = None
        self._knative: LocalKnative | None = None
        self._database = ""
        self._notifier: PushNotifier | None = None

    @property
    def api(self) -> KubernetesAPI:
        """The cluster, as its administrator."""
        assert self._api is not None  # noqa: S101 - set by __aenter__
        return self._api

    @property
    def knative(self) -> LocalKnative:
        """The broker and the sources."""
        assert self._knative is not None  # noqa: S101 - set by __aenter__
        return self._knative

    @property
    def catalog_url(self) -> str:
        """Where the catalog's API listens: what ``CAIB_SERVER`` is set to."""
        return self.functions[API].url

    @property
    def figure_urls(self) -> dict[str, str]:
        """Where each process shows its figures, by the name of its Service."""
        return {name: f"{process.url}/metrics" for name, process in self.functions.items()}

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.options.kubeconfig or self.options.folder / "kubeconfig"

    @property
    def registry_url(self) -> str:
        """Where the stack's registry listens."""
        if self.options.registry_url:
            return self.options.registry_url.rstrip("/")
        assert self.registry is not None  # noqa: S101 - set by __aenter__
        return self.registry.url

    async def __aenter__(self) -> Self:
        """Start every part; return when the functions take events.

        Raises
        ------
        PermanentError
            Raised if a port is taken or a function does not start; the
            message says what to do.
        ClusterUnavailableError
            Raised if the kubeconfig leads nowhere.
        """
        for option in ("api_port", "broker_port", "registry_port", "catalog_port"):
            _require_free(getattr(self.options, option), f"--{option.replace('_', '-')}")
        async with AsyncExitStack() as stack:
            documents = load_manifests()
            stack.enter_context(exclusive(self.options.folder))
            await self._start_registry(stack)
            await self._start_kubernetes(stack, documents)
            await self._start_functions(stack, documents)
            self._exit = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop every part, sources and broker first."""
        await self._exit.aclose()

    async def ready(self) -> None:
        """Wait until every function takes events.

        Raises
        ------
        PermanentError
            Raised if one does not become ready; with the end of its log.
        """
        async with httpx.AsyncClient(trust_env=False, verify=IN_CLEAR, timeout=5) as client:
            await asyncio.gather(*(process.wait_ready(client) for process in self.functions.values()))

    async def _start_registry(self, stack: AsyncExitStack) -> None:
        if self.options.registry_url:
            await self._require_registry()
            return
        self.registry = EmbeddedRegistry(
            self.options.folder / "registry",
            port=self.options.registry_port,
            accounts=self.options.accounts,
            private=self.options.private,
        )
        await stack.enter_async_context(self.registry)
        if self.options.notify:
            self._notifier = PushNotifier(namespace=FUNCTIONS_NAMESPACE, account=API)
            self.registry.events.listeners.append(self._notifier.hear)

    async def _require_registry(self) -> None:
        """Ask the registry that was named once: a wrong URL is better told now than by every entry."""
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
                await client.get(f"{self.registry_url}/v2/")
        except httpx.HTTPError as e:
            raise PermanentError(
                f"no registry answers at {self.registry_url} ({type(e).__name__}); start it, or mend --registry"
            ) from e

    async def _start_kubernetes(self, stack: AsyncExitStack, documents: Sequence[dict[str, Any]]) -> None:
        if self.options.kubeconfig is None:
            cluster = Cluster(clock=lambda: datetime.now(UTC), random=random.SystemRandom())
            self.kubernetes = EmbeddedKubernetes(
                cluster=cluster, kubeconfig_path=self.kubeconfig, port=self.options.api_port
            )
            await stack.enter_async_context(self.kubernetes)
        transport = await KubernetesTransport.connect(kubeconfig=self.kubeconfig)
        self._api = KubernetesAPI(transport=transport)
        stack.push_async_callback(self._api.close)
        if self.options.kubeconfig is not None:
            await self._require_cluster()
        proofs = self._notifier.documents() if self._notifier is not None else []
        await install(self._api, [*documents, *proofs, *(self._mirror(host) for host in MIRRORED_HOSTS)])

    async def _require_cluster(self) -> None:
        """Ask once before anything is installed, because that has the patience of somebody who just made a CRD."""
        try:
            await self.api.get(_NAMESPACE, FUNCTIONS_NAMESPACE, None)
        except ClusterUnavailableError as e:
            raise ClusterUnavailableError(f"the kubeconfig {self.kubeconfig} leads to no cluster: {e.message}") from e

    async def _start_functions(self, stack: AsyncExitStack, documents: Sequence[dict[str, Any]]) -> None:
        manifests = read_manifests([*documents, *self.options.documents])
        own = [service for service in manifests.services if service.name not in self.options.services]
        *drawn, broker_port = free_ports(len(own) + 1)
        ports = {service.name: port for service, port in zip(own, drawn, strict=True)}
        if API in ports:
            ports[API] = self.options.catalog_port or ports[API]
        urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        self._knative = LocalKnative(
            manifests,
            services=urls | self.options.services,
            watcher=ClusterWatcher(self.api),
            api_server_url=self.kubernetes.url if self.kubernetes else "https://kubernetes.default.svc",
            port=self.options.broker_port or broker_port,
            settings=BrokerSettings(),
            observer=self._observer,
        )
        self._database = fresh_database(self.options.folder)
        for name in ("logs", "tmp"):
            (self.options.folder / name).mkdir(exist_ok=True)
        stack.callback(shutil.rmtree, self.options.folder / "tmp", ignore_errors=True)
        # For `image-catalog dead-letters replay`: the broker names functions as a cluster would.
        (self.options.folder / "tmp" / "services.json").write_text(json.dumps(urls | self.options.services))
        accounts = _service_accounts(documents)
        for service in own:
            self.functions[service.name] = self._process(service, accounts[service.name], urls, ports[service.name])
        await self._keep_token(stack)
        if self.kubernetes is not None and API in self.functions:
            # Where `caib` looks when nobody tells it the server.
            self.kubernetes.extend_kubeconfig(**{"image-catalog": {"server": self.catalog_url}})
        stack.push_async_callback(self._stop_functions)
        running = tuple(self.functions.values())
        await asyncio.gather(*(process.start() for process in running))
        await self.ready()
        stack.push_async_callback(_cancel, [asyncio.create_task(p.supervise(self._notice)) for p in running])
        if self._notifier is not None:
            path = f"{self.catalog_url}/api/v1alpha1/catalog/notifications"
            telling = self._notifier.run(*(f"{path}/{_registry_name(host)}" for host in MIRRORED_HOSTS))
            stack.push_async_callback(_cancel, [asyncio.create_task(telling)])
        # Last, so that no event and no tick meets a function that is not there yet.
        await stack.enter_async_context(self._knative)

    def _process(self, service: Service, account: str, urls: Mapping[str, str], port: int) -> FunctionProcess:
        """Return the process of a Service, with what its Pod would be given."""
        sink = self.knative.sink_of(service.name)
        environment = {
            **service.env,
            **({"IMAGE_CATALOG_DATABASE_URL": self._database} if service.name in KEEPERS else {}),
            **self.options.environment,
            **({"K_SINK": sink} if sink else {}),
            "IMAGE_CATALOG_KUBECONFIG": str(self._function_kubeconfig(account)),
            # The official client writes certificates to files, and a process that is ended leaves them behind.
            "TMPDIR": str(self.options.folder / "tmp"),
        }
        command = service.command or ENTRYPOINT
        if service.name == API:
            environment |= api_environment(urls, self._token)
            command = api_command(service, port=port, auth=self.options.auth)
        log = self.options.folder / "logs" / f"{service.name}.log"
        return FunctionProcess(service.name, environment=environment, log=log, port=port, command=command)

    @property
    def _token(self) -> Path:
        return self.options.folder / "tmp" / "api-token"

    async def _keep_token(self, stack: AsyncExitStack) -> None:
        """Give the API the token that it proves itself with to publish and verify."""
        token = TokenFile(self._token, api=self.api, namespace=FUNCTIONS_NAMESPACE, account=API)
        lasting = await token.write()
        stack.push_async_callback(_cancel, [asyncio.create_task(token.keep(lasting))])

    async def _stop_functions(self) -> None:
        await asyncio.gather(*(process.stop() for process in self.functions.values()))

    def _function_kubeconfig(self, account: str) -> Path:
        """Return a kubeconfig with a function's own rights; on a real cluster, that of whoever runs the stack."""
        if self.kubernetes is None:
            return self.kubeconfig
        path = self.options.folder / "kubeconfigs" / account
        return self.kubernetes.service_account_kubeconfig(path, namespace=FUNCTIONS_NAMESPACE, name=account)

    def _mirror(self, host: str) -> dict[str, Any]:
        """Return the CatalogRegistry that lets the stack's registry answer for a host of the field."""
        return {
            "apiVersion": "automotive.sdv.cloud.redhat.com/v1alpha1",
            "kind": "CatalogRegistry",
            "metadata": {"name": _registry_name(host)},
            "spec": {
                "host": host,
                "endpoint": self.registry_url,
                "allowPrivateNetworks": True,
                "type": "quay" if host == "quay.io" else "generic",
                **({} if self._notifier is None else {"notifications": self._notifier.notifications}),
            },
        }


def _registry_name(host: str) -> str:
    """Return the name of a host's CatalogRegistry."""
    return host.replace(".", "-")


def _require_free(port: int, option: str) -> None:
    """Refuse a port that somebody listens on, before anything is started."""
    try:
        with socket.create_server(("127.0.0.1", port)):
            return
    except OSError as e:
        raise PermanentError(f"port {port} is taken: choose another one with {option}, or leave it out") from e


async def _cancel(tasks: Iterable[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _service_accounts(documents: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Return the ServiceAccount of each Service by name."""
    return {
        document["metadata"]["name"]: document["spec"]["template"]["spec"]["serviceAccountName"]
        for document in documents
        if document["apiVersion"].startswith("serving.knative.dev/") and document["kind"] == "Service"
    }
