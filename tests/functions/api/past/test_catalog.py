"""``GET /images?asOf=``: the catalog as it was, asked as the live one is."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from image_catalog.testing.catalog_samples import sample_images
from image_catalog.testing.clock import StillClock
from image_catalog_functions.api.services import Services

SAMPLES = 60


async def names(client: httpx.AsyncClient, **params: Any) -> list[str]:
    """Return the names on all pages."""
    found: list[str] = []
    token = None
    while token != "":
        answer = await client.get("images", params={**params, **({"continue": token} if token else {})})
        assert answer.status_code == 200, answer.text
        found += [item["metadata"]["name"] for item in answer.json()["items"]]
        token = answer.json()["metadata"]["continue"]
    return found


async def test_entries_are_as_they_were(client: httpx.AsyncClient, past: Any, clock: StillClock) -> None:
    name = past.object()["metadata"]["name"]
    await past.happens("image.published", past.object(tags=["first"]))
    await past.happens("image.changed", past.object(tags=["second"]))
    await past.happens("image.removed", past.object(tags=["second"]))
    clock.advance(hours=1)
    seen = {}
    for minute in range(3):
        answer = (await client.get("images", params={"asOf": f"2026-06-01T12:0{minute}:30Z"})).json()
        seen[minute] = [item["spec"]["tags"] for item in answer["items"]]
        assert answer["metadata"]["asOf"] == f"2026-06-01T12:0{minute}:30Z"
    assert seen == {0: [["first"]], 1: [["second"]], 2: []}
    assert await names(client, asOf="1h2m") == [name]
    assert await names(client, asOf="2026-06-01T12:01:30Z", tags="second") == [name]
    assert await names(client, asOf="2026-06-01T12:01:30Z", tags="first") == []
    before = (await client.get("images", params={"asOf": "P1D"})).json()
    assert (before["items"], before["metadata"]["note"]) == (
        [],
        "the history knows nothing of that time: it begins later",
    )
    future = await client.get("images", params={"asOf": "2026-06-01T14:00:00Z"})
    assert future.status_code == 400
    assert future.json()["details"]["parameter"] == "asOf"


QUERIES = [
    {},
    {"architecture": "aarch64"},
    {"distro": "cs9", "sort": "size"},
    {"target": "raspberry-pi4", "sort": "name", "order": "desc"},
    {"tags": "production"},
    {"q": "AUTOSD"},
    {"latest": "true"},
    {"latest": "true", "phase": "Available", "limit": "2"},
    {"bootcCapable": "true", "sort": "verified"},
    {"recalled": "false", "namespace": "team-a", "allNamespaces": "false"},
    {"minAvailability": "0.5", "sort": "availability", "order": "asc"},
    {"minAvailability": "0.96", "availabilityWindow": "30d"},
]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_every_query_finds_what_it_finds_in_the_live_catalog(
    client: httpx.AsyncClient, past: Any, services: Services, clock: StillClock
) -> None:
    for number, sample in enumerate(sample_images(SAMPLES, namespaces=("default", "team-a"))):
        sample["status"]["availability"] = {
            "since": "2026-05-01T00:00:00Z",
            "asOf": "2026-06-01T12:00:00Z",
            "hours": f"1-12:{number % 4 * 1_200}U",
            "days": f"0:{number % 4 * 14_400}U",
        }
        services.index.put(sample)
        await past.happens("image.published", sample)
    moment = clock().isoformat().replace("+00:00", "Z")
    clock.advance(hours=1)
    for query in QUERIES:
        asked = {"allNamespaces": "true", "limit": "7", **query}
        live = await names(client, **asked)
        assert await names(client, **asked, asOf=moment) == live
        assert query.get("limit") == "2" or live


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_token_goes_on_at_the_moment_of_the_first_page(
    client: httpx.AsyncClient, past: Any, clock: StillClock
) -> None:
    for number in range(3):
        await past.happens("image.published", past.object(number))
    clock.advance(hours=1)
    first = (await client.get("images", params={"asOf": "1h", "limit": 2})).json()
    clock.advance(hours=5)
    await past.happens("image.published", past.object(9))
    clock.advance(hours=1)
    token = first["metadata"]["continue"]
    second = (await client.get("images", params={"asOf": "1h", "limit": 2, "continue": token})).json()
    assert second["metadata"]["asOf"] == first["metadata"]["asOf"]
    assert [len(first["items"]), len(second["items"])] == [2, 1]
    other = await client.get("images", params={"asOf": "2h", "limit": 2, "continue": token})
    assert other.json()["reason"] == "InvalidContinue"
