"""Events of functions that really run, kept by the audit function, as watchers are told them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from image_catalog.audit import AuditStore
from image_catalog.config import Settings
from image_catalog.events import PREFIX
from image_catalog.local.knative import CloudEvent
from image_catalog.testing.event_streams import StreamClient, Watch, watcher_of
from image_catalog.testing.world import World
from image_catalog_functions.api.app import create_app
from image_catalog_functions.api.services import Services

pytestmark = pytest.mark.story


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Give every function a database."""
    return Settings(database_url=SecretStr(f"sqlite:///{tmp_path / 'audit.db'}"))


@pytest.fixture
async def kept(services: Services, settings: Settings) -> AsyncIterator[Watch]:
    """Open streams of what the audit function keeps."""
    assert settings.database_url is not None
    store = AuditStore.open(settings.database_url)
    yield watcher_of(create_app(replace(services, audit=store)))
    await store.aclose()


def emitted(world: World) -> list[dict[str, Any]]:
    """Return what functions emitted, in the JSON format and each once."""
    events = {event.id: {**event.attributes, "data": orjson.loads(event.data)} for event in world.pipeline.emitted}
    return list(events.values())


async def told(client: StreamClient, count: int) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return the next events by id, with the names that they came under."""
    frames = [await client.next() for _ in range(count)]
    return {frame.data["id"]: (frame.name, frame.data) for frame in frames if frame is not None}


async def test_everything_that_functions_emit_is_told_as_it_was_emitted(world: World, kept: Watch) -> None:
    async with kept(allNamespaces="true") as client:
        world.push()
        await world.complete()
        await world.complete("lost", url="quay.io/acme/none:1")
        expected = emitted(world)
        found = await told(client, len(expected))
    assert {event["type"].removeprefix(PREFIX) for event in expected} >= {
        "image.published",
        "image.available",
        "publish.rejected",
    }
    for event in expected:
        confirmed = event["type"] != f"{PREFIX}publish.rejected"
        assert found[event["id"]] == ("message" if confirmed else "unconfirmed", event)


async def test_an_event_that_somebody_made_up_is_not_told_even_under_the_id_of_a_real_one(
    world: World, kept: Watch
) -> None:
    world.push()
    await world.complete()
    entry = world.raw("catalogimages", "autosd")
    assert entry is not None
    number = entry["status"]["recentChanges"][0]["events"][0]["id"]
    attributes = {
        "specversion": "1.0",
        "source": "/somewhere",
        "type": f"{PREFIX}image.recalled",
        "subject": "team-a/autosd",
        "catalognamespace": "team-a",
        "catalogname": "autosd",
        "datacontenttype": "application/json",
    }
    data = orjson.dumps({"name": "autosd", "namespace": "team-a", "registryUrl": "x", "digest": "x", "reason": "x"})
    async with kept(allNamespaces="true") as client:
        for id_ in ("made-up", number):
            await world.pipeline.deliver("audit", CloudEvent({**attributes, "id": id_}, data))
        world.push("next", tag="next")
        await world.complete("next", url="quay.io/acme/autosd:next")
        first = await client.next()
    assert first is not None
    assert first.data["type"] != f"{PREFIX}image.recalled"
