"""``GET /images/{name}`` and what it pointed to before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import orjson
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from image_catalog.catalog.index import Entry
from image_catalog.models import CatalogImage
from image_catalog_functions.api.http.answers import Answer, etag_of
from image_catalog_functions.api.http.documents import HistoryList, needs, problems
from image_catalog_functions.api.http.names import EntryName
from image_catalog_functions.api.http.problems import Problem, ProblemReason
from image_catalog_functions.api.http.routes import CatalogRoute, answer_response, is_head, require
from image_catalog_functions.api.reading.queries import HistoryQuery, NamespaceQuery
from image_catalog_functions.api.reading.tokens import ContinueTokens

if TYPE_CHECKING:
    from image_catalog_functions.api.services import Services

__all__ = ["Details", "no_such_image", "router"]

_CALL: Final = "history"
_NOW: Final = "now"
"""What stands in a token for the moment at which the current version is superseded."""


class Details:
    """Answers what one entry is.

    Parameters
    ----------
    services
        What the calls work with.
    """

    def __init__(self, services: Services) -> None:
        self._index = services.index
        self._feed = services.image_feed
        self._namespace = services.settings.default_namespace

    def scope(self, query: NamespaceQuery) -> str:
        """Return the namespace that a query asks about."""
        return query.namespace or self._namespace

    def find(self, namespace: str, name: str) -> Entry:
        """Return an entry.

        Raises
        ------
        Problem
            404 when there is none; 503 before the index is filled.
        """
        entry = self._index.get(namespace, name)
        if entry is None:
            self._feed.require_filled()
            raise no_such_image(namespace, name)
        return entry

    def show(self, namespace: str, name: str, *, gzip: bool, counted: bool = True) -> Answer:
        """Prepare the answer that shows an entry, and count that as an access unless told otherwise.

        Raises
        ------
        Problem
            As `find` does.
        """
        entry = self.find(namespace, name)
        if counted:
            entry = self._index.count_access(namespace, name) or entry
        return Answer.of(entry.json, _etag(entry), gzip=gzip)


def router(services: Services) -> APIRouter:
    """Return the routes of one entry's reads."""
    routes = APIRouter(route_class=CatalogRoute, tags=["images"])
    details, tokens = Details(services), ContinueTokens(clock=services.clock)
    answers = problems(304, 400, 401, 403, 404, 503)

    async def scope(request: Request, query: NamespaceQuery) -> str:
        namespace = details.scope(query)
        await require(request, services.guard, "get", namespace)
        return namespace

    @routes.get(
        "/images/{name}",
        operation_id="getImage",
        summary="Show an entry",
        response_model=CatalogImage,
        response_description="The entry.",
        responses=answers,
        openapi_extra=needs("get catalogimages"),
    )
    async def get_image(request: Request, name: EntryName, query: Annotated[NamespaceQuery, Query()]) -> Response:
        """Count an access, also when the client has the entry already; HEAD counts none."""
        namespace, counted = await scope(request, query), not is_head(request)
        return answer_response(request, lambda gzip: details.show(namespace, name, gzip=gzip, counted=counted))

    @routes.get(
        "/images/{name}/history",
        operation_id="listHistory",
        summary="List an entry's versions",
        response_model=HistoryList,
        response_description="A page of versions.",
        responses=answers | problems(410),
        openapi_extra=needs("get catalogimages"),
    )
    async def list_history(request: Request, name: EntryName, query: Annotated[HistoryQuery, Query()]) -> Response:
        """Begin with the current one; the ten before it are kept."""
        entry = details.find(await scope(request, query), name)
        body, token = _history_page(entry, query, tokens)
        return _answer(request, entry, body, token)

    return routes


def _history_page(entry: Entry, query: HistoryQuery, tokens: ContinueTokens) -> tuple[bytes, str]:
    """Return a page of an entry's versions, and the token of the next one."""
    asked = {"name": entry.name, "in": entry.namespace}
    versions = _versions(entry)
    if query.continue_ is not None:
        # What came before is told by time, so that a version which was published meanwhile moves nothing.
        (ended,) = tokens.read(_CALL, asked, query.continue_)
        versions = [each for each in versions if _superseded(each) < ended]
    page, rest = versions[: query.limit], versions[query.limit :]
    token = tokens.write(_CALL, asked, [_superseded(page[-1])]) if rest else ""
    metadata = {
        "continue": token,
        "remainingItemCount": len(rest),
        "resourceVersion": entry.resource_version,
    }

    return orjson.dumps({"items": page, "metadata": metadata}), token


def no_such_image(namespace: str, name: str) -> Problem:
    """Return the problem of an entry that is not there."""
    detail = f'catalog image "{name}" not found in namespace "{namespace}"'
    return Problem(404, ProblemReason.NOT_FOUND, detail, details={"name": name, "namespace": namespace})


def _answer(request: Request, entry: Entry, body: bytes, *more: str) -> Response:
    return answer_response(request, lambda gzip: Answer.of(body, _etag(entry, *more), gzip=gzip))


def _etag(entry: Entry, *more: str) -> bytes:
    return etag_of("-".join((entry.uid, entry.resource_version, *more)))


def _status(entry: Entry) -> dict[str, Any]:
    return entry.object.get("status") or {}


def _versions(entry: Entry) -> list[dict[str, Any]]:
    status = _status(entry)
    digest = (status.get("registryMetadata") or {}).get("resolvedDigest") or entry.object["spec"].get("digest")
    current = {
        "digest": digest,
        "current": True,
        "publishedAt": status.get("publishedAt"),
        "sourceImageBuild": status.get("sourceImageBuild"),
    }
    earlier = [{**version, "current": False} for version in status.get("history") or ()]
    return [{key: value for key, value in version.items() if value is not None} for version in (current, *earlier)]


def _superseded(version: dict[str, Any]) -> str:
    # RFC 3339 in UTC sorts as text, and every digit before this word.
    return str(version.get("supersededAt") or _NOW)
