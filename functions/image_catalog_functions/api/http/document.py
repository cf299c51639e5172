"""``/openapi.json`` and ``/docs``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson
from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from starlette.responses import HTMLResponse, Response

from image_catalog import __version__
from image_catalog_functions.api.http.documents import BODIES
from image_catalog_functions.api.http.pages import page_of
from image_catalog_functions.api.http.problems import ProblemDocument

__all__ = ["openapi", "router"]

_BEARER: Final = "bearer"

_NOT_OURS: Final = ("HTTPValidationError", "ValidationError")
"""What FastAPI would answer to a parameter that is not possible; the catalog answers a problem with status 400."""

_FIRST: Final = "$response.body#/items/0/metadata"
_MADE: Final = "$response.body#/metadata"

_LINKS: Final = {
    "listImages": ("200", _FIRST, ("getImage", "listArtifacts", "listHistory", "verifyImage")),
    "createImage": ("201", _MADE, ("getImage", "listHistory", "replaceImage", "deleteImage")),
    "getImage": ("200", _MADE, ("listArtifacts", "listHistory", "replaceImage", "deleteImage")),
    "publishBuild": ("201", _MADE, ("getImage", "listHistory")),
}
"""Which calls go on from which answers, by operation id."""


def router(app: FastAPI) -> APIRouter:
    """Return the routes of the documents about an application's calls."""
    routes = APIRouter(include_in_schema=False)
    made: list[bytes] = []

    def document() -> bytes:
        if not made:
            made.append(orjson.dumps(openapi(app)))
        return made[0]

    @routes.get("/openapi.json")
    async def openapi_json() -> Response:
        """Say what every call takes and answers (OpenAPI 3.1)."""
        return Response(document(), media_type="application/json")

    @routes.get("/docs")
    async def docs() -> Response:
        """Say the same for people, without a script and without asking another host for anything."""
        headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
        return HTMLResponse(page_of(orjson.loads(document())), headers=headers)

    return routes


def openapi(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of an application.

    FastAPI's own document says what its handlers would do; it is corrected
    where ours do something else.
    """
    document = get_openapi(
        title="Image Catalog API",
        version=__version__,
        summary="Automotive OS images: published from builds, kept true against their registries.",
        routes=app.routes,
        separate_input_output_schemas=False,
    )
    schemas: dict[str, Any] = document.setdefault("components", {}).setdefault("schemas", {})
    models: tuple[type[BaseModel], ...] = (ProblemDocument, *BODIES.values())
    for model in models:
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
    for name in _NOT_OURS:
        schemas.pop(name, None)
    document["components"]["securitySchemes"] = {_BEARER: {"type": "http", "scheme": "bearer"}}
    operations = {operation["operationId"]: (path, operation) for path, operation in _operations(document)}
    for path, operation in operations.values():
        _correct(path, operation)
    _link(operations)
    return document


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for operation in methods.values():
            yield path, operation


def _correct(path: str, operation: dict[str, Any]) -> None:
    if "/catalog" in path:
        operation["security"] = [{_BEARER: []}]
    for parameter in operation.get("parameters", ()):
        choices = [choice for choice in parameter["schema"].get("anyOf", ()) if choice.get("type") != "null"]
        if len(choices) == 1:
            # In a query, absent is absent: there is no way to write null.
            del parameter["schema"]["anyOf"]
            parameter["schema"].update(choices[0])
    answers = operation["responses"]
    if any(name in str(answers.get("422", {}).get("content", {}).get("application/json")) for name in _NOT_OURS):
        del answers["422"]["content"]["application/json"]
        if not answers["422"]["content"]:
            del answers["422"]


def _link(operations: dict[str, tuple[str, dict[str, Any]]]) -> None:
    for source, (status, where, targets) in _LINKS.items():
        if source not in operations:
            continue
        answer = operations[source][1]["responses"].get(status)
        if answer is not None:
            answer["links"] = {
                target: {
                    "operationId": target,
                    "parameters": {"path.name": f"{where}/name", "query.namespace": f"{where}/namespace"},
                }
                for target in targets
                if target in operations
            }
