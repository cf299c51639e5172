"""The routes of recalls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from image_catalog_functions.api.http import examples
from image_catalog_functions.api.http.bodies import read_json
from image_catalog_functions.api.http.documents import body_of, needs, problems
from image_catalog_functions.api.http.names import EntryName
from image_catalog_functions.api.http.routes import CatalogRoute
from image_catalog_functions.api.reading.queries import NamespaceQuery
from image_catalog_functions.api.recalling.bodies import RecalledImage, ToRecall, ToRestore
from image_catalog_functions.api.recalling.calls import recall_image, restore_image
from image_catalog_functions.api.writing.asking import Asker

if TYPE_CHECKING:
    from image_catalog_functions.api.services import Services

__all__ = ["router"]


def router(services: Services) -> APIRouter:
    """Return the routes by which contents are recalled and restored."""
    routes = APIRouter(route_class=CatalogRoute, tags=["images"])
    default = services.settings.default_namespace
    answers = problems(400, 401, 403, 404, 408, 409, 413, 415, 422, 503)

    @routes.post(
        "/images/{name}/recall",
        operation_id="recallImage",
        summary="Recall a content",
        response_model=RecalledImage,
        response_description="The entry, the others that the recall holds for, and who has the content.",
        responses=answers,
        openapi_extra=needs("update catalogimages") | body_of(ToRecall, examples.RECALL),
    )
    async def recall(request: Request, name: EntryName, query: Annotated[NamespaceQuery, Query()]) -> Response:
        """Mark the content everywhere in the namespace, and where it was promoted to from there."""
        body = await read_json(request, ToRecall)
        asker, namespace = Asker.of(request), query.namespace or default
        return (await recall_image(services, asker, body, namespace=namespace, name=name)).response()

    @routes.post(
        "/images/{name}/restore",
        operation_id="restoreImage",
        summary="Take a recall back",
        response_model=RecalledImage,
        response_description="The entry, and what still holds of the content.",
        responses=answers,
        openapi_extra=needs("update catalogimages") | body_of(ToRestore, examples.RESTORE),
    )
    async def restore(request: Request, name: EntryName, query: Annotated[NamespaceQuery, Query()]) -> Response:
        """Lift the mark where the content was recalled; where that entry is gone, at any that still has it."""
        body = await read_json(request, ToRestore)
        asker, namespace = Asker.of(request), query.namespace or default
        return (await restore_image(services, asker, body, namespace=namespace, name=name)).response()

    return routes
