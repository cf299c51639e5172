"""How many records a second the audit keeps: four processes at once, as the functions of a cluster append."""

from __future__ import annotations

import asyncio
import statistics
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.bench.figures import Figure

from image_catalog.audit import AuditStore
from image_catalog.testing.postgres import NoPostgresError, running_postgres

__all__ = ["measure_audit_appends"]

_WAITING = 32
"""Appends that wait at once in each process: what a function works on side by side."""
_LIMIT = 120.0


async def measure_audit_appends(folder: Path, *, processes: int, records: int, rounds: int) -> list[Figure]:
    """Append records from several processes to each database.

    Parameters
    ----------
    folder
        Where SQLite's file goes.
    processes
        How many processes append at once.
    records
        How many records each of them appends in a round.
    rounds
        How many rounds.
    """
    how = (
        f"{processes} processes append {records} records each to 200 entries, one by one, {_WAITING} waiting at once; "
        "each with an object of 3 kB, chained, committed and synced to the disk before it is acknowledged"
    )
    url = f"sqlite:///{folder / 'audit.db'}"
    figures = [_figure("audit_append_per_second", await _measure(url, processes, records, rounds), f"SQLite: {how}")]
    name = "audit_append_per_second_postgresql"
    try:
        with running_postgres(durable=True) as postgres, postgres.database() as url:
            figures.append(_figure(name, await _measure(url, processes, records, rounds), f"PostgreSQL: {how}"))
    except NoPostgresError as e:
        figures.append(Figure(name=name, value=None, unit="/s", better="higher", note=str(e)))
    return figures


async def _measure(url: str, processes: int, records: int, rounds: int) -> list[float]:
    store = AuditStore.open(url)
    await store.migrate()
    rates = []
    for number in range(rounds):
        names = [f"{number}-{i}" for i in range(processes)]
        async with _writers(url, names, records) as writers:
            loop = asyncio.get_running_loop()
            begun = loop.time()
            async with asyncio.timeout(_LIMIT):
                await asyncio.gather(*(_run(writer) for writer in writers))
            rates.append(processes * records / (loop.time() - begun))
    verified = await store.verify()
    await store.aclose()
    if verified.breaks or verified.records != rounds * processes * records:
        raise RuntimeError(f"{verified.records} records, {verified.breaks[:3]}")
    return rates


@asynccontextmanager
async def _writers(url: str, names: Sequence[str], records: int) -> AsyncIterator[list[Process]]:
    writers = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _WRITER, url, name, str(records), str(_WAITING)), stdin=PIPE, stdout=PIPE
        )
        for name in names
    ]
    for writer in writers:
        await _told(writer, b"ready\n")
    yield writers
    for writer in writers:
        writer.stdin.close()  # type: ignore[union-attr]  # it is a pipe
        await writer.wait()


async def _run(writer: Process) -> None:
    writer.stdin.write(b"go\n")  # type: ignore[union-attr]  # it is a pipe
    await _told(writer, b"done\n")


async def _told(writer: Process, line: bytes) -> None:
    if await writer.stdout.readline() != line:  # type: ignore[union-attr]  # it is a pipe
        raise RuntimeError("a process that appends has ended")


_WRITER = """
import asyncio, sys
from datetime import UTC, datetime
import structlog
from image_catalog.audit import AuditStore, NewRecord, StateChange

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
url, process, count, waiting = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
status = {f"field{i}": f"sha256:{i:064x}" for i in range(32)}

def record(i):
    name = f"image-{i % 200}"
    metadata = {"name": name, "uid": f"{process}-{i}", "resourceVersion": str(i)}
    return NewRecord(event_id=f"{process}-{i}", kind="image.changed", namespace="default", name=name, actor="anna",
                     time=datetime.now(UTC), message="the phase changed to Available", digest=f"sha256:{i:064x}",
                     state=StateChange(object={"metadata": metadata, "status": status}))

async def main():
    store = AuditStore.open(url)
    await store.newest()
    print("ready", flush=True)
    sys.stdin.readline()
    numbers = iter(range(count))

    async def work():
        for i in numbers:
            await store.append([record(i)])

    await asyncio.gather(*(work() for _ in range(waiting)))
    print("done", flush=True)
    sys.stdin.read()
    await store.aclose()

asyncio.run(main())
"""


def _figure(name: str, rates: list[float], how: str) -> Figure:
    note = f"{how}; median of {len(rates)} rounds, {min(rates):.0f} to {max(rates):.0f}"
    return Figure(name=name, value=statistics.median(rates), unit="/s", better="higher", note=note)
