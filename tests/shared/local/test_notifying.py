"""How the stack's registry tells the catalog of pushes."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from image_catalog.local.notifying import PushNotifier
from image_catalog.local.serving import LoopbackServer
from image_catalog.models import CatalogRegistry

EVENT = {"id": "1", "action": "push", "target": {"repository": "acme/os", "tag": "1"}}


class Catalog:
    """Takes notifications, after it has failed to a few times."""

    def __init__(self, *failures: int) -> None:
        self.failures = list(failures)
        self.taken: asyncio.Queue[tuple[str, str, Any]] = asyncio.Queue()

    async def take(self, request: Request) -> Response:
        if self.failures:
            return Response(status_code=self.failures.pop(0))
        self.taken.put_nowait((request.url.path, request.headers["authorization"], await request.json()))
        return Response(status_code=202)


@pytest.fixture
async def catalog() -> AsyncIterator[tuple[Catalog, str]]:
    catalog = Catalog(503)
    async with LoopbackServer(Starlette(routes=[Route("/{registry}", catalog.take, methods=["POST"])])) as server:
        yield catalog, server.url


async def test_each_event_goes_to_every_registry_that_it_stands_for_until_it_is_taken(
    catalog: tuple[Catalog, str],
) -> None:
    taking, url = catalog
    notifier = PushNotifier(namespace="image-catalog", account="api")
    secret, role, binding = notifier.documents()
    token = base64.b64decode(secret["data"]["token"]).decode()
    notifier.hear(EVENT)
    running = asyncio.create_task(notifier.run(f"{url}/one", f"{url}/two"))
    async with asyncio.timeout(20):
        taken = [await taking.taken.get() for _ in range(2)]
    running.cancel()
    assert sorted(path for path, _, _ in taken) == ["/one", "/two"]
    assert {(proof, str(body)) for _, proof, body in taken} == {(f"Bearer {token}", str({"events": [EVENT]}))}
    assert role["rules"][0]["resourceNames"] == [secret["metadata"]["name"]]
    assert binding["subjects"][0]["name"] == "api"
    spec = {"host": "quay.io", "notifications": notifier.notifications}
    assert CatalogRegistry.model_validate({"metadata": {"name": "a"}, "spec": spec}).spec.notifications is not None


async def test_what_is_refused_for_good_is_not_sent_again(catalog: tuple[Catalog, str]) -> None:
    taking, url = catalog
    taking.failures[:] = [401]
    notifier = PushNotifier(namespace="image-catalog", account="api")
    notifier.hear(EVENT)
    notifier.hear({**EVENT, "id": "2"})
    running = asyncio.create_task(notifier.run(f"{url}/one"))
    async with asyncio.timeout(20):
        _, _, body = await taking.taken.get()
    running.cancel()
    assert body["events"][0]["id"] == "2"


async def test_a_registry_that_is_busier_than_the_catalog_keeps_the_newest() -> None:
    catalog = Catalog()
    notifier = PushNotifier(namespace="image-catalog", account="api")
    for number in range(1002):
        notifier.hear({**EVENT, "id": str(number)})
    async with LoopbackServer(Starlette(routes=[Route("/one", catalog.take, methods=["POST"])])) as server:
        running = asyncio.create_task(notifier.run(f"{server.url}/one"))
        async with asyncio.timeout(20):
            _, _, body = await catalog.taken.get()
        running.cancel()
    assert body["events"][0]["id"] == "2"
