"""``GET /registries``: the registries that entries name, and for which share of time each answered."""

from __future__ import annotations

from bisect import bisect_right
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from image_catalog.catalog.index import RegistryReliability
from image_catalog.models import AvailabilityWindow
from image_catalog_functions.api.http.documents import RegistryList, needs, problems
from image_catalog_functions.api.http.routes import CatalogRoute, require
from image_catalog_functions.api.reading.pages import answer_list
from image_catalog_functions.api.reading.queries import BuildsQuery
from image_catalog_functions.api.reading.tokens import ContinueTokens

if TYPE_CHECKING:
    from image_catalog_functions.api.services import Services

__all__ = ["router"]

_CALL: Final = "registries"


def router(services: Services) -> APIRouter:
    """Return the call's route."""
    routes = APIRouter(route_class=CatalogRoute, tags=["registries"])
    tokens = ContinueTokens(clock=services.clock)

    @routes.get(
        "/registries",
        operation_id="listRegistries",
        summary="List the registries that entries name, with their availability",
        response_model=RegistryList,
        response_description="A page of registries, by host.",
        responses=problems(304, 400, 401, 403, 410, 503),
        openapi_extra=needs("list catalogimages"),
    )
    async def list_registries(request: Request, query: Annotated[BuildsQuery, Query()]) -> Response:
        """Sum up what the entries say; a registry needs no CatalogRegistry for that."""
        namespace = query.scope(services.settings.default_namespace)
        await require(request, services.guard, "list", namespace)
        services.image_feed.require_filled()
        asked = {"in": namespace}
        found = services.index.registries(namespace, services.clock())
        start = 0
        if query.continue_ is not None:
            (last,) = tokens.read(_CALL, asked, query.continue_)
            start = bisect_right(found, last, key=attrgetter("registry"))
        page = found[start : start + query.limit]
        remaining = len(found) - start - len(page)
        token = tokens.write(_CALL, asked, [page[-1].registry]) if remaining else ""
        metadata = {
            "continue": token,
            "remainingItemCount": remaining,
            "resourceVersion": services.index.resource_version,
        }
        return answer_list(request, [_shown(registry) for registry in page], metadata)

    return routes


def _shown(found: RegistryReliability) -> dict[str, Any]:
    availability: dict[str, float] = {}
    for window in AvailabilityWindow:
        tally = found.tallies[window]
        shares = {f"last{window}": tally.answered_ratio, f"images{window}": tally.ratio}
        availability |= {name: share for name, share in shares.items() if share is not None}
        availability[f"known{window}"] = tally.known_ratio or 0
    return {"host": found.registry, "entries": found.entries, "availability": availability}
