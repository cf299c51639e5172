"""How long it takes to show the catalog as it was, with many records in the audit's database."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from pydantic import SecretStr
from tests.bench.figures import Figure, spread

from image_catalog.audit import AuditStore, NewRecord, StateChange
from image_catalog.config import ApiAuth, Settings
from image_catalog.context import Context
from image_catalog.testing.catalog_samples import sample_images
from image_catalog.testing.clock import StillClock
from image_catalog.testing.cluster import InProcessCluster
from image_catalog.testing.lifespan import alive
from image_catalog_functions.api.app import BASE, create_app
from image_catalog_functions.api.assembly import assemble

__all__ = ["measure_past"]

_BAR = 100
_CHANGES = 100
"""Changes of each entry."""
_BATCH = 500
_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
_FILTER = {"allNamespaces": "true", "distro": "cs9", "limit": "20"}


async def measure_past(folder: Path, *, records: int, rounds: int) -> list[Figure]:
    """Measure a list of 20 entries of the past, with a filter, through the whole API.

    Parameters
    ----------
    folder
        Where the database goes.
    records
        How many records it has, a hundred of each entry, each with the entry's state.
    rounds
        How many moments are asked for.
    """
    clock = StillClock(_BEGAN)
    settings = Settings(database_url=SecretStr(f"sqlite:///{folder / 'audit.db'}"))
    async with InProcessCluster() as cluster:
        context = Context.build(settings=settings, transport=cluster.transport("api"), clock=clock)
        services = assemble(context, auth=ApiAuth.NONE)
        entries = max(records // _CHANGES, 1)
        await _fill(services.require_audit(), clock, entries, records)
        clock.advance(hours=1)
        app, transport = create_app(services), httpx.ASGITransport
        async with (
            alive(app),
            httpx.AsyncClient(transport=transport(app), base_url=f"http://api.test{BASE}/") as client,
        ):
            cold, warm = [], []
            # The first one opens the database.
            for number in range(rounds + 1):
                moment = _BEGAN + (clock() - _BEGAN - timedelta(hours=1)) * (number + 1) / (rounds + 2)
                asked = {**_FILTER, "asOf": moment.isoformat().replace("+00:00", "Z")}
                cold.append(await _time(client, asked))
                warm.append(await _time(client, asked | {"sort": "name"}))
    taken = cold[1:]
    return [
        Figure(
            name="asof_ms_100k_records",
            value=statistics.median(taken),
            unit="ms",
            better="lower",
            bar=_BAR,
            note=f"GET /images?asOf= of a moment that nobody asked for before, 20 entries, one filter, by all of the "
            f"API in this process; {records} records of {entries} entries, each with a state, in SQLite; "
            f"{len(taken)} moments, {spread(taken)}; the same moment again, sorted otherwise: "
            f"{statistics.median(warm[1:]):.1f} ms",
        )
    ]


async def _time(client: httpx.AsyncClient, asked: dict[str, str]) -> float:
    begun = time.perf_counter()
    answer = await client.get("images", params=asked)
    taken = (time.perf_counter() - begun) * 1000
    answer.raise_for_status()
    return taken


async def _fill(store: AuditStore, clock: StillClock, entries: int, records: int) -> None:
    batch: list[NewRecord] = []
    for record in _changes(clock, entries, records):
        batch.append(record)
        if len(batch) == _BATCH:
            await store.append(batch)
            clock.advance(seconds=10)
            batch = []
    await store.append(batch)
    clock.advance(seconds=10)


def _changes(clock: StillClock, entries: int, records: int) -> Iterator[NewRecord]:
    objects = list(sample_images(entries))
    for number in range(records):
        entry = objects[number % entries]
        meta = {**entry["metadata"], "resourceVersion": str(number + 1)}
        changed = {**entry, "metadata": meta, "spec": {**entry["spec"], "tags": [f"change-{number // entries}"]}}
        yield NewRecord(
            event_id=f"change-{number}",
            kind="image.changed",
            time=clock(),
            namespace=meta["namespace"],
            name=meta["name"],
            actor="alice",
            state=StateChange(object=changed),
        )
