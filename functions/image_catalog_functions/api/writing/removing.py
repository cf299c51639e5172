"""Removes entries, and waits until they are gone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from image_catalog.catalog.index import Entry, Index
from image_catalog.catalog.signing import sign
from image_catalog.cluster import CATALOG_IMAGE, Caller
from image_catalog.errors import InvalidObjectError
from image_catalog.models import CatalogImage
from image_catalog.models.names import ANNOTATION_REMOVED_BY
from image_catalog_functions.api.http.answers import uncached
from image_catalog_functions.api.http.documents import needs, problems
from image_catalog_functions.api.http.names import EntryName
from image_catalog_functions.api.http.routes import CatalogRoute
from image_catalog_functions.api.reading.details import no_such_image
from image_catalog_functions.api.reading.queries import NamespaceQuery
from image_catalog_functions.api.writing.asking import Asker
from image_catalog_functions.api.writing.written import refresh

if TYPE_CHECKING:
    from image_catalog_functions.api.services import Services

__all__ = ["remove_image", "router"]

_STAYING: Final[dict[int | str, dict[str, Any]]] = {
    202: {
        "model": CatalogImage,
        "description": "The entry is being removed, but `cleanup` has not let go of it yet: as it is, with its "
        "`deletionTimestamp`.",
    }
}


async def remove_image(services: Services, asker: Asker, *, namespace: str, name: str) -> Entry | None:
    """Remove an entry and wait, for as long as the settings say, until it is gone; the image stays in its registry.

    Parameters
    ----------
    services
        What the API works with.
    asker
        Who asks; needs the right to delete entries there.
    namespace, name
        The entry.

    Returns
    -------
    Entry or None
        The entry if it is still there: it goes once everybody has let go of it.

    Raises
    ------
    Problem
        401 and 403 as the guard says; 404 for no such entry.
    """
    caller = await services.guard.require(asker.authorization, "delete", namespace)
    found = await _marked(services, caller, namespace=namespace, name=name)
    if found is None:
        await refresh(services, namespace, name)
        raise no_such_image(namespace, name)
    uid = str(found["metadata"].get("uid") or "")
    with _departure(services.index, uid) as gone:
        # This very entry: one that takes its name in this moment is not what the caller has looked at.
        await services.api.delete(CATALOG_IMAGE, name, namespace, uid=uid or None)
        left = await refresh(services, namespace, name)
        if left is None or left.uid != uid:
            return None
        with suppress(TimeoutError):
            await asyncio.wait_for(gone.wait(), services.settings.removal_wait.total_seconds())
    left = services.index.get(namespace, name)
    return left if left is not None and left.uid == uid else None


@contextmanager
def _departure(index: Index, uid: str) -> Iterator[asyncio.Event]:
    """Give what is set when an entry goes, as long as the context lasts."""
    gone = asyncio.Event()

    def hear(entry: Entry) -> None:
        if entry.uid == uid:
            gone.set()

    with index.departures(hear):
        yield gone


def router(services: Services) -> APIRouter:
    """Return the route that removes entries."""
    routes = APIRouter(route_class=CatalogRoute, tags=["images"])
    default = services.settings.default_namespace

    @routes.delete(
        "/images/{name}",
        operation_id="deleteImage",
        summary="Remove an entry",
        status_code=204,
        response_class=Response,
        response_description="The entry is gone.",
        openapi_extra=needs("delete catalogimages"),
        responses=_STAYING | problems(400, 401, 403, 404, 409, 503),
    )
    async def delete_image(request: Request, name: EntryName, query: Annotated[NamespaceQuery, Query()]) -> Response:
        """Leave the image in its registry alone. Wait some seconds until `cleanup` has told of the entry's end."""
        left = await remove_image(services, Asker.of(request), namespace=query.namespace or default, name=name)
        return Response(status_code=204) if left is None else uncached(left.json, 202)

    return routes


async def _marked(services: Services, caller: Caller, *, namespace: str, name: str) -> dict[str, Any] | None:
    """Return an entry on which stands who removes it, for those who are told of its removal; `None` for none."""
    annotations = {ANNOTATION_REMOVED_BY: sign(caller, now=services.clock())}
    try:
        return await services.api.patch(CATALOG_IMAGE, name, namespace, {"metadata": {"annotations": annotations}})
    except InvalidObjectError:
        # It breaks rules that came after it; removing it is the remedy.
        return await services.api.get(CATALOG_IMAGE, name, namespace)
