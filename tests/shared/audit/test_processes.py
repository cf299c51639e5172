"""Many processes come at once, and some are killed: what was acknowledged is there, and every chain is whole."""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from datetime import timedelta

import pytest

from image_catalog.audit import AuditStore, NewRecord
from image_catalog.testing.looking import NotYetError, look

pytestmark = pytest.mark.story

Make = Callable[..., NewRecord]

PROCESSES = 4
EACH = 250

# Appends a process's share, all at once, and prints the ids as they are acknowledged.
_WRITER = """
import asyncio, sys
from datetime import UTC, datetime, timedelta
from image_catalog.audit import AuditStore, NewRecord, StateChange
import structlog

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
url, number, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])

async def append(store, i):
    name = f"image-{i % 10}"
    state = StateChange(object={"metadata": {"name": name, "uid": name, "resourceVersion": str(i)}})
    record = NewRecord(event_id=f"{number}-{i}", kind="image.changed", namespace="default", name=name,
                       time=datetime.now(UTC), state=state)
    await store.append([record])
    print(record.event_id, flush=True)

async def main():
    store = AuditStore.open(url, patience=timedelta(minutes=1))
    await store.newest()
    print("ready", flush=True)
    sys.stdin.readline()
    await asyncio.gather(*(append(store, i) for i in range(count)))
    await store.aclose()

asyncio.run(main())
"""

_MIGRATE = """
import asyncio, sys
from image_catalog.audit import AuditStore

async def main():
    store = AuditStore.open(sys.argv[1])
    sys.stdin.readline()
    before, now = await store.migrate()
    print(before, now)
    await store.aclose()

asyncio.run(main())
"""


async def start(url: str, number: int, *, each: int = EACH) -> Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _WRITER, url, str(number), str(each), stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        assert await process.stdout.readline() == b"ready\n"
    return process


async def check(store: AuditStore, acknowledged: set[str]) -> int:
    """Return how many records there are; each that was acknowledged, and every chain whole."""
    kept = await store.after(0, limit=10_000)
    ids = [record.event_id for record in kept]
    assert acknowledged <= set(ids)
    assert len(ids) == len(set(ids))
    assert [record.seq for record in kept] == list(range(1, len(kept) + 1))
    assert [record.recorded_at for record in kept] == sorted(record.recorded_at for record in kept)
    verified = await store.verify()
    assert (verified.breaks, verified.records) == ([], len(kept))
    return len(kept)


async def test_four_processes_append_a_thousand_records_at_once_and_a_reader_misses_none(
    store: AuditStore, database_url: str
) -> None:
    processes = await asyncio.gather(*(start(database_url, number) for number in range(PROCESSES)))
    ending = asyncio.gather(*(process.communicate(b"\n") for process in processes))
    seen: list[int] = []
    async for attempt in look(every=timedelta(milliseconds=10), limit=timedelta(seconds=60)):
        with attempt:
            seen += [record.seq for record in await store.after(seen[-1] if seen else 0)]
            if len(seen) < PROCESSES * EACH:
                raise NotYetError
    assert seen == list(range(1, PROCESSES * EACH + 1))
    ended = await ending
    assert [process.returncode for process in processes] == [0] * PROCESSES, ended
    acknowledged = {line for out, _ in ended for line in out.decode().split()}
    assert await check(store, acknowledged) == PROCESSES * EACH == len(acknowledged)


async def test_processes_that_are_killed_leave_what_they_acknowledged(
    store: AuditStore, database_url: str, make: Make
) -> None:
    limits = (1, 60, None)
    processes = await asyncio.gather(*(start(database_url, number) for number in range(len(limits))))
    acknowledged: set[str] = set()

    async def run(process: Process, *, until: int | None) -> None:
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdin.write(b"\n")
        seen = 0
        while line := await process.stdout.readline():
            acknowledged.add(line.decode().strip())
            seen += 1
            if seen == until:
                process.send_signal(signal.SIGKILL)
        await process.wait()

    async with asyncio.timeout(60):
        await asyncio.gather(*(run(process, until=limit) for process, limit in zip(processes, limits, strict=True)))
    assert [process.returncode for process in processes] == [-signal.SIGKILL, -signal.SIGKILL, 0]
    assert await check(store, acknowledged) >= EACH + 61
    # What was not acknowledged is delivered again, and adds what is missing.
    again = [make(f"0-{i}", f"image-{i % 10}") for i in range(EACH)]
    await store.append(again)
    assert await check(store, acknowledged | {record.event_id for record in again}) >= 2 * EACH + 60


async def test_two_processes_that_come_at_once_migrate_once(empty_database_url: str) -> None:
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _MIGRATE,
            empty_database_url,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
        )
        for _ in range(2)
    ]
    ended = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    assert [process.returncode for process in processes] == [0, 0], ended
    migrated = [out.decode() for out, _ in ended if b"audit database migrated" in out]
    assert len(migrated) == 1
