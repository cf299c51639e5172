"""The route of ``GET /resolve``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from image_catalog_functions.api.http.answers import Answer
from image_catalog_functions.api.http.documents import needs, problems
from image_catalog_functions.api.http.routes import CatalogRoute, answer_response, is_head, require
from image_catalog_functions.api.resolving.documents import ResolvedImage
from image_catalog_functions.api.resolving.queries import ResolveQuery

if TYPE_CHECKING:
    from image_catalog_functions.api.resolving.resolver import Resolver
    from image_catalog_functions.api.services import Services

__all__ = ["router"]

_NOTHING_FITS = "Nothing fits (`NoImageFits`); `details.rejected` says of each image for the board why it lost."


def router(services: Services, resolver: Resolver) -> APIRouter:
    """Return the call's route.

    Parameters
    ----------
    services
        What the calls work with.
    resolver
        Chooses the image.
    """
    routes = APIRouter(route_class=CatalogRoute, tags=["images"])
    others = problems(304, 400, 401, 403, 404, 503)
    others[404]["description"] = _NOTHING_FITS

    @routes.get(
        "/resolve",
        operation_id="resolveImage",
        summary="Find the one image to flash",
        response_model=ResolvedImage,
        response_description="The image, and why none of the others.",
        responses=others,
        openapi_extra=needs("list catalogimages"),
    )
    async def resolve_image(request: Request, query: Annotated[ResolveQuery, Query()]) -> Response:
        """Of what fits, the last published is the one; docs/resolution.md tells the rules and their order.

        The audit keeps who was given which image for which board; HEAD gives none.
        """
        caller = await require(request, services.guard, "list", resolver.scope(query))

        def prepare(gzip: bool) -> Answer:  # noqa: FBT001 - what answers a read calls it so
            resolved = resolver.find(request.scope["query_string"], query, gzip=gzip)
            if not is_head(request):
                resolver.record(caller, resolved)
            return resolved.answer

        return answer_response(request, prepare)

    return routes
