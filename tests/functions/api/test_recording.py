"""What is noted of who was given which image, and what becomes of it while the database is away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from prometheus_client import REGISTRY

from image_catalog.audit import AuditStore, NewRecord
from image_catalog.cluster import Caller
from image_catalog.errors import AuditUnavailableError, InvalidObjectError
from image_catalog.testing.clock import StillClock
from image_catalog_functions.api.recording import GivenImage, Recorder

ANN, BOB = Caller("ann"), Caller("bob")
DIGEST = f"sha256:{'d' * 64}"


class Ledger:
    """Keeps records by id, as the audit does; away, refusing or slow where a test says so."""

    def __init__(self) -> None:
        self.kept: dict[str, NewRecord] = {}
        self.error: Exception | None = None
        self.loses_answers = False
        self.open = asyncio.Event()
        self.open.set()
        self.asked = asyncio.Event()

    async def append(self, records: Sequence[NewRecord]) -> None:
        self.asked.set()
        await self.open.wait()
        if self.error is None or self.loses_answers:
            self.kept |= {record.event_id: record for record in records}
        if self.error is not None:
            raise self.error

    def told(self) -> list[tuple[str, str, object]]:
        return [(record.actor, record.name or "", record.data["count"]) for record in self.kept.values()]


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def recorder(ledger: Ledger, clock: StillClock) -> Recorder:
    return Recorder(audit=ledger, clock=clock, limit=3)


def resolve(recorder: Recorder, caller: Caller, name: str = "a", target: str = "rpi4") -> None:
    image = GivenImage(namespace="default", name=name, digest=DIGEST, registry_url=f"quay.io/acme/{name}:1")
    recorder.resolved(caller, image, target=target)


def lost() -> float:
    return REGISTRY.get_sample_value("image_catalog_api_consumption_records_total", {"outcome": "lost"}) or 0.0


async def test_equal_happenings_of_a_moment_are_one_record(
    recorder: Recorder, ledger: Ledger, clock: StillClock
) -> None:
    first = clock()
    resolve(recorder, ANN)
    clock.advance(seconds=1)
    resolve(recorder, ANN)
    resolve(recorder, BOB)
    resolve(recorder, ANN, target="qemu")
    assert ledger.kept == {}
    assert await recorder.flush() == 0
    assert ledger.told() == [("ann", "a", 2), ("bob", "a", 1), ("ann", "a", 1)]
    record = next(iter(ledger.kept.values()))
    assert (record.kind, record.namespace, record.digest, record.time) == ("image.resolved", "default", DIGEST, first)
    assert (record.message, record.data["target"]) == ("ann resolved for rpi4, 2 times", "rpi4")
    assert record.data["first"] < record.data["last"]


async def test_a_download_is_told_apart_by_its_file(recorder: Recorder, ledger: Ledger) -> None:
    image = GivenImage(namespace="default", name="a", digest=DIGEST, registry_url=None, data={"bytes": 5})
    for artifact in ("boot.img", "root.img", "boot.img"):
        recorder.downloaded(ANN, image, artifact=artifact)
    await recorder.flush()
    told = [(record.kind, record.data["artifact"], record.data["count"]) for record in ledger.kept.values()]
    assert told == [("image.downloaded", "boot.img", 2), ("image.downloaded", "root.img", 1)]
    assert {record.data["bytes"] for record in ledger.kept.values()} == {5}


async def test_what_is_noted_waits_for_the_database_under_its_id(recorder: Recorder, ledger: Ledger) -> None:
    ledger.error, ledger.loses_answers = AuditUnavailableError("away"), True
    resolve(recorder, ANN)
    assert await recorder.flush() == 1
    resolve(recorder, BOB)
    ledger.error = None
    assert await recorder.flush() == 0
    # The first had been written although nobody said so: told again, it is the same record.
    assert ledger.told() == [("ann", "a", 1), ("bob", "a", 1)]


async def test_no_more_than_the_bound_waits_and_the_rest_is_counted(recorder: Recorder, ledger: Ledger) -> None:
    before = lost()
    ledger.error = AuditUnavailableError("away")
    resolve(recorder, ANN, "a")
    await recorder.flush()
    for name in ("b", "c", "d", "b"):
        resolve(recorder, ANN, name)
    assert await recorder.flush() == 3
    assert lost() - before == 1
    ledger.error = None
    await recorder.aclose()
    assert ledger.told() == [("ann", "a", 1), ("ann", "b", 2), ("ann", "c", 1)]
    assert lost() - before == 1


async def test_what_the_database_will_never_take_holds_nothing_up(recorder: Recorder, ledger: Ledger) -> None:
    before = lost()
    ledger.error = InvalidObjectError("too long")
    resolve(recorder, ANN)
    assert await recorder.flush() == 0
    assert lost() - before == 1


async def test_what_cannot_be_written_at_the_end_is_counted(recorder: Recorder, ledger: Ledger) -> None:
    before = lost()
    ledger.error = AuditUnavailableError("away")
    resolve(recorder, ANN)
    await recorder.aclose()
    assert lost() - before == 1


async def test_the_end_does_not_wait_for_a_database_that_hangs(ledger: Ledger, clock: StillClock) -> None:
    before = lost()
    recorder = Recorder(audit=ledger, clock=clock, patience=timedelta(milliseconds=10))
    ledger.open.clear()
    resolve(recorder, ANN)
    writing = asyncio.ensure_future(recorder.flush())
    await ledger.asked.wait()
    resolve(recorder, BOB)
    await recorder.aclose()
    assert lost() - before == 2
    ledger.open.set()
    assert await writing == 0


async def test_a_flush_waits_for_what_is_being_written(recorder: Recorder, ledger: Ledger) -> None:
    ledger.open.clear()
    resolve(recorder, ANN)
    first = asyncio.ensure_future(recorder.flush())
    await ledger.asked.wait()
    resolve(recorder, BOB)
    second = asyncio.ensure_future(recorder.flush())
    ledger.open.set()
    await asyncio.gather(first, second)
    assert ledger.told() == [("ann", "a", 1), ("bob", "a", 1)]


async def test_without_a_database_nothing_is_noted(clock: StillClock) -> None:
    recorder = Recorder(audit=None, clock=clock, limit=0)
    before = lost()
    resolve(recorder, ANN)
    assert await recorder.flush() == 0
    assert lost() == before


async def test_the_audit_says_who_has_a_content(database_url: str, clock: StillClock) -> None:
    store = AuditStore.open(database_url, clock=clock)
    recorder = Recorder(audit=store, clock=clock)
    try:
        resolve(recorder, ANN)
        await recorder.flush()
        resolve(recorder, ANN)
        resolve(recorder, ANN)
        await recorder.flush()
        (consumer,) = await store.consumers([DIGEST], namespaces=None)
        assert (consumer.actor, consumer.kind, consumer.count) == ("ann", "image.resolved", 3)
    finally:
        await store.aclose()
