"""``DELETE /images/{name}``: gone, or said to be going."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest

from image_catalog.cluster import CATALOG_IMAGE
from image_catalog.config import Settings
from image_catalog.testing.world import NAMESPACE

URL = "quay.io/acme/autosd:cs9"
FLAT = f"/v1/catalog/images/autosd?namespace={NAMESPACE}"


async def add(catalog: Any) -> None:
    """Add an image; the functions have settled what it stands for, and hold it until its end is told."""
    catalog.world.push()
    answer = await catalog.ask("POST", "/images", {"name": "autosd", "spec": {"registryUrl": URL}})
    await catalog.world.pipeline.drain()
    assert answer.status_code == 201


@pytest.fixture
async def patient(serve: Callable[..., Any]) -> AsyncIterator[Any]:
    """Give an API that waits for cleanup, and learns from its watch that an entry is gone."""
    served = serve(settings=Settings(removal_wait=timedelta(seconds=15)))
    feed = asyncio.create_task(served.services.image_feed.run())
    await served.services.image_feed.filled.wait()
    yield served
    feed.cancel()
    await asyncio.wait((feed,))
    await served.client.aclose()
    await served.services.functions.aclose()


async def test_it_returns_when_cleanup_has_let_go_and_nobody_is_shown_the_entry_any_more(patient: Any) -> None:
    await add(patient)
    cleanup: list[asyncio.Task[None]] = []

    async def set_off() -> None:
        cleanup.append(asyncio.create_task(patient.world.pipeline.drain()))

    # What the API reads once it has deleted: the entry is still there, and cleanup hears of it only now.
    patient.world.pipeline.cluster.before(set_off, verb="get", resource="catalogimages", actor="api")
    answer = await patient.ask("DELETE", "/images/autosd")

    assert (answer.status_code, answer.content) == (204, b"")
    assert (await patient.ask("GET", "/images/autosd")).status_code == 404
    await asyncio.gather(*cleanup)


async def test_what_nobody_holds_is_gone_at_once(patient: Any) -> None:
    patient.world.pipeline.apply(patient.world.entry_manifest("autosd", URL))
    assert (await patient.ask("DELETE", "/images/autosd")).status_code == 204
    assert patient.world.entry() is None


async def test_an_entry_that_is_held_for_longer_is_answered_as_it_is(catalog: Any) -> None:
    await add(catalog)
    for _ in range(2):
        answer = await catalog.ask("DELETE", "/images/autosd")
        assert answer.status_code == 202, "the second time it is being removed, as was asked"
        assert answer.json()["metadata"]["deletionTimestamp"]
    spec = {"registryUrl": URL, "tags": ["late"]}
    answer = await catalog.ask("PUT", "/images/autosd", {"spec": spec})
    assert (answer.status_code, answer.json()["reason"]) == (409, "Conflict")

    await catalog.world.pipeline.drain()

    assert catalog.world.entry() is None
    assert (await catalog.ask("DELETE", "/images/autosd")).status_code == 404
    assert catalog.services.index.get(NAMESPACE, "autosd") is None


async def test_the_flat_form_says_the_same_of_gone_and_going(catalog: Any) -> None:
    await add(catalog)
    answer = await catalog.client.delete(FLAT)
    assert (answer.status_code, answer.content) == (204, b"")
    assert catalog.world.entry() is not None


async def test_another_entry_that_took_the_name_meanwhile_is_not_removed(catalog: Any) -> None:
    await add(catalog)

    async def swap() -> None:
        bucket, key = (CATALOG_IMAGE.group, CATALOG_IMAGE.plural), (NAMESPACE, "autosd")
        catalog.world.pipeline.cluster.server.store.remove(bucket, key)
        catalog.world.pipeline.apply(catalog.world.entry_manifest("autosd", "quay.io/acme/other:1"))

    catalog.world.pipeline.cluster.before(swap, verb="delete", resource="catalogimages", actor="api")
    answer = await catalog.ask("DELETE", "/images/autosd")
    assert answer.status_code == 409
    assert catalog.world.image().spec.registry_url == "quay.io/acme/other:1"
