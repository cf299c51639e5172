"""``GET /builds``: completed builds that can be published, and the entries of those that are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from image_catalog.catalog.index import Query as IndexQuery
from image_catalog.models.names import ANNOTATION_PUBLISH
from image_catalog.models.reasons import UnpublishedReason
from image_catalog_functions.api.http.documents import BuildList, needs, problems
from image_catalog_functions.api.http.routes import CatalogRoute, require
from image_catalog_functions.api.reading.completed import BuildKey, CompletedBuild
from image_catalog_functions.api.reading.pages import answer_list
from image_catalog_functions.api.reading.queries import BuildsQuery
from image_catalog_functions.api.reading.tokens import ContinueTokens

if TYPE_CHECKING:
    from image_catalog_functions.api.services import Services

__all__ = ["router"]

_CALL: Final = "builds"


def router(services: Services) -> APIRouter:
    """Return the call's route."""
    routes = APIRouter(route_class=CatalogRoute, tags=["builds"])
    tokens = ContinueTokens(clock=services.clock)

    @routes.get(
        "/builds",
        operation_id="listBuilds",
        summary="List the completed builds that can be published",
        response_model=BuildList,
        response_description="A page of builds.",
        responses=problems(304, 400, 401, 403, 410, 503),
        openapi_extra=needs("list imagebuilds"),
    )
    async def list_builds(request: Request, query: Annotated[BuildsQuery, Query()]) -> Response:
        """Begin with the last completed; tell of each the entry whose current version it made."""
        namespace = query.scope(services.settings.default_namespace)
        await require(request, services.guard, "list", namespace, "imagebuilds")
        for feed in (services.build_feed, services.image_feed):
            feed.require_filled()
        asked = {"in": namespace}
        after: BuildKey | None = None
        if query.continue_ is not None:
            completed, where, name = tokens.read(_CALL, asked, query.continue_)
            after = (completed, where, name)
        builds, remaining = services.builds.page(namespace, limit=query.limit, after=after)
        token = tokens.write(_CALL, asked, list(builds[-1].key)) if remaining else ""
        metadata = {
            "continue": token,
            "remainingItemCount": remaining,
            "resourceVersion": services.builds.resource_version,
        }
        return answer_list(request, [_shown(services, build) for build in builds], metadata)

    return routes


def _shown(services: Services, build: CompletedBuild) -> dict[str, Any]:
    entry = _entry(services, build)
    return {**build.facts, "entry": entry, "unpublished": None if entry else _unpublished(services, build)}


def _unpublished(services: Services, build: CompletedBuild) -> dict[str, str] | None:
    """Return why no entry's current version is of a build, as far as builds and entries show it."""
    if build.opted_out:
        message = f"its annotation {ANNOTATION_PUBLISH} keeps it out of the catalog; it can be published by hand"
        return {"reason": UnpublishedReason.OPTED_OUT, "message": message}
    same = IndexQuery(namespace=build.namespace, registry_url=build.facts["registryUrl"], limit=1)
    for entry in services.index.find(same).entries:
        status = entry.object.get("status") or {}
        since = (status.get("sourceImageBuild") or {}).get("completionTime") or status.get("publishedAt")
        if since and since > (build.facts["completionTime"] or ""):
            message = f"the entry {entry.namespace}/{entry.name} has a version of {since}"
            return {"reason": UnpublishedReason.OLDER_THAN_CURRENT, "message": message}
    return None


def _entry(services: Services, build: CompletedBuild) -> dict[str, Any] | None:
    """Return the entry whose current version a build made."""
    of_build = f"{build.namespace}/{build.name}"
    found = services.index.find(IndexQuery(source_image_build=of_build, limit=1)).entries
    if not found:
        return None
    entry = found[0]
    phase = (entry.object.get("status") or {}).get("phase") or "Pending"
    return {"name": entry.name, "namespace": entry.namespace, "phase": phase}
