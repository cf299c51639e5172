"""The stream as it is served: the real server over real databases."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import stamina

from image_catalog.audit import AuditStore, NewRecord
from image_catalog.events import PREFIX
from image_catalog.local.functions import free_port
from image_catalog.testing.event_streams import Watch, catalog_event, watcher_of
from image_catalog.testing.postgres import Postgres
from image_catalog_functions.api.app import create_app
from image_catalog_functions.api.services import Services

pytestmark = pytest.mark.story

NO_CLUSTER = {
    name: value for name, value in os.environ.items() if not name.startswith(("KUBE", "IMAGE_CATALOG", "PORT"))
}
PATH = "/api/v1alpha1/catalog/events"


def record(event: dict[str, Any], *, confirmed: bool = True) -> NewRecord:
    """Make what the audit function would keep of an event."""
    return NewRecord(
        event_id=event["id"],
        kind=event["type"].removeprefix(PREFIX),
        time=datetime.now(UTC),
        namespace="default",
        name="autosd",
        confirmed=confirmed,
        data={"event": event},
    )


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Make an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/audit.db"
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    with postgres.database() as url:
        yield url


@asynccontextmanager
async def replicas(services: Services, database: str, count: int) -> AsyncIterator[list[Watch]]:
    """Run replicas of the API, each with connections of its own."""
    async with AsyncExitStack() as stack:
        stores = [AuditStore.open(database) for _ in range(count)]
        for store in stores:
            stack.push_async_callback(store.aclose)
        yield [watcher_of(create_app(replace(services, audit=store))) for store in stores]


async def test_each_replica_tells_every_event_and_a_client_goes_on_at_another(
    services: Services, database: str
) -> None:
    store = AuditStore.open(database)
    async with replicas(services, database, 2) as (one, other):
        await store.append([record(catalog_event(0))])
        async with one() as client, other() as second:
            await store.append([record(catalog_event(number)) for number in (1, 2)])
            assert await client.ids(2) == await second.ids(2) == ["event-1", "event-2"]
        await store.append([record(catalog_event(3))])
        async with other(headers={"Last-Event-ID": client.last or ""}) as again:
            await store.append([record(catalog_event(4))])
            assert await again.ids(2) == ["event-3", "event-4"]
        async with one(since=(datetime.now(UTC) - timedelta(minutes=1)).isoformat()) as all_of_them:
            assert await all_of_them.ids(5) == [f"event-{number}" for number in range(5)]
    await store.aclose()


async def test_what_is_confirmed_later_is_told_then_whichever_came_first(services: Services, database: str) -> None:
    store, event, late = AuditStore.open(database), catalog_event(1), catalog_event(2)
    async with replicas(services, database, 1) as (watch,), watch() as client:
        await store.append([record(event, confirmed=False)])
        await store.append([replace(record(late), data={"seen": "on the object"})])
        await store.append([record(catalog_event(3))])
        assert await client.ids(1) == ["event-3"]
        await store.append([replace(record(event), data={"seen": "on the object"})])
        assert await client.ids(1) == ["event-1"]
        await store.append([record(late, confirmed=False)])
        assert await client.ids(1) == ["event-2"]
        # Delivered again, as brokers do.
        await store.append([record(event, confirmed=False), record(late), record(catalog_event(4))])
        assert await client.ids(1) == ["event-4"]
    await store.aclose()


@asynccontextmanager
async def process(database: str, log: Path) -> AsyncIterator[tuple[subprocess.Popen[bytes], str]]:
    """Run the API as it is deployed, without a cluster."""
    port = free_port()
    environment = {**NO_CLUSTER, "PORT": str(port), "IMAGE_CATALOG_DATABASE_URL": database}
    with log.open("wb") as output:
        served = subprocess.Popen(  # noqa: ASYNC220 - it is started once
            [sys.executable, "-m", "image_catalog_functions.api", "--auth", "none"],
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(trust_env=False) as client:
            async for attempt in stamina.retry_context(
                on=httpx.TransportError, attempts=None, timeout=30, wait_max=0.1
            ):
                with attempt:
                    await client.get(f"{url}/healthz")
        yield served, url
    finally:
        served.kill()
        served.wait()


async def ids(lines: AsyncIterator[str], count: int) -> list[str]:
    """Return the ids of the next events with data."""
    found: list[str] = []
    place = ""
    async with asyncio.timeout(10):
        async for line in lines:
            if line.startswith("id: "):
                place = line[4:]
            elif line.startswith("data: "):
                found.append(place)
                if len(found) == count:
                    break
    return found


async def test_events_leave_the_server_as_they_come_and_streams_end_with_it(tmp_path: Path) -> None:
    database, log = f"sqlite:///{tmp_path}/audit.db", tmp_path / "log"
    store = AuditStore.open(database)
    await store.append([record(catalog_event(0))])
    async with process(database, log) as (served, url), httpx.AsyncClient(base_url=url, trust_env=False) as client:
        async with client.stream("GET", PATH, headers={"Accept-Encoding": "gzip"}) as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            assert "content-encoding" not in stream.headers
            lines = stream.aiter_lines()
            for number in range(1, 4):
                await store.append([record(catalog_event(number))])
                assert await ids(lines, 1) == [str(number + 1)]
        assert await _watchers(client) == 0
        async with client.stream("GET", PATH, headers={"Last-Event-ID": "2"}) as stream:
            lines = stream.aiter_lines()
            assert await ids(lines, 2) == ["3", "4"]
            served.send_signal(signal.SIGTERM)
            rest = [line async for line in lines if line]
        assert rest[0] == "event: end"
        assert '"reason":"Stopping"' in rest[1]
        assert await asyncio.to_thread(served.wait, 10) == 0
    await store.aclose()
    assert "Traceback" not in log.read_text()
    assert "requests cut off" not in log.read_text()


async def _watchers(client: httpx.AsyncClient) -> float:
    """Return how many streams the server tells of, once that has become none."""
    value = -1.0
    async for attempt in stamina.retry_context(on=AssertionError, timeout=10, wait_initial=0.02, wait_max=0.1):
        with attempt:
            figures = (await client.get("/metrics")).text
            line = next(line for line in figures.splitlines() if line.startswith("image_catalog_api_streams "))
            value = float(line.split()[1])
            assert value == 0
    return value
