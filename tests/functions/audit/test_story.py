"""FR-009: every publication, change and removal with who, what, when and outcome, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

import httpx

from image_catalog.audit import AuditStore
from image_catalog.testing.world import World

API = "/api/v1alpha1/catalog"
OpenApi = Callable[[World], AbstractAsyncContextManager[httpx.AsyncClient]]


async def test_publications_changes_and_removals_say_who_what_when_and_how_it_ended(
    world: World, open_api: OpenApi, told: Any, store: AuditStore
) -> None:
    world.push()
    await world.complete()
    published = world.clock.now()
    world.clock.advance(timedelta(minutes=1))
    world.edit(spec={"tags": ["tested"]})
    await world.pipeline.drain()
    assert await told.lines(namespace="team-a", name="autosd") == [
        ("image.published", "ImageBuild team-a/autosd", "succeeded", True),
        ("image.available", "image-catalog", "succeeded", True),
        ("image.changed", "unknown", "succeeded", True),
    ]
    (edit,) = await told.records(kinds=("image.changed",))
    assert edit.data["changes"] == [{"path": "spec.tags", "from": [], "to": ["tested"]}]
    assert edit.time == world.clock.now()
    (before,) = await store.states_at(published)
    assert before.object["spec"]["tags"] == []

    world.take_down()
    await world.pass_time(hours=2)
    world.bring_back()
    await world.request(registryUrl="quay.io/acme/nothing:cs9")
    async with open_api(world) as api:
        api.headers["Authorization"] = f"Bearer {world.pipeline.cluster.server.admin_token}"
        shown = (await api.get(f"{API}/images/autosd?namespace=team-a")).json()
        body = {"spec": {**shown["spec"], "tags": ["tested", "production"]}}
        assert (await api.put(f"{API}/images/autosd?namespace=team-a", json=body)).status_code == 200
        await world.pipeline.drain()
        await api.delete(f"{API}/images/autosd?namespace=team-a")
        # It may get entries, and not list them.
        api.headers["Authorization"] = f"Bearer {world.pipeline.cluster.token('verify')}"
        refused = await api.get(f"{API}/audit?namespace=team-a")
        assert (refused.status_code, refused.json()["reason"]) == (403, "Forbidden")
        assert (await api.get(f"{API}/images?asOf=1h&namespace=team-a")).status_code == 403
        assert (await api.get(f"{API}/images/autosd/history?kind=all&namespace=team-a")).status_code == 200
    await world.pipeline.drain()
    assert (await told.lines())[3:] == [
        ("image.unavailable", "image-catalog", "failed", True),
        ("publish.requested", "unauthenticated", "succeeded", False),
        ("publish.rejected", "unauthenticated", "refused", False),
        ("image.changed", "admin", "succeeded", True),
        ("image.removed", "admin", "succeeded", True),
    ]
    assert await store.states_at(world.clock.now()) == []
    assert (await store.verify()).breaks == []
