"""The OpenAPI document and its pages: valid, whole, and true of what the calls take and ask for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import jsonschema_rs
import orjson
import pytest
from fastapi import FastAPI

from image_catalog.cluster import Caller
from image_catalog.pages.blocks import Heading, anchor_of
from image_catalog_functions.api import reference
from image_catalog_functions.api.http.asgi import ASGIApp
from image_catalog_functions.api.http.problems import Problem, ProblemReason
from image_catalog_functions.api.openapi.document import openapi
from image_catalog_functions.api.openapi.outline import outline_of
from image_catalog_functions.api.services import Services

PAGE = Path(__file__).resolve().parents[4] / "docs" / "reference" / "api.md"

Document = dict[str, Any]

Operation = dict[str, Any]

Application = Callable[[Services], ASGIApp]


@pytest.fixture(scope="session")
def document(framework: FastAPI) -> Document:
    """Return the document as it is sent."""
    made: Document = orjson.loads(orjson.dumps(openapi(framework)))
    return made


def operations(document: Document) -> Iterator[tuple[str, str, Operation]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    """Return every object of a document, from the outside in."""
    if isinstance(node, dict):
        yield node
    for below in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from nodes(below)


def judge(document: Document, schema: Mapping[str, Any], value: object) -> None:
    """Compare a value with a schema of the document."""
    jsonschema_rs.validate({**schema, "components": document["components"]}, value, validate_formats=True)


# As the page's list of contents names them: to make the document is dear, and each test process would have to.
CALLS = re.findall(r"^ *- .* `([A-Z]+) (/.*)`$", PAGE.read_text(), flags=re.MULTILINE)


def each(chosen: list[tuple[str, str]]) -> pytest.MarkDecorator:
    """Run a test for each of these calls."""
    return pytest.mark.parametrize(("method", "path"), chosen, ids=[" ".join(call) for call in chosen])


each_call = each(CALLS)


@pytest.fixture
def operation(document: Document, method: str, path: str) -> Operation:
    """Return what the document says of a call."""
    operation: Operation = document["paths"][path][method.lower()]
    return operation


def test_the_page_lists_every_call_once(document: Document) -> None:
    assert sorted(CALLS) == sorted((method.upper(), path) for path, method, _ in operations(document)), (
        "run `make docs`"
    )


def test_it_is_a_document_of_openapi_3_1(document: Document) -> None:
    from schemathesis.specs.openapi.definitions import OPENAPI_31  # noqa: PLC0415 - dear, and one test needs it

    jsonschema_rs.Draft202012Validator(OPENAPI_31).validate(document)
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})


def test_every_reference_leads_somewhere_and_every_schema_is_used(document: Document) -> None:
    used = {node["$ref"].rpartition("/")[2] for node in nodes(document) if isinstance(node.get("$ref"), str)}
    assert used == set(document["components"]["schemas"])


def test_what_is_said_is_said_once(document: Document) -> None:
    told = [operation["summary"] for *_, operation in operations(document)]
    assert len(set(told)) == len(told)
    assert {tag["name"] for tag in document["tags"]} == {name for *_, o in operations(document) for name in o["tags"]}


def test_every_field_is_explained(document: Document) -> None:
    # These are as in every object of Kubernetes.
    known = {"CatalogImage", "RecalledImage", "WrittenImage", "ObjectMeta"}
    for name, schema in document["components"]["schemas"].items():
        assert schema["description"].endswith("."), name
        fields = schema.get("properties", {}) if name not in known else {}
        assert not [field for field, value in fields.items() if not value.get("description")], name


def is_for_people(operation: Operation) -> bool:
    """Tell whether a call's caller is somebody whom Kubernetes knows."""
    return {"bearer": []} in operation.get("security", ())


@each_call
def test_a_call_says_what_it_does_in_words_of_its_own(method: str, path: str, operation: Operation) -> None:
    assert operation["description"].endswith(".")
    assert operation["summary"].rstrip(".?") not in operation["description"]
    answers = operation["responses"]
    said = [answer["description"] for answer in answers.values()]
    assert all(text.endswith(".") for text in said)
    assert len(set(said)) == len(said)
    assert "Successful Response" not in said
    for parameter in operation.get("parameters", ()):
        assert parameter["description"].endswith(".")
        assert {"type", "enum"} & parameter["schema"].keys()
        assert "description" not in parameter["schema"]
    assert ("401" in answers) == ("security" in operation) == ("/catalog/" in path)
    assert ("403" in answers) == is_for_people(operation)
    if "304" in answers:
        assert {"ETag", "Age"} <= answers["200"]["headers"].keys() & answers["304"]["headers"].keys()
    # What registries send is read whatever they call it.
    assert ("requestBody" in operation and is_for_people(operation)) == ("415" in answers), method


@each_call
def test_the_examples_fit_their_schemas(document: Document, operation: Operation) -> None:
    for content in operation.get("requestBody", {"content": {}})["content"].values():
        judge(document, content["schema"], content["example"])


@dataclass
class Doorkeeper:
    """Lets a caller pass until it has been asked often enough, and remembers for what."""

    most: int
    asked: list[str] = field(default_factory=list)

    def known(self, *_: object, **__: object) -> None:
        return None

    async def identify(self, authorization: str | None) -> Caller:
        del authorization
        return Caller(username="somebody")

    async def require(
        self, authorization: str | None, verb: str, namespace: str | None, resource: str = "catalogimages"
    ) -> Caller:
        del authorization, namespace
        self.asked.append(f"{verb} {resource}")
        if len(self.asked) >= self.most:
            raise Problem(403, ProblemReason.FORBIDDEN, "that is far enough")
        return Caller(username="somebody")


def requests(path: str, operation: Operation) -> Iterator[dict[str, Any]]:
    """Return the requests that the document's examples make, one for each form of the body."""
    url = f"http://api.test{path.replace('{name}', 'x')}"
    beside = {
        p["name"]: p["example"] for p in operation.get("parameters", ()) if p["in"] == "header" and "example" in p
    }
    needed = [p for p in operation.get("parameters", ()) if p["in"] == "query" and p["required"]]
    if needed:
        url += "?" + urlencode({p["name"]: p["schema"]["examples"][0] for p in needed})
    contents = operation.get("requestBody", {"content": {}})["content"]
    for media, content in contents.items():
        headers = {"Content-Type": media} | (beside if media == "application/json" else {})
        yield {"url": url, "headers": headers, "content": orjson.dumps(content["example"])}
    if not contents:
        yield {"url": url}


# Registries prove themselves with a token of their own, and need no right.
@each([(method, path) for method, path in CALLS if "/catalog/" in path and "/notifications/" not in path])
async def test_the_examples_are_taken_and_need_the_rights_that_are_told(
    application: Application, document: Document, method: str, path: str, operation: Operation
) -> None:
    # What an event needs depends on its type: that of the examples is a publication, without a build.
    rights = operation.get("x-rights", ["create catalogimages"])
    for request in requests(path, operation):
        guard = Doorkeeper(most=len(rights))
        app = application(replace(reference.unconnected(), guard=guard))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
            answer = await client.request(method, **request)
        if "batch" in str(request.get("headers")):
            assert {item["status"] for item in answer.json()["items"]} == {403}
        else:
            assert (answer.status_code, answer.json()["detail"]) == (403, "that is far enough")
            assert guard.asked == rights
        judge(
            document,
            operation["responses"][str(answer.status_code)]["content"][answer.headers["content-type"]]["schema"],
            answer.json(),
        )


async def test_the_page_shows_everything_without_a_script(application: Application, document: Document) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(application(reference.unconnected()))) as client:
        page = (await client.get("http://api.test/docs")).text
    anchors, links = set(re.findall(r' id="([^"]*)"', page)), set(re.findall(r' href="#([^"]*)"', page))
    assert links == anchors - {""}
    for name, schema in document["components"]["schemas"].items():
        assert anchor_of(name) in anchors
        assert all(f"<code>{field}</code>" in page for field in schema.get("properties", ()))
    for path, method, operation in operations(document):
        assert anchor_of(operation["summary"]) in anchors
        assert f"<code>{method.upper()} {path}</code>" in page
    assert "`" not in re.sub(r"<pre>.*?</pre>", "", page, flags=re.DOTALL)
    assert "prefers-color-scheme: dark" in page
    assert "<script" not in page
    assert "http" not in "".join(re.findall(r'(?:src|href)="([^"]*)"', page))


def test_no_two_headings_of_the_page_are_one_anchor(document: Document) -> None:
    anchors = [anchor_of(block.text) for block in outline_of(document) if isinstance(block, Heading)]
    assert len(set(anchors)) == len(anchors)


def test_the_page_in_the_repository_is_what_the_api_declares(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = tmp_path / "api.md"
    assert reference.main(["--check", "--output", str(written)]) == 1
    assert "make docs" in capsys.readouterr().err
    assert reference.main(["--output", str(written)]) == 0
    assert reference.main(["--check", "--output", str(written)]) == 0
    assert written.read_text() == PAGE.read_text(), "run `make docs`"
