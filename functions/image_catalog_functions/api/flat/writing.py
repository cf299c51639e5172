"""The flat form's writes: the catalog's own, with the status codes that the Go ``caib`` takes for success."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import orjson
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from image_catalog_functions.api.flat.documents import FlatImage, FlatVerification
from image_catalog_functions.api.flat.form import flatten
from image_catalog_functions.api.flat.requests import FlatAdd, FlatPublish
from image_catalog_functions.api.http import examples
from image_catalog_functions.api.http.answers import uncached
from image_catalog_functions.api.http.bodies import read_json
from image_catalog_functions.api.http.documents import body_of, needs, problems
from image_catalog_functions.api.http.names import EntryName
from image_catalog_functions.api.http.routes import CatalogRoute
from image_catalog_functions.api.reading.queries import NamespaceQuery
from image_catalog_functions.api.writing.asking import Asker
from image_catalog_functions.api.writing.bodies import BuildToPublish, NewImage
from image_catalog_functions.api.writing.publishing import add_image, publish_build
from image_catalog_functions.api.writing.removing import remove_image
from image_catalog_functions.api.writing.verifying import verify_image
from image_catalog_functions.api.writing.written import Written

if TYPE_CHECKING:
    from image_catalog_functions.api.services import Services

__all__ = ["router"]

_BODY_TROUBLE = (400, 401, 403, 404, 408, 409, 413, 415, 422, 502, 503, 504)


def router(services: Services) -> APIRouter:
    """Return the routes of add, publish, verify and remove."""
    routes = APIRouter(route_class=CatalogRoute, tags=["flat"])
    _add_making(routes, services, default_namespace=services.settings.default_namespace)
    _add_keeping(routes, services, default_namespace=services.settings.default_namespace)
    return routes


def _add_making(routes: APIRouter, services: Services, *, default_namespace: str) -> None:
    """Add the calls that make an entry."""

    @routes.post(
        "/images",
        operation_id="addFlatImage",
        summary="Add an external image in the flat form",
        status_code=201,
        response_model=FlatImage,
        responses=problems(*_BODY_TROUBLE),
        response_description="The new entry.",
        openapi_extra=needs("create catalogimages") | body_of(FlatAdd, examples.FLAT_ADD),
    )
    async def add(request: Request, query: Annotated[NamespaceQuery, Query()]) -> Response:
        """Do as the catalog's own form does, with the fields in one level."""
        body = NewImage.model_validate((await read_json(request, FlatAdd)).to_entry())
        namespace = query.namespace or default_namespace
        return _created(await add_image(services, Asker.of(request), body, namespace=namespace))

    @routes.post(
        "/publish",
        operation_id="publishFlatImage",
        summary="Publish a completed build in the flat form",
        status_code=201,
        response_model=FlatImage,
        responses=problems(*_BODY_TROUBLE),
        response_description="The entry.",
        openapi_extra=needs("get imagebuilds", "create catalogimages") | body_of(FlatPublish, examples.FLAT_PUBLISH),
    )
    async def publish(request: Request, query: Annotated[NamespaceQuery, Query()]) -> Response:
        """Answer 201 also when nothing changed: the client takes everything else for a failure."""
        asked = await read_json(request, FlatPublish)
        body = BuildToPublish(
            image_build_name=asked.image_build_name,
            image_build_namespace=asked.image_build_namespace or query.namespace or default_namespace,
            catalog_image_name=asked.catalog_image_name,
            tags=asked.tags,
        )
        return _created(await publish_build(services, Asker.of(request), body))


def _add_keeping(routes: APIRouter, services: Services, *, default_namespace: str) -> None:
    """Add the calls about an entry that is there."""

    @routes.post(
        "/images/{name}/verify",
        operation_id="verifyFlatImage",
        summary="Check an entry in the flat form",
        response_model=FlatVerification,
        response_description="The check is done.",
        responses=problems(400, 401, 403, 404, 409, 422, 502, 503, 504),
        openapi_extra=needs("update catalogimages"),
    )
    async def verify(request: Request, name: EntryName, query: Annotated[NamespaceQuery, Query()]) -> Response:
        """Wait for the check; the entry then says what was found."""
        namespace = query.namespace or default_namespace
        found = await verify_image(services, Asker.of(request), namespace=namespace, name=name)
        return uncached(orjson.dumps({"message": found.message, "triggered": found.triggered}))

    @routes.delete(
        "/images/{name}",
        operation_id="removeFlatImage",
        summary="Remove an entry in the flat form",
        status_code=204,
        response_class=Response,
        response_description="The entry is gone, or is being removed.",
        openapi_extra=needs("delete catalogimages"),
        responses=problems(400, 401, 403, 404, 409, 503),
    )
    async def remove(request: Request, name: EntryName, query: Annotated[NamespaceQuery, Query()]) -> Response:
        """Leave the image in its registry alone."""
        namespace = query.namespace or default_namespace
        await remove_image(services, Asker.of(request), namespace=namespace, name=name)
        return Response(status_code=204)


def _created(written: Written) -> Response:
    return uncached(orjson.dumps(flatten(written.entry.object)), 201)
