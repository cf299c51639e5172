"""``/openapi.json`` and ``/docs``."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from starlette.responses import HTMLResponse, Response

from image_catalog import __version__
from image_catalog_functions.api.http.documents import BODIES
from image_catalog_functions.api.http.problems import ProblemDocument

__all__ = ["openapi", "router"]


def router(app: FastAPI) -> APIRouter:
    """Return the routes of the documents about an application's calls."""
    routes = APIRouter(include_in_schema=False)
    made: list[bytes] = []

    @routes.get("/openapi.json")
    async def openapi_json() -> Response:
        """Every call, parameter and answer (OpenAPI 3.1)."""
        if not made:
            made.append(orjson.dumps(openapi(app)))
        return Response(made[0], media_type="application/json")

    @routes.get("/docs")
    async def docs() -> Response:
        """Say the same for people."""
        return HTMLResponse("<!doctype html><title>Image Catalog API</title>")

    return routes


def openapi(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of an application."""
    document = get_openapi(title="Image Catalog API", version=__version__, routes=app.routes)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    models: tuple[type[BaseModel], ...] = (ProblemDocument, *BODIES.values())
    for model in models:
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
    return document
