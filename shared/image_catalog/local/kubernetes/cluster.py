"""The state of an embedded cluster: objects, users, rights, and what is served."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from random import Random
from typing import Any

from image_catalog.local.kubernetes.access.auth import Authenticator
from image_catalog.local.kubernetes.access.rbac import Authorizer
from image_catalog.local.kubernetes.access.reviews import Reviews
from image_catalog.local.kubernetes.api import KubernetesApi, RequestHook
from image_catalog.local.kubernetes.collector import Collector
from image_catalog.local.kubernetes.discovery.openapi import OpenAPI
from image_catalog.local.kubernetes.objects.builtin import builtin_registry
from image_catalog.local.kubernetes.objects.crds import RegistryFollower
from image_catalog.local.kubernetes.objects.objects import Objects
from image_catalog.local.kubernetes.objects.writes import Write
from image_catalog.local.kubernetes.resources import ResourceRegistry
from image_catalog.local.kubernetes.status import StatusError, bad_request
from image_catalog.local.kubernetes.storage.store import Store

__all__ = ["Cluster"]

_DEFAULT_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")


class Cluster:
    """The state behind the API, and what tests and the local stack may do to it.

    Parameters
    ----------
    clock
        Tells the time, aware UTC.
    random
        Source of uids and generated names; a seeded one makes runs repeatable.
    admin_token
        The administrator's token; a random one when it is not given.
    history
        Number of changes kept per kind; older watches are answered 410.
    namespace_grace
        How long a deleted namespace stays ``Terminating`` when it is empty.
    streaming_lists
        Whether a watch may send what exists first: the feature gate ``WatchList``,
        which is on by default in Kubernetes 1.32.
    on_request
        Is told of every request about a resource, so that a test can derive
        the RBAC rules that real calls need.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], datetime],
        random: Random,
        admin_token: str | None = None,
        history: int = 4096,
        namespace_grace: timedelta = timedelta(seconds=1),
        streaming_lists: bool = True,
        on_request: RequestHook | None = None,
    ) -> None:
        self.registry: ResourceRegistry = builtin_registry()
        self.store = Store(history=history)
        self.objects = Objects(store=self.store, clock=clock, random=random)
        self.authenticator = Authenticator(store=self.store, clock=clock, admin_token=admin_token)
        self.authorizer = Authorizer(store=self.store)
        self.api = KubernetesApi(
            store=self.store,
            objects=self.objects,
            reviews=Reviews(
                authenticator=self.authenticator, authorizer=self.authorizer, store=self.store, clock=clock
            ),
            clock=clock,
            streaming_lists=streaming_lists,
        )
        self.openapi = OpenAPI(self.registry)
        self.on_request = on_request
        self._collector = Collector(
            store=self.store,
            registry=self.registry,
            objects=self.objects,
            clock=clock,
            namespace_grace=namespace_grace,
        )
        self.store.listen(RegistryFollower(registry=self.registry))
        self.store.listen(self._collector)
        for namespace in _DEFAULT_NAMESPACES:
            self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})

    @property
    def admin_token(self) -> str:
        """Return the bearer token of the administrator."""
        return self.authenticator.admin_token

    def apply(self, manifest: Mapping[str, Any]) -> None:
        """Create an object, or replace it when it is there, without a request.

        Parameters
        ----------
        manifest
            With ``apiVersion``, ``kind`` and ``metadata.name``; for namespaced
            kinds ``metadata.namespace``, else it is ``default``.

        Raises
        ------
        StatusError
            What the API would answer.
        """
        resource = self.registry.find_kind(manifest["apiVersion"], manifest["kind"])
        if resource is None:
            raise bad_request(f"no kind {manifest['kind']!r} in {manifest['apiVersion']!r} is served")
        metadata = manifest["metadata"]
        namespace = metadata.get("namespace", "default") if resource.namespaced else None
        if resource.custom:
            # What is right as it is would be stored as it is, and a manifest may be changed and applied again.
            manifest = copy.deepcopy(manifest)
        write = Write(resource=resource, namespace=namespace, name=metadata["name"])
        try:
            stored = self.objects.get(write)
        except StatusError:
            self.objects.create(write, dict(manifest))
        else:
            fresh = {**metadata, "resourceVersion": stored.body["metadata"]["resourceVersion"]}
            self.objects.update(write, {**manifest, "metadata": fresh})

    def service_account_token(
        self,
        namespace: str,
        name: str,
        *,
        audiences: Iterable[str] = (),
        lifetime: timedelta = timedelta(hours=24),
    ) -> str:
        """Issue a token for a service account, which is created when it is absent.

        Parameters
        ----------
        audiences
            Whom the token is meant for; empty for the API itself.
        lifetime
            How long it is good.
        """
        resource = self.registry.find("", "v1", "serviceaccounts")
        assert resource is not None  # noqa: S101 - a built-in kind
        write = Write(resource=resource, namespace=namespace, name=name)
        try:
            self.objects.get(write)
        except StatusError:
            self.objects.create(write, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}})
        return self.authenticator.issue(namespace, name, audiences=tuple(audiences), lifetime=lifetime)[0]

    async def settle(self) -> None:
        """Let the work that follows from a write happen; the one who wrote has its answer by then."""
        if self._collector.busy:
            await asyncio.sleep(0)

    def close(self) -> None:
        """End every watch and forget what waits; the objects stay, and may be served again."""
        self._collector.close()
        self.store.end_watches()
