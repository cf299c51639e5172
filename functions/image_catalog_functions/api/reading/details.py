"""``GET /images/{name}``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from image_catalog.catalog.index import Entry
from image_catalog.models import CatalogImage
from image_catalog_functions.api.http.answers import Answer, etag_of
from image_catalog_functions.api.http.documents import needs, problems
from image_catalog_functions.api.http.names import EntryName
from image_catalog_functions.api.http.problems import Problem, ProblemReason
from image_catalog_functions.api.http.routes import CatalogRoute, answer_response, is_head, require
from image_catalog_functions.api.reading.queries import NamespaceQuery

if TYPE_CHECKING:
    from image_catalog_functions.api.services import Services

__all__ = ["Details", "no_such_image", "router"]


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
    details = Details(services)
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

    return routes


def no_such_image(namespace: str, name: str) -> Problem:
    """Return the problem of an entry that is not there."""
    detail = f'catalog image "{name}" not found in namespace "{namespace}"'
    return Problem(404, ProblemReason.NOT_FOUND, detail, details={"name": name, "namespace": namespace})


def _etag(entry: Entry) -> bytes:
    return etag_of(f"{entry.uid}-{entry.resource_version}")
