from __future__ import annotations

import httpx
import pytest
from fastapi import APIRouter, FastAPI

from image_catalog_functions.api.http.asgi import Receive, Scope, Send
from image_catalog_functions.api.http.patterns import pattern_of


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        pytest.param("/v1/things/one", "/v1/things/{name}", id="below the first"),
        pytest.param("/v2/things/one", "/v2/things/{name}", id="below the second"),
        pytest.param("/alive", "/alive", id="below none"),
        pytest.param("/v1/nothing", None, id="no route"),
    ],
)
async def test_routes_of_one_name_below_two_prefixes_are_told_apart(path: str, pattern: str | None) -> None:
    found: list[str | None] = []
    app, things = FastAPI(), APIRouter()
    things.add_api_route("/things/{name}", lambda name: name)
    app.include_router(things, prefix="/v1")
    app.include_router(things, prefix="/v2")
    app.add_api_route("/alive", lambda: "yes")

    async def front(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)
        found.append(pattern_of(scope, ("/v1/", "/v2/")))

    async with httpx.AsyncClient(transport=httpx.ASGITransport(front), base_url="http://test") as client:
        await client.get(path)
    assert found == [pattern]
