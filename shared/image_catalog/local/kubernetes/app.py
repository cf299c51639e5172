"""The ASGI application: authentication, authorization, discovery, and the API behind them."""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from random import Random
from typing import Any

import orjson
import structlog
from starlette.applications import Starlette
from starlette.datastructures import URL, QueryParams
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from image_catalog.local.kubernetes.access.auth import User
from image_catalog.local.kubernetes.access.rbac import Attributes, forbidden
from image_catalog.local.kubernetes.access.targets import Target, parse_target
from image_catalog.local.kubernetes.api import Call
from image_catalog.local.kubernetes.cluster import Cluster
from image_catalog.local.kubernetes.discovery.groups import answer_discovery, version_info
from image_catalog.local.kubernetes.objects.managers import manager_of
from image_catalog.local.kubernetes.objects.writes import Write
from image_catalog.local.kubernetes.status import StatusError
from image_catalog.local.kubernetes.wire.answers import status_response

__all__ = ["MAX_BODY_BYTES", "Cluster", "Endpoint", "create_app"]

MAX_BODY_BYTES = 3 * 1024 * 1024
"""The API server's limit for a request body."""

_HEALTH_PATHS = frozenset({"/healthz", "/livez", "/readyz"})

_PLAIN_PATH = re.compile(r"(?!//)[A-Za-z0-9._:/-]+")
"""What a URL leaves as it is."""

_log = structlog.get_logger(__name__)


class _Asked:
    """A request, of which every part is read once: Starlette's goes through all of a part for each value in it.

    Attributes
    ----------
    query
        The last parameter of each name.
    dry_run
        Every ``dryRun`` in it.
    fields
        The first header of each name, in lower case.
    """

    __slots__ = ("dry_run", "fields", "method", "path", "query", "receive", "scope")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        path: str = scope["path"]
        self.scope = scope
        self.receive = receive
        self.method: str = scope["method"]
        self.path = path if _PLAIN_PATH.fullmatch(path) else URL(scope=scope).path
        self.query, self.dry_run = _query(scope["query_string"])
        headers = reversed(scope["headers"])
        self.fields: Mapping[str, str] = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}


@lru_cache(maxsize=256)
def _query(query_string: bytes) -> tuple[Mapping[str, str], Sequence[str]]:
    """Read a query; a client has few, and some of these leave out a hundred names."""
    query = QueryParams(query_string)
    return dict(query), tuple(query.getlist("dryRun"))


@lru_cache(maxsize=256)
def _impersonation(name: str) -> Attributes:
    return Attributes(verb="impersonate", resource="users", name=name)


@lru_cache(maxsize=256)
def _impersonated(name: str, uid: str, groups: tuple[str, ...]) -> User:
    """Return whom somebody asks as; a client asks as few."""
    parts = name.split(":")
    if name.startswith("system:serviceaccount:") and len(parts) == 4 and not groups:  # noqa: PLR2004 - prefix (2), namespace, name
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{parts[2]}")
    return User(name, uid, tuple(dict.fromkeys((*groups, "system:authenticated"))))


class Endpoint:
    """The one ASGI endpoint: resource requests are told apart by their path, not by routes, for speed.

    Parameters
    ----------
    cluster
        The state.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whose method is one that `create_app` lets through."""
        request = _Asked(scope, receive)
        try:
            response = await self._answer(request)
        except ClientDisconnect:
            return
        except StatusError as e:
            response = status_response(e)
        except Exception as e:  # noqa: BLE001 - the boundary of the server
            # The trace goes to the log as text: a renderer that shows locals would show the request's token.
            _log.error("request failed", method=request.method, path=request.path, trace=traceback.format_exc())
            told = f"Internal error occurred: {type(e).__name__}"
            response = status_response(StatusError(500, "InternalError", told))
        await response(scope, receive, send)
        await self._cluster.settle()

    async def _answer(self, request: _Asked) -> Response:
        user = self._user(request)
        target = parse_target(request.path)
        if target is None:
            return self._document(request, user)
        watch = request.query.get("watch", "false") in ("true", "1", "")
        attributes = target.attributes(request.method, watch=watch)
        status = 500
        try:
            response = await self._resource(request, user, target, attributes)
            status = response.status_code
        except StatusError as e:
            status = e.code
            raise
        finally:
            if self._cluster.on_request is not None:
                self._cluster.on_request(user=user, attributes=attributes, status=status)
        return response

    def _user(self, request: _Asked) -> User:
        """Tell who asks; a user who may impersonate can ask as another."""
        headers = request.fields
        user = self._cluster.authenticator.authenticate(headers)
        name = headers.get("impersonate-user")
        if not name:
            return user
        wanted = _impersonation(name)
        if not self._cluster.authorizer.decide(user, wanted).allowed:
            raise forbidden(user, wanted)
        sent = request.scope["headers"]
        groups = tuple(value.decode("latin-1") for header, value in sent if header == b"impersonate-group")
        return _impersonated(name, headers.get("impersonate-uid", ""), groups)

    async def _resource(self, request: _Asked, user: User, target: Target, attributes: Attributes) -> Response:
        cluster = self._cluster
        if not cluster.authorizer.decide(user, attributes).allowed:
            raise forbidden(user, attributes)
        resource = cluster.registry.find(target.group, target.version, target.plural)
        if resource is None or (target.namespace is not None and not resource.namespaced):
            return _page_not_found()
        if target.namespace is None and resource.namespaced and (target.name or request.method == "POST"):
            return _page_not_found()
        write = Write(
            resource=resource,
            namespace=target.namespace,
            name=target.name,
            subresource=target.subresource,
            dry_run="All" in request.dry_run,
            field_validation=request.query.get("fieldValidation", "Warn"),
            manager=manager_of(request.query, request.fields),
        )
        call = Call(
            method=request.method,
            query=request.query,
            headers=request.fields,
            user=user,
            resource=resource,
            target=target,
            body=await _body(request),
            write=write,
        )
        try:
            return cluster.api.answer(call)
        except StatusError as e:
            return status_response(e, write.warnings)

    def _document(self, request: _Asked, user: User) -> Response:
        """Answer what is not about a resource: health, version, discovery, OpenAPI."""
        path = request.path
        attributes = Attributes(verb="get" if request.method in ("GET", "HEAD") else request.method.lower(), path=path)
        if not self._cluster.authorizer.decide(user, attributes).allowed:
            raise forbidden(user, attributes)
        accept = request.fields.get("accept", "")
        if path in _HEALTH_PATHS:
            return PlainTextResponse("ok")
        if path == "/version":
            return _json(version_info())
        if path.startswith("/openapi/"):
            return self._openapi(request, path, accept)
        discovery = answer_discovery(self._cluster.registry, path, accept=accept)
        return _page_not_found() if discovery is None else _json(discovery.body, discovery.media_type)

    def _openapi(self, request: _Asked, path: str, accept: str) -> Response:
        query_hash = request.query.get("hash", "")
        document = self._cluster.openapi.answer(path, query_hash=query_hash, accept=accept)
        if document is None:
            return _page_not_found()
        headers = {"Content-Type": document.media_type}
        if document.etag:
            headers["ETag"] = document.etag
        if document.immutable:
            headers["Cache-Control"] = "public, immutable"
        if document.etag and request.fields.get("if-none-match") == document.etag:
            return Response(status_code=304, headers=headers)
        return Response(document.body, headers=headers)


async def _body(request: _Asked) -> bytes:
    chunks: list[bytes] = []
    size = 0
    more = True
    # Not by Request.stream: an asynchronous generator costs more than the rest of a request that has no body.
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > MAX_BODY_BYTES:
            told = f"Request entity too large: limit is {MAX_BODY_BYTES}"
            raise StatusError(413, "RequestEntityTooLarge", told, {})
        more = message.get("more_body", False)
    return b"".join(chunks)


def _json(body: Mapping[str, Any], media_type: str = "application/json") -> Response:
    return Response(orjson.dumps(body), headers={"Content-Type": media_type})


def _page_not_found() -> Response:
    return PlainTextResponse("404 page not found\n", status_code=404)


def create_app(cluster: Cluster | None = None) -> Starlette:
    """Build the application.

    It needs neither sockets nor threads: an ASGI client may call it on any
    event loop, a virtual-time one among them.

    Parameters
    ----------
    cluster
        The state; a new one with the system's clock when it is not given. It
        is found again as ``app.state.cluster``.
    """
    if cluster is None:
        cluster = Cluster(clock=lambda: datetime.now(UTC), random=Random())  # noqa: S311 - uids and names, no secrets
    methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    app = Starlette(routes=[Route("/{path:path}", Endpoint(cluster), methods=methods)])
    app.state.cluster = cluster
    return app
