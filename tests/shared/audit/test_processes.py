"""Many processes come at once, and some are killed: what was acknowledged is there, and every chain is whole."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest

from image_catalog.audit import AuditStore, NewRecord
from image_catalog.testing.looking import NotYetError, look

pytestmark = pytest.mark.story

Make = Callable[..., NewRecord]

PROCESSES = 4
EACH = 250

# Imports for all processes, and splits into them before anything is connected or any thread is started: to import is
# most of what each of them costs. Each says its number and id when it is ready, and begins when it is given a byte.
_SPLITTING = """
import asyncio, os, sys
from datetime import UTC, datetime, timedelta
import structlog
from image_catalog.audit import AuditStore, NewRecord, StateChange, _letters, _pruning, _reading, _schema, _verifying

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
work, url, processes, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])

if url.startswith("postgresql"):
    import psycopg, sqlalchemy.dialects.postgresql.psycopg
if work == "migrate":
    import alembic.config, alembic.runtime.environment, alembic.script

async def append(number):
    store = AuditStore.open(url, patience=timedelta(minutes=1))
    await store.newest()
    wait_for_the_others(number)
    await asyncio.gather(*(append_one(store, number, i) for i in range(count)))
    await store.aclose()

async def append_one(store, number, i):
    name = f"image-{i % 10}"
    state = StateChange(object={"metadata": {"name": name, "uid": name, "resourceVersion": str(i)}})
    record = NewRecord(event_id=f"{number}-{i}", kind="image.changed", namespace="default", name=name,
                       time=datetime.now(UTC), state=state)
    await store.append([record])
    say(f"{number} {record.event_id}")

async def migrate(number):
    store = AuditStore.open(url)
    wait_for_the_others(number)
    before, now = await store.migrate()
    say(f"{number} {before}")
    await store.aclose()

def wait_for_the_others(number):
    say(f"{number} {os.getpid()}")
    os.read(0, 1)

def say(line):
    os.write(1, line.encode() + b"\\n")

pids = []
for number in range(processes):
    pid = os.fork()
    if pid == 0:
        asyncio.run({"append": append, "migrate": migrate}[work](number))
        sys.exit()
    pids.append(pid)
say(" ".join(["ended", *(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])) for pid in pids)]))
"""


@dataclass
class Processes:
    """Processes that are ready to begin."""

    pids: list[int]
    parent: asyncio.subprocess.Process
    codes: list[int] | None = None

    async def run(self) -> AsyncIterator[tuple[int, str]]:
        """Let all begin at once, and yield the number of a process and what it says, until all have ended."""
        assert self.parent.stdin is not None
        self.parent.stdin.write(b"!" * len(self.pids))
        while (heard := await hear(self.parent))[0] != "ended":
            yield int(heard[0]), heard[1]
        self.codes = [int(code) for code in heard[1].split()]


async def hear(parent: asyncio.subprocess.Process) -> tuple[str, str]:
    """Return who says something, and what."""
    assert parent.stdout is not None
    who, _, said = (await parent.stdout.readline()).decode().strip().partition(" ")
    assert who, "all are gone, and nobody told how they ended"
    return who, said


@asynccontextmanager
async def ready(work: str, url: str, processes: int) -> AsyncIterator[Processes]:
    """Start processes that append a share each, or that migrate."""
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _SPLITTING, work, url, str(processes), str(EACH)),
        stdin=PIPE,
        stdout=PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(60):
            pids = dict([await hear(parent) for _ in range(processes)])
            yield Processes([int(pids[str(number)]) for number in range(processes)], parent)
            assert await parent.wait() == 0
    finally:
        if parent.returncode is None:
            os.killpg(parent.pid, signal.SIGKILL)
            await parent.wait()


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
    async with ready("append", database_url, PROCESSES) as processes:

        async def acknowledge() -> list[str]:
            return [event_id async for _, event_id in processes.run()]

        ending = asyncio.create_task(acknowledge())
        seen: list[int] = []
        async for attempt in look(every=timedelta(milliseconds=10), limit=timedelta(seconds=60)):
            with attempt:
                seen += [record.seq for record in await store.after(seen[-1] if seen else 0)]
                if len(seen) < PROCESSES * EACH:
                    raise NotYetError
        assert seen == list(range(1, PROCESSES * EACH + 1))
        acknowledged = await ending
    assert processes.codes == [0] * PROCESSES
    assert await check(store, set(acknowledged)) == PROCESSES * EACH == len(set(acknowledged))


async def test_processes_that_are_killed_leave_what_they_acknowledged(
    store: AuditStore, database_url: str, make: Make
) -> None:
    limits = (1, 60, None)
    acknowledged: set[str] = set()
    seen = [0] * len(limits)
    async with ready("append", database_url, len(limits)) as processes:
        async for number, event_id in processes.run():
            acknowledged.add(event_id)
            seen[number] += 1
            if seen[number] == limits[number]:
                os.kill(processes.pids[number], signal.SIGKILL)
    assert processes.codes == [-signal.SIGKILL, -signal.SIGKILL, 0]
    assert await check(store, acknowledged) >= EACH + 61
    # What was not acknowledged is delivered again, and adds what is missing.
    again = [make(f"0-{i}", f"image-{i % 10}") for i in range(EACH)]
    await store.append(again)
    assert await check(store, acknowledged | {record.event_id for record in again}) >= 2 * EACH + 60


async def test_two_processes_that_come_at_once_migrate_once(empty_database_url: str) -> None:
    async with ready("migrate", empty_database_url, 2) as processes:
        before = [said async for _, said in processes.run()]
    assert processes.codes == [0, 0]
    assert sorted(before) == ["0001", "None"]
