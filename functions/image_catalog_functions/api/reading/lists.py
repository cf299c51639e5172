"""``GET /images``: the entries that a query finds, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, TypeAlias

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from image_catalog.catalog.index import Entry, Position
from image_catalog.catalog.index import Query as IndexQuery
from image_catalog_functions.api.http.answers import Answer
from image_catalog_functions.api.http.documents import ImageList, needs, problems
from image_catalog_functions.api.http.routes import CatalogRoute, answer_response, require
from image_catalog_functions.api.past.catalog import PastLists
from image_catalog_functions.api.reading.judged import JudgedParameters
from image_catalog_functions.api.reading.pages import listing_answer
from image_catalog_functions.api.reading.queries import ListQuery
from image_catalog_functions.api.reading.tokens import ContinueTokens

if TYPE_CHECKING:
    from image_catalog_functions.api.services import Services

__all__ = ["AccessFigure", "Lists", "router"]

AccessFigure: TypeAlias = tuple[str, str, int]
"""Namespace and name of an entry, and how many accesses of it an answer tells of."""

_CALL = "images"


class Lists:
    """Answers list queries.

    Parameters
    ----------
    services
        What the calls work with.
    """

    def __init__(self, services: Services) -> None:
        self._index = services.index
        self._feed = services.image_feed
        self._namespace = services.settings.default_namespace
        self._judged = JudgedParameters(namespace=self._namespace)
        self._tokens = ContinueTokens(clock=services.clock)

    def scope(self, query: ListQuery) -> str | None:
        """Return the namespace that a query asks about; `None` for all of them."""
        return query.scope(self._namespace)

    def read(self, raw: bytes) -> tuple[IndexQuery, str | None] | None:
        """Return what a query asks the index, and its continue token, as `JudgedParameters.read` does."""
        return self._judged.read(raw)

    def moment(self) -> tuple[int, int]:
        """Return what an answer depends on beside the query and figures of accesses: equal if it would be the same."""
        return self._index.version, self._tokens.step()

    def is_exact(self, figures: Sequence[AccessFigure]) -> bool:
        """Tell whether figures of an answer whose `moment` is now are still those of its entries."""
        find = self._index.get
        return all(
            (entry := find(namespace, name)) is not None and entry.accesses == accesses
            for namespace, name, accesses in figures
        )

    @property
    def accessed(self) -> int:
        """How many accesses were counted: answers that were exact stay so until it changes."""
        return self._index.accessed

    def find(self, asked: IndexQuery, continue_: str | None, *, gzip: bool) -> tuple[Answer, Sequence[Entry]]:
        """Prepare the answer to a query; return it with the entries that it shows.

        Parameters
        ----------
        asked
            The query, but for where its page begins.
        continue_
            The token that tells it; `None` for the first page.
        gzip
            Whether the client takes a compressed body.

        Raises
        ------
        Problem
            400 or 410 for a continue token that is of no use; 503 before the index is filled.
        """
        self._feed.require_filled()
        # All but the length of the page and its place.
        same, token = asked[:-2], ""
        if continue_ is not None:
            asked = asked._replace(after=Position(*self._tokens.read(_CALL, same, continue_)))
        found = self._index.find(asked)
        if (end := found.next) is not None:
            token = self._tokens.write(_CALL, same, [end.value, end.namespace, end.name])
        return listing_answer(found, token, {"resourceVersion": self._index.resource_version}, gzip=gzip), found.entries


def router(services: Services) -> APIRouter:
    """Return the call's route."""
    routes = APIRouter(route_class=CatalogRoute, tags=["images"])
    lists, past = Lists(services), PastLists(services)

    @routes.get(
        "/images",
        operation_id="listImages",
        summary="List the entries that match",
        response_model=ImageList,
        response_description="A page of entries.",
        responses=problems(304, 400, 401, 403, 410, 501, 503),
        openapi_extra=needs("list catalogimages"),
    )
    async def list_images(request: Request, query: Annotated[ListQuery, Query()]) -> Response:
        """Every filter narrows the answer; without any it is the namespace's whole catalog, newest first."""
        namespace = lists.scope(query)
        await require(request, services.guard, "list", namespace)
        if query.as_of is not None:
            prepare = await past.find(query, namespace)
            return answer_response(request, prepare)
        asked = query.to_index(namespace, None)
        return answer_response(request, lambda gzip: lists.find(asked, query.continue_, gzip=gzip)[0])

    return routes
