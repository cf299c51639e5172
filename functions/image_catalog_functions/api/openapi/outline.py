"""What people are told of an OpenAPI document: its calls by tag, then every object that they take or answer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from image_catalog.pages.blocks import Block, Code, Contents, Heading, Paragraph, Table, anchor_of
from image_catalog.pages.schemas import type_of
from image_catalog_functions.api.http.documents import REFUSALS, REGISTRY, RIGHTS

__all__ = ["outline_of"]

_LOGGING_IN: Final = """\
export CAIB_SERVER=http://localhost:8080
export CAIB_TOKEN="$(kubectl create token ci)"
curl -H "Authorization: Bearer $CAIB_TOKEN" "$CAIB_SERVER/api/v1alpha1/catalog/images?latest=true&limit=5\""""

_OBJECTS: Final = "Objects"
_REFUSALS: Final = "When the answer is no"

_SHORT_LIST: Final = re.compile(r'\[\s+"[^\[\]{}]*\]')
"""A list of texts, which JSON that is indented for people otherwise gives a line each."""

_Operation = dict[str, Any]


def outline_of(document: dict[str, Any]) -> Iterator[Block]:
    """Return what a page about an OpenAPI document shows, from top to bottom.

    Parameters
    ----------
    document
        The document.
    """
    info, schemas = document["info"], document["components"]["schemas"]
    tags = [(tag, list(_calls(document, tag["name"]))) for tag in document["tags"]]
    yield Heading(1, info["title"])
    yield Paragraph(info["summary"])
    yield Contents(_contents(tags, list(schemas)))
    yield Heading(2, "Conventions")
    yield from _paragraphs(info["description"])
    yield Heading(2, "Authentication")
    for scheme in document["components"]["securitySchemes"].values():
        yield from _paragraphs(scheme["description"])
    yield Code("console", _LOGGING_IN)
    yield from _refusals(document[REFUSALS])
    known = {str(each["status"]): each["description"] for each in document[REFUSALS]}
    for tag, calls in tags:
        yield Heading(2, _title(tag))
        yield Paragraph(tag["description"])
        for path, method, operation in calls:
            yield from _call(path, method, operation, known)
    yield Heading(2, _OBJECTS)
    yield Paragraph("What has no value is absent. The patterns that texts must match stand in the OpenAPI document.")
    for name, schema in schemas.items():
        yield from _object(name, schema)


def _contents(
    tags: list[tuple[dict[str, Any], list[tuple[str, str, _Operation]]]], names: list[str]
) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    return (
        ("Conventions", ()),
        ("Authentication", ()),
        (_REFUSALS, ()),
        *(
            (_title(tag), tuple((call["summary"], f"`{method.upper()} {path}`") for path, method, call in calls))
            for tag, calls in tags
        ),
        (_OBJECTS, tuple((name, "") for name in names)),
    )


def _title(tag: dict[str, Any]) -> str:
    return str(tag.get("x-displayName") or tag["name"].capitalize())


def _calls(document: dict[str, Any], tag: str) -> Iterator[tuple[str, str, _Operation]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if tag in operation["tags"]:
                yield path, method, operation


def _paragraphs(text: str) -> Iterator[Block]:
    for paragraph in text.split("\n\n"):
        yield Paragraph(" ".join(paragraph.split()))


def _refusals(declared: list[dict[str, Any]]) -> Iterator[Block]:
    yield Heading(2, _REFUSALS)
    yield Paragraph("Each call names the statuses that it may answer with; this is what they mean wherever they stand.")
    rows = (
        (f"`{each['status']}`", each["description"], ", ".join(f"`{reason}`" for reason in each["reasons"]))
        for each in declared
    )
    yield Table(("status", "meaning", "reasons"), tuple(rows))


def _call(path: str, method: str, operation: _Operation, known: Mapping[str, str]) -> Iterator[Block]:
    yield Heading(3, operation["summary"])
    rights = ", ".join(f"`{right}`" for right in operation.get(RIGHTS, ()))
    yield Paragraph(f"`{method.upper()} {path}`" + (f" – needs the right to {rights}" if rights else ""))
    yield Paragraph(operation["description"])
    parameters = operation.get("parameters", [])
    if parameters:
        yield Table(("parameter", "in", "type", "meaning"), tuple(_parameter(each) for each in parameters))
    body = operation.get("requestBody")
    if body is not None:
        if "description" in body:
            yield Paragraph(body["description"])
        bodies = ((f"`{media}`", type_of(content["schema"])) for media, content in body["content"].items())
        yield Table(("body", "type"), tuple(bodies))
    yield from _examples(path, method, operation)
    answers = operation["responses"]
    usual = [status for status, answer in answers.items() if answer["description"] == known.get(status)]
    own = ((f"`{status}`", _sent(answer), _said(answer)) for status, answer in answers.items() if status not in usual)
    yield Table(("answer", "body", "meaning"), tuple(own))
    if usual:
        statuses = ", ".join(f"`{status}`" for status in usual)
        yield Paragraph(f"Or [no](#{anchor_of(_REFUSALS)}): {statuses}.")


def _parameter(declared: dict[str, Any]) -> tuple[str, ...]:
    where = f"{declared['in']}, required" if declared.get("required") else declared["in"]
    return f"`{declared['name']}`", where, type_of(declared["schema"]), declared["description"]


def _sent(answer: dict[str, Any]) -> str:
    types = dict.fromkeys(type_of(content["schema"]) for content in answer.get("content", {}).values())
    return " or ".join(types) or "–"


def _said(answer: dict[str, Any]) -> str:
    fields = [f"`{name}`: {field['description']}" for name, field in answer.get("headers", {}).items()]
    return "\n".join([answer["description"], *fields])


def _examples(path: str, method: str, operation: _Operation) -> Iterator[Block]:
    verb = "" if method == "get" else f"-X {method.upper()} "
    start = [f'curl {verb}"$CAIB_SERVER{path.replace("{name}", "$NAME").replace("{registry}", "$REGISTRY")}"']
    if "security" in operation:
        token = "$REGISTRY_TOKEN" if {REGISTRY: []} in operation["security"] else "$CAIB_TOKEN"
        start.append(f'-H "Authorization: Bearer {token}"')
    contents = operation.get("requestBody", {}).get("content", {})
    headers = [
        f"-H '{each['name']}: {each['example']}'"
        for each in operation.get("parameters", ())
        if each["in"] == "header" and "example" in each
    ]
    if not contents:
        yield Code("console", " ".join(start))
    for media, content in contents.items():
        text = _SHORT_LIST.sub(_in_a_line, json.dumps(content["example"], indent=2, ensure_ascii=False))
        # Attributes of an event are in the header only where the body is its data.
        beside = headers if media == "application/json" else []
        yield Code("console", " \\\n  ".join([*start, *beside, f"-H 'Content-Type: {media}' -d '{text}'"]))


def _in_a_line(found: re.Match[str]) -> str:
    return " ".join(found[0].split()).replace("[ ", "[").replace(" ]", "]")


def _object(name: str, schema: dict[str, Any]) -> Iterator[Block]:
    yield Heading(3, name)
    if "description" in schema:
        yield Paragraph(schema["description"])
    properties, required = schema.get("properties"), schema.get("required", ())
    if properties is None:
        yield Paragraph(f"Type: {type_of(schema)}")
        return
    rows = (
        (f"`{field}`" + (", required" if field in required else ""), type_of(value), value.get("description", ""))
        for field, value in properties.items()
    )
    yield Table(("field", "type", "meaning"), tuple(rows))
