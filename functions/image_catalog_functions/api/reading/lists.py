"""``GET /images``: the entries that a query finds, page by page."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from image_catalog.catalog.index import Listing, Position
from image_catalog_functions.api.http.answers import Answer, etag_of
from image_catalog_functions.api.http.documents import ImageList, problems
from image_catalog_functions.api.http.routes import CatalogRoute, answer_response, require
from image_catalog_functions.api.reading.queries import ListQuery
from image_catalog_functions.api.reading.tokens import ContinueTokens

if TYPE_CHECKING:
    from image_catalog_functions.api.services import Services

__all__ = ["Lists", "router"]

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
        self._tokens = ContinueTokens(clock=services.clock)

    def scope(self, query: ListQuery) -> str | None:
        """Return the namespace that a query asks about; `None` for all of them."""
        return query.scope(self._namespace)

    def moment(self) -> tuple[int, int]:
        """Return what an answer depends on beside the query: equal means that it would be the same."""
        return self._index.version, self._tokens.step()

    def answer(self, query: ListQuery, namespace: str | None, *, gzip: bool) -> Answer:
        """Prepare the answer to a query.

        Raises
        ------
        Problem
            400 or 410 for a continue token that is of no use; 503 before the index is filled.
        """
        self._feed.require_filled()
        tokens, after, token = self._tokens, None, ""
        if query.continue_ is not None:
            after = Position(*tokens.read(_CALL, _identity(query, namespace), query.continue_))
        found = self._index.find(query.to_index(namespace, after))
        if (end := found.next) is not None:
            token = tokens.write(_CALL, _identity(query, namespace), [end.value, end.namespace, end.name])
        metadata = {
            "continue": token,
            "remainingItemCount": found.remaining,
            "resourceVersion": self._index.resource_version,
        }
        parts = [entry.json for entry in found.entries] or [b""]
        # A page is some 60 KB: head and tail go to the first and last entry, so that the whole is copied once.
        parts[0] = b'{"items":[' + parts[0]
        parts[-1] += b'],"metadata":' + orjson.dumps(metadata) + b"}"
        return Answer.of(b",".join(parts), _etag(found, token), gzip=gzip)


def router(services: Services) -> APIRouter:
    """Return the call's route."""
    routes = APIRouter(route_class=CatalogRoute, tags=["images"])
    lists = Lists(services)

    @routes.get(
        "/images",
        operation_id="listImages",
        summary="List the entries that match",
        response_model=ImageList,
        responses=problems(304, 400, 401, 403, 410, 503),
    )
    async def list_images(request: Request, query: Annotated[ListQuery, Query()]) -> Response:
        """Every filter narrows the answer; without any it is the namespace's whole catalog, newest first."""
        namespace = lists.scope(query)
        await require(request, services.guard, "list", namespace)
        return answer_response(request, lambda gzip: lists.answer(query, namespace, gzip=gzip))

    return routes


def _identity(query: ListQuery, namespace: str | None) -> dict[str, Any]:
    """Return everything that decides what a list holds and how it is sorted."""
    asked = query.model_dump(exclude={"continue_", "limit", "namespace", "all_namespaces"}, exclude_none=True)
    return {**asked, "in": namespace}


def _etag(found: Listing, token: str) -> bytes:
    entries = ";".join([f"{entry.uid}/{entry.resource_version}" for entry in found.entries])
    return etag_of(blake2b(f"{entries};{found.remaining};{token}".encode(), digest_size=12).hexdigest())
