"""The flat form's reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple
from hashlib import blake2b
from typing import TYPE_CHECKING, Annotated, Any, Final

import orjson
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from image_catalog.catalog.index import Entry, Listing, Position
from image_catalog_functions.api.flat.documents import FlatImage, FlatImageList
from image_catalog_functions.api.flat.form import flatten
from image_catalog_functions.api.flat.requests import FlatListQuery
from image_catalog_functions.api.http.answers import Answer, etag_of
from image_catalog_functions.api.http.documents import needs, problems
from image_catalog_functions.api.http.names import EntryName
from image_catalog_functions.api.http.routes import CatalogRoute, answer_response, is_head, require
from image_catalog_functions.api.reading.details import no_such_image
from image_catalog_functions.api.reading.queries import NamespaceQuery
from image_catalog_functions.api.reading.tokens import ContinueTokens

if TYPE_CHECKING:
    from image_catalog_functions.api.services import Services

__all__ = ["router"]

_CALL: Final = "flat"


def router(services: Services) -> APIRouter:
    """Return the routes of list and details."""
    routes = APIRouter(route_class=CatalogRoute, tags=["flat"])
    tokens = ContinueTokens(clock=services.clock)
    default_namespace = services.settings.default_namespace

    @routes.get(
        "/images",
        operation_id="listFlatImages",
        summary="List entries in the flat form",
        response_model=FlatImageList,
        response_model_exclude_none=True,
        response_description="A page of entries, and how many there are in all.",
        responses=problems(304, 400, 401, 403, 410, 503),
        openapi_extra=needs("list catalogimages"),
    )
    async def list_images(request: Request, query: Annotated[FlatListQuery, Query()]) -> Response:
        """By default the newest images that can be used; `phase=all&latest=false` lists every entry."""
        namespace = query.namespace or default_namespace
        await require(request, services.guard, "list", namespace)
        services.image_feed.require_filled()
        asked = _identity(query, namespace)
        after = None
        if query.continue_ is not None:
            after = Position(*tokens.read(_CALL, asked, query.continue_))
        found = services.index.find(query.to_index(namespace, after))
        page: dict[str, Any] = {"items": [flatten(entry.object) for entry in found.entries], "total": found.total}
        if found.next is not None:
            page["continue"] = tokens.write(_CALL, asked, list(astuple(found.next)))
        etag = _etag(found, page.get("continue", ""))
        return answer_response(request, lambda gzip: Answer.of(orjson.dumps(page), etag, gzip=gzip))

    @routes.get(
        "/images/{name}",
        operation_id="getFlatImage",
        summary="Show an entry in the flat form",
        response_model=FlatImage,
        response_model_exclude_none=True,
        response_description="The entry.",
        responses=problems(304, 400, 401, 403, 404, 503),
        openapi_extra=needs("get catalogimages"),
    )
    async def get_image(request: Request, name: EntryName, query: Annotated[NamespaceQuery, Query()]) -> Response:
        """Count an access, as the catalog's own form does."""
        namespace = query.namespace or default_namespace
        await require(request, services.guard, "get", namespace)
        entry = services.index.get(namespace, name)
        if entry is None:
            services.image_feed.require_filled()
            raise no_such_image(namespace, name)
        if not is_head(request):
            entry = services.index.count_access(namespace, name) or entry
        body, etag = orjson.dumps(flatten(entry.object)), etag_of(f"{_state(entry)}-flat")
        return answer_response(request, lambda gzip: Answer.of(body, etag, gzip=gzip))

    return routes


def _identity(query: FlatListQuery, namespace: str) -> Mapping[str, Any]:
    """Return everything that decides what a list holds and how it is sorted."""
    return {**query.model_dump(exclude={"continue_", "limit", "namespace"}, exclude_none=True), "in": namespace}


def _state(entry: Entry) -> str:
    return f"{entry.uid}-{entry.resource_version}"


def _etag(found: Listing, token: str) -> bytes:
    states = ";".join(_state(entry) for entry in found.entries)
    return etag_of(blake2b(f"{states};{found.total};{token}".encode(), digest_size=12).hexdigest())
