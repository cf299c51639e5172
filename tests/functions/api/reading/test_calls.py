"""What every call has in common: methods, paths, probes, documents."""

from __future__ import annotations

from datetime import timedelta

import httpx
import jsonschema_rs
import pytest

from image_catalog.testing.clock import StillClock
from image_catalog_functions.api.services import Services

pytestmark = pytest.mark.story

READS = ["images", "builds", "resolve?target=qemu", "images/x", "images/x/artifacts", "images/x/history", "audit"]
shared = pytest.mark.asyncio(loop_scope="module")
"""Of tests that change nothing, and so ask one API."""


@shared
@pytest.mark.parametrize("path", READS)
async def test_head_is_get_without_the_body(reader: httpx.AsyncClient, path: str) -> None:
    got, head = await reader.get(path), await reader.head(path)
    assert (head.status_code, head.content) == (got.status_code, b"")
    assert head.headers.get("etag") == got.headers.get("etag")
    assert head.headers["content-length"] == got.headers["content-length"]


@shared
@pytest.mark.parametrize("path", READS)
async def test_options_and_other_methods_are_told_what_is_taken(reader: httpx.AsyncClient, path: str) -> None:
    options = await reader.options(path)
    assert options.status_code == 204
    assert {"GET", "HEAD", "OPTIONS"} <= set(options.headers["allow"].split(", "))
    refused = await reader.patch(path)
    assert (refused.status_code, refused.json()["reason"]) == (405, "MethodNotAllowed")
    assert refused.headers["allow"] == options.headers["allow"]


@shared
@pytest.mark.parametrize("path", ["nix", "images/", "images/x/nix", "images/a/b/c", "/", "//images"])
async def test_path_that_is_not_there_is_a_problem(reader: httpx.AsyncClient, path: str) -> None:
    answer = await reader.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


async def test_document_is_true_of_what_is_answered(client: httpx.AsyncClient) -> None:
    document = (await client.get("http://api.test/openapi.json")).json()
    path = document["paths"]["/api/v1alpha1/catalog/images"]["get"]
    assert document["openapi"].startswith("3.1")
    assert path["security"] == [{"bearer": []}]
    assert "422" not in path["responses"]
    for status, answer in (("200", await client.get("images")), ("400", await client.get("images?x=1"))):
        ((_, content),) = path["responses"][status]["content"].items()
        schema = {**content["schema"], "components": document["components"]}
        jsonschema_rs.validate(schema, answer.json())
    identities = [o["operationId"] for methods in document["paths"].values() for o in methods.values()]
    assert len(set(identities)) == len(identities)


async def test_every_call_refuses_a_parameter_that_it_does_not_know(client: httpx.AsyncClient) -> None:
    document = (await client.get("http://api.test/openapi.json")).json()
    # A registry has to prove itself before anything of its notification is looked at: test_admission has that call.
    people = [(p, methods) for p, methods in document["paths"].items() if "/notifications/" not in p]
    calls = [(m, p) for p, methods in people for m in methods if "/catalog/" in p]
    assert len(calls) > 15
    for method, path in calls:
        answer = await client.request(
            method, f"http://api.test{path.replace('{name}', 'x')}", params={"nonsense": "1"}, json={}
        )
        assert (answer.status_code, answer.json()["details"].get("parameter")) == (400, "nonsense"), (method, path)
    # A call without parameters says so.
    answer = await client.post("publish?nonsense=1", json={})
    assert answer.json()["detail"] == "parameter nonsense is not known; this call takes none"


async def test_page_of_the_calls_needs_nobody_else(client: httpx.AsyncClient) -> None:
    page = await client.get("http://api.test/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "List the entries that match" in page.text
    assert "<script" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


async def test_age_is_told_while_the_watch_is_broken_and_readiness_ends_after_a_while(
    client: httpx.AsyncClient, services: Services, clock: StillClock
) -> None:
    assert (await client.get("http://api.test/readyz")).status_code == 200
    assert "age" not in (await client.get("images")).headers
    services.image_feed.interrupted()
    clock.advance(seconds=90)
    assert (await client.get("images")).headers["age"] == "90"
    assert (await client.get("http://api.test/readyz")).status_code == 200
    clock.advance(seconds=services.settings.index_stale_limit / timedelta(seconds=1))
    ready = await client.get("http://api.test/readyz")
    assert (ready.status_code, ready.json()["reason"]) == (503, "IndexOutOfDate")
