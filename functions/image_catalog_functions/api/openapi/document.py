"""``/openapi.json`` and ``/docs``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, get_args

import orjson
from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.responses import HTMLResponse, Response

from image_catalog import __version__
from image_catalog.models.docstrings import field_docs, markdown_text
from image_catalog.models.schemas import describe, models_of, without_titles
from image_catalog.pages.blocks import Paragraph
from image_catalog_functions.api.http.documents import BODIES, REFUSALS, SHAPES, refusals
from image_catalog_functions.api.http.problems import ProblemDocument
from image_catalog_functions.api.openapi import page
from image_catalog_functions.api.openapi.description import BEARER, INTRODUCTION, SCHEMES, SUMMARY, TAGS
from image_catalog_functions.api.openapi.outline import outline_of

__all__ = ["openapi", "router"]

_NOT_OURS: Final = ("HTTPValidationError", "ValidationError")
"""What FastAPI would answer to a parameter that is not possible; the catalog answers a problem with status 400."""

_OF_READS: Final[dict[str, Any]] = {
    "ETag": {
        "description": "State of what is answered, for `If-None-Match`; `status.accessCount` is no part of it.",
        "schema": {"type": "string"},
    },
    "Age": {
        "description": "Seconds for which changes may have been missed; only while the watch is broken.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
}

_REFERENCE: Final = re.compile(rb'"#/components/schemas/(\w+)"')

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
        shown = orjson.loads(document())
        title, *blocks = outline_of(shown)
        blocks.insert(0, Paragraph(f"Version {shown['info']['version']}. For programs: [openapi.json](/openapi.json)."))
        return HTMLResponse(page.render([title, *blocks], title=shown["info"]["title"]), headers=headers)

    return routes


def openapi(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of an application.

    FastAPI's own document says what its handlers would do; it is corrected
    where ours do something else, and says what the models' docstrings say.
    """
    document = get_openapi(
        title="Image Catalog API",
        version=__version__,
        summary=SUMMARY,
        description=INTRODUCTION,
        tags=[dict(tag) for tag in TAGS],
        routes=app.routes,
        separate_input_output_schemas=False,
    )
    components = document.setdefault("components", {})
    components["schemas"] = schemas = _schemas(app, components.get("schemas", {}))
    components["securitySchemes"] = dict(SCHEMES)
    operations = {operation["operationId"]: (path, operation) for path, operation in _operations(document)}
    for path, operation in operations.values():
        _correct(path, operation, schemas)
    _link(operations)
    _prune(document, schemas)
    document[REFUSALS] = refusals()
    return document


def _schemas(app: FastAPI, made: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of every model that a call takes or answers, by name."""
    answered = [
        model
        for route in _routes(app.routes)
        for model in (route.response_model, *(answer.get("model") for answer in route.responses.values()))
    ]
    models = models_of(ProblemDocument, *BODIES.values(), *_models_in(answered))
    schemas = {name: schema for name, schema in made.items() if name not in _NOT_OURS}
    read: tuple[type[BaseModel], ...] = (ProblemDocument, *BODIES.values())
    for model in read:
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
    schemas |= SHAPES
    for name, schema in schemas.items():
        if name in models:
            describe(schema, field_docs(models[name], markdown_text))
        if "description" in schema:
            schema["description"] = markdown_text(schema["description"])
    without_titles(schemas)
    return dict(sorted(schemas.items()))


def _routes(routes: Iterable[Any]) -> Iterator[APIRoute]:
    """Return every call's route: a router that was included stands for its own."""
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        elif (included := getattr(route, "original_router", None)) is not None:
            yield from _routes(included.routes)


def _models_in(declared: Iterable[Any]) -> Iterator[type[BaseModel]]:
    for each in declared:
        if isinstance(each, type) and issubclass(each, BaseModel):
            yield each
        else:
            yield from _models_in(get_args(each))


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for operation in methods.values():
            yield path, operation


def _correct(path: str, operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    if "/catalog" in path:
        operation.setdefault("security", [{BEARER: []}])
    for parameter in operation.get("parameters", ()):
        parameter["schema"] = _written_once(parameter["schema"], schemas)
    answers = operation["responses"]
    if any(name in str(answers.get("422", {}).get("content", {}).get("application/json")) for name in _NOT_OURS):
        del answers["422"]["content"]["application/json"]
        if not answers["422"]["content"]:
            del answers["422"]
    for answer in answers.values():
        without_titles([content["schema"] for content in answer.get("content", {}).values() if "schema" in content])
    if "304" in answers:
        answers["200"]["headers"] = answers["304"]["headers"] = _OF_READS
    operation["responses"] = dict(sorted(answers.items()))


def _written_once(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """Return what a parameter can be, in its own place: a page that points elsewhere for an enum says nothing."""
    # In a query, absent is absent: there is no way to write null.
    choices = [choice for choice in schema.pop("anyOf", ()) if choice.get("type") != "null"]
    schema |= choices[0] if len(choices) == 1 else {}
    target = schemas.get(schema.pop("$ref", "").rpartition("/")[2], {})
    # Parameters have a description of their own.
    return {key: value for key, value in (target | schema).items() if key not in {"title", "description"}}


def _prune(document: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Drop the schemas that nothing refers to."""
    used: set[str] = set()
    waiting: list[Any] = [document["paths"]]
    while waiting:
        found = {name.decode() for name in _REFERENCE.findall(orjson.dumps(waiting.pop()))} - used
        used |= found
        waiting.extend(schemas[name] for name in found)
    for name in schemas.keys() - used:
        del schemas[name]


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
