"""A cluster in the test's own process: the embedded API server, faults made to order, a log of calls.

::

    async with InProcessCluster() as cluster:
        images = CatalogImages(api=cluster.api("verify"))
        cluster.fail(Effect.CONFLICT, verb="patch", subresource="status")
        ...
        assert ("", "secrets", "get") in cluster.rules("verify")
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from types import TracebackType
from typing import Any, Self

from image_catalog.cluster import KubernetesAPI, ResourceKind, Response, StreamingResponse, Transport
from image_catalog.errors import ClusterUnavailableError
from image_catalog.local.kubernetes.app import Cluster, Endpoint
from image_catalog.models.crds import crd_manifests
from image_catalog.testing.cluster_asgi import ASGITransport
from image_catalog.testing.cluster_faults import Call, Effect, Fault, answer, parse_call, status_body
from image_catalog.testing.furnishing import Furnisher
from image_catalog.testing.planted import MADE

__all__ = ["FUNCTIONS_NAMESPACE", "Call", "Effect", "Fault", "InProcessCluster"]


FUNCTIONS_NAMESPACE = "image-catalog"
"""Where the ServiceAccounts live that calls are made as."""


class InProcessCluster:
    """An embedded API server, reached without a socket, with the kinds that the catalog needs.

    Parameters
    ----------
    namespaces
        Namespaces that are there from the start, beside ``default``.
    clock
        The API server's clock.
    streaming_lists
        Whether a watch may begin with a list, as it may by default in Kubernetes 1.32.
    """

    def __init__(
        self,
        *,
        namespaces: Iterable[str] = ("team-a",),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        streaming_lists: bool = True,
    ) -> None:
        self.server = Cluster(clock=clock, random=(rng := _rng()), streaming_lists=streaming_lists)
        """The state behind the API: `Cluster.apply` puts objects there without a call."""
        self.calls: list[Call] = []
        """Every call that was made, in order."""
        self.faults: list[Fault] = []
        """The faults that wait for their calls."""
        MADE.made("administrator's token", self.server.admin_token)
        self._app = Endpoint(self.server)
        self._transports: list[_ObservedTransport] = []
        self._furnisher = Furnisher(self.server, clock=clock, random=rng)
        self.furnish(map(_namespace, (FUNCTIONS_NAMESPACE, *namespaces)))
        self.furnish(_crds())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for transport in self._transports:
            await transport.close()
        self.server.close()

    def furnish(self, manifests: Iterable[Mapping[str, Any]]) -> None:
        """Put objects that every cluster of a kind has from the start, which is cheaper than to apply them.

        Parameters
        ----------
        manifests
            The very mappings that other clusters get, which nobody changes.
        """
        self._furnisher.put(manifests)

    @property
    def open_watches(self) -> int:
        """How many watches are open."""
        return sum(transport.open_streams for transport in self._transports)

    def transport(self, actor: str = "test", *, restricted: bool = False) -> Transport:
        """Connect as a ServiceAccount.

        Parameters
        ----------
        actor
            Name of the ServiceAccount, by which calls are logged.
        restricted
            Whether it may do only what stored Roles grant, instead of everything.
        """
        transport = _ObservedTransport(self, actor, self.door(actor, restricted=restricted))
        self._transports.append(transport)
        return transport

    def door(self, actor: str, *, restricted: bool = False) -> ASGITransport:
        """Connect as a ServiceAccount past faults and log; the parameters are those of `transport`."""
        headers = [
            ("authorization", f"Bearer {self.server.admin_token}"),
            ("impersonate-user", f"system:serviceaccount:{FUNCTIONS_NAMESPACE}:{actor}"),
        ]
        if not restricted:
            headers.append(("impersonate-group", "system:masters"))
        return ASGITransport(self._app, headers=dict(headers))

    def api(self, actor: str = "test", *, restricted: bool = False, **options: Any) -> KubernetesAPI:
        """Make a `KubernetesAPI` that connects as a ServiceAccount.

        Parameters
        ----------
        actor
            Name of the ServiceAccount, by which calls are logged.
        restricted
            Whether it may do only what stored Roles grant, instead of everything.
        options
            Passed on: ``timeout``, ``page_size``.
        """
        return KubernetesAPI(transport=self.transport(actor, restricted=restricted), rng=_rng(), **options)

    def fail(self, effect: Effect, **match: Any) -> Fault:
        """Let calls fail.

        Parameters
        ----------
        effect
            How they fail.
        match
            Which calls, as `Fault` says: ``verb``, ``resource``, ``subresource``,
            ``name``, ``actor``, ``nth``, ``times``.
        """
        fault = Fault(effect, **match)
        self.faults.append(fault)
        return fault

    def before(self, deed: Callable[[], Awaitable[None]], **match: Any) -> Fault:
        """Do something just before a call goes through; the parameters are those of `fail`."""
        fault = Fault(deed, **match)
        self.faults.append(fault)
        return fault

    def token(self, account: str, *, audiences: Iterable[str] = ()) -> str:
        """Issue a token for a ServiceAccount.

        Parameters
        ----------
        account
            Its name, in the functions' namespace.
        audiences
            Whom the token is meant for; empty for the API server itself.
        """
        token = self.server.service_account_token(FUNCTIONS_NAMESPACE, account, audiences=audiences)
        return MADE.made("ServiceAccount token", token)

    def store_unchecked(self, kind: ResourceKind, name: str, namespace: str | None, patch: Mapping[str, Any]) -> None:
        """Change a stored object as no API server would let anybody, for what an older or newer version left there.

        Parameters
        ----------
        kind, name, namespace
            The object.
        patch
            Fields by top-level name, merged one level deep.
        """
        bucket, key = (kind.group, kind.plural), (namespace or "", name)
        stored = self.server.store.bucket(bucket).get(key)
        if stored is None:
            raise LookupError(f"there is no {kind.kind} {namespace}/{name}")
        fields = {field: {**stored.body.get(field, {}), **values} for field, values in patch.items()}
        self.server.store.put(bucket, key, {**stored.body, **fields})

    def disconnect_watches(self) -> None:
        """Break the connection of every watch that is open."""
        for transport in self._transports:
            transport.feed_streams(ClusterUnavailableError("the connection was reset"))

    def expire_watches(self) -> None:
        """Tell every open watch that its version is too old."""
        for transport in self._transports:
            transport.feed_streams(_EXPIRED)

    def end_watches(self) -> None:
        """End every open watch as an API server does after its time."""
        for transport in self._transports:
            transport.feed_streams(None)

    def rules(self, actor: str) -> frozenset[tuple[str, str, str]]:
        """Return API group, resource and verb of everything that a ServiceAccount did: what its Role must grant."""
        return frozenset(call.rule for call in self.calls if call.actor == actor)


@cache
def _crds() -> tuple[dict[str, Any], ...]:
    """Return the CRDs of what the catalog works with, made once from the models: every test needs them."""
    return (*crd_manifests().values(), _IMAGE_BUILD_CRD)


@cache
def _namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _rng() -> random.Random:
    return random.Random(0)  # noqa: S311 - the same waiting times in every run


_IMAGE_BUILD_CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "imagebuilds.automotive.sdv.cloud.redhat.com"},
    "spec": {
        "group": "automotive.sdv.cloud.redhat.com",
        "names": {
            "kind": "ImageBuild",
            "plural": "imagebuilds",
            "singular": "imagebuild",
            "listKind": "ImageBuildList",
        },
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1alpha1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}
"""The build operator's kind with a schema that lets every shape through, because several are in the field."""

_EXPIRED = b'{"type":"ERROR","object":' + status_body(410, "Expired", "too old resource version") + b"}\n"


class _ObservedTransport:
    """Logs every call and lets it fail where a fault says so."""

    def __init__(self, cluster: InProcessCluster, actor: str, inner: ASGITransport) -> None:
        self._cluster = cluster
        self._actor = actor
        self._inner = inner

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        timeout: timedelta,  # noqa: ASYNC109 - the Protocol's parameter
        **options: Any,
    ) -> Response:
        """Send one request; see `image_catalog.cluster.Transport.request`."""
        # No network answers within one step of the event loop: others run before the request arrives and after it.
        await asyncio.sleep(0)
        effect = await self._strike(parse_call(self._actor, method, path, query))
        if effect is Effect.TIMEOUT_BEFORE:
            raise ClusterUnavailableError(f"{method} {path}: no answer in time")
        if effect is not None and effect is not Effect.TIMEOUT_AFTER:
            return answer(effect)
        response = await self._inner.request(method, path, query=query, timeout=timeout, **options)
        await asyncio.sleep(0)
        if effect is Effect.TIMEOUT_AFTER:
            raise ClusterUnavailableError(f"{method} {path}: no answer in time")
        return response

    def stream(
        self,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        timeout: timedelta,
    ) -> AbstractAsyncContextManager[StreamingResponse]:
        """Open a stream; see `image_catalog.cluster.Transport.stream`."""
        return self._stream(path, query, timeout)

    async def close(self) -> None:
        """End every stream."""
        await self._inner.close()

    @property
    def open_streams(self) -> int:
        return len(self._inner.streams)

    def feed_streams(self, chunk: bytes | Exception | None) -> None:
        for stream in tuple(self._inner.streams):
            stream.feed(chunk)

    @asynccontextmanager
    async def _stream(
        self, path: str, query: Mapping[str, str] | None, limit: timedelta
    ) -> AsyncIterator[StreamingResponse]:
        effect = await self._strike(parse_call(self._actor, "GET", path, query))
        if effect in (Effect.TIMEOUT_BEFORE, Effect.TIMEOUT_AFTER):
            raise ClusterUnavailableError(f"GET {path}: no answer in time")
        if effect is Effect.GONE:
            yield StreamingResponse(200, {}, _each([_EXPIRED.strip()]))
        elif effect is not None:
            failed = answer(effect)
            yield StreamingResponse(failed.status, failed.headers, _each([failed.body]))
        else:
            async with self._inner.stream(path, query=query, timeout=limit) as stream:
                yield stream

    async def _strike(self, call: Call) -> Effect | None:
        self._cluster.calls.append(call)
        # All of them count the call, whichever hits it.
        struck = [fault.effect for fault in self._cluster.faults if fault.strikes(call)]
        for deed in struck:
            if not isinstance(deed, Effect):
                await deed()
        return next((effect for effect in struck if isinstance(effect, Effect)), None)


async def _each(lines: Iterable[bytes]) -> AsyncIterator[bytes]:
    for line in lines:
        yield line
