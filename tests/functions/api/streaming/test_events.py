"""What watchers of ``GET /events`` are told, and where they go on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from image_catalog.testing.event_streams import MIDNIGHT, MemoryLog, Watch, catalog_event

pytestmark = pytest.mark.story

AVAILABLE = "type = 'com.redhat.automotive.catalog.image.available'"


async def test_an_event_comes_whole_with_its_attributes_and_an_id(watch: Watch, log: MemoryLog) -> None:
    event = catalog_event(1, targets=",qemu,raspberry-pi,")
    async with watch() as client:
        log.write(event)
        frame = await client.next()
    assert frame is not None
    assert (frame.name, frame.data, frame.id) == ("message", event, "1")
    assert client.headers["content-type"].startswith("text/event-stream")
    assert client.headers["cache-control"] == "no-store"
    assert "content-encoding" not in client.headers


async def test_only_what_comes_is_told_unless_more_is_asked_for(watch: Watch, log: MemoryLog) -> None:
    for number in range(1, 6):
        log.write(catalog_event(number))
    async with watch() as new, watch(since=_minutes(4)) as since, watch(headers={"Last-Event-ID": "1"}) as after:
        log.write(catalog_event(6))
        assert await new.ids(1) == ["event-6"]
        assert await since.ids(3) == ["event-4", "event-5", "event-6"]
        assert await after.ids(5) == [f"event-{number}" for number in range(2, 7)]


@pytest.mark.parametrize(
    ("since", "first"),
    [
        pytest.param(timedelta(days=-1), 3, id="before the log"),
        pytest.param(timedelta(minutes=5), 5, id="at a record"),
        pytest.param(timedelta(minutes=5, seconds=1), 9, id="in a gap"),
        pytest.param(timedelta(days=1), 10, id="in the future"),
    ],
)
async def test_a_time_is_found_in_a_log_with_gaps(watch: Watch, log: MemoryLog, since: timedelta, first: int) -> None:
    for number in range(1, 10):
        log.write(catalog_event(number))
    log.records = [record for record in log.records if record.seq in {3, 4, 5, 9}]
    async with watch(since=(MIDNIGHT + since).isoformat()) as client:
        log.write(catalog_event(10))
        assert await client.ids(1) == [f"event-{first}"]


async def test_an_age_says_since_when(watch: Watch, log: MemoryLog) -> None:
    log.write(catalog_event(1))
    async with watch(since="36500d") as client:
        assert await client.ids(1) == ["event-1"]


async def test_a_client_that_comes_back_misses_nothing_and_gets_nothing_twice(watch: Watch, log: MemoryLog) -> None:
    got: list[str] = []
    headers: dict[str, str] = {}
    for round_ in range(4):
        async with watch(headers=headers) as client:
            log.write(catalog_event(round_ * 2))
            got += await client.ids(1)
        headers = {"Last-Event-ID": client.last or ""}
        log.write(catalog_event(round_ * 2 + 1))
        async with watch(headers=headers) as client:
            got += await client.ids(1)
        headers = {"Last-Event-ID": client.last or ""}
    assert got == [f"event-{number}" for number in range(8)]


async def test_a_client_that_was_cut_off_before_its_first_event_can_come_back(watch: Watch, log: MemoryLog) -> None:
    log.write(catalog_event(1))
    async with watch() as client:
        pass
    assert client.last == "1"
    log.write(catalog_event(2))
    async with watch(headers={"Last-Event-ID": client.last}) as client:
        assert await client.ids(1) == ["event-2"]


async def test_silence_is_broken_and_moves_the_place_to_come_back_to(watch: Watch, log: MemoryLog) -> None:
    async with watch(filter="catalogname = 'other'") as client:
        for number in range(3):
            log.write(catalog_event(number))
        log.write(catalog_event(9, catalogname="other"))
        assert await client.ids(1) == ["event-9"]
        log.write(catalog_event(10))
        seen = client.comments
        await client.until(lambda: client.comments > seen and client.last == "5")


async def test_everything_that_a_page_of_the_log_cannot_hold_comes_too(watch: Watch, log: MemoryLog) -> None:
    for number in range(1, 1000):
        log.write(catalog_event(number))
    async with watch(headers={"Last-Event-ID": "0"}) as client:
        for number in range(1000, 1500):
            log.write(catalog_event(number))
        assert await client.ids(1499) == [f"event-{number}" for number in range(1, 1500)]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        pytest.param({}, ["event-1", "event-2"], id="configured namespace"),
        pytest.param({"namespace": "team-a"}, ["event-3"], id="another namespace"),
        pytest.param({"allNamespaces": "true"}, ["event-1", "event-2", "event-3", "event-4"], id="all"),
        pytest.param({"filter": AVAILABLE}, ["event-1"], id="type"),
        pytest.param({"filter": "architecture = 'amd64'"}, ["event-2"], id="attribute"),
        pytest.param({"filter": "targets LIKE '%,qemu,%'"}, ["event-2"], id="one of several"),
        pytest.param({"filter": "EXISTS data OR subject = 'x'"}, [], id="no data"),
        pytest.param({"filter": "LENGTH(type)"}, [], id="no boolean"),
    ],
)
async def test_a_watcher_is_told_what_it_asked_for(
    watch: Watch, log: MemoryLog, parameters: dict[str, str], expected: list[str]
) -> None:
    log.write(catalog_event(1))
    log.write(catalog_event(2, "image.recalled", architecture="amd64", targets=",rpi,qemu,"))
    log.write(catalog_event(3, catalognamespace="team-a"))
    log.write(catalog_event(4, "publish.requested", catalognamespace=""), confirmed=False)
    async with watch(headers={"Last-Event-ID": "0"}, **parameters) as client:
        await client.until(lambda: client.last == "4" or len(expected) == 4)
        assert await client.ids(len(expected)) == expected


@pytest.mark.parametrize("short", ["image.available", "image.recalled", "image.verified", "test.reported"])
async def test_an_event_that_an_entry_does_not_show_is_held_back_until_it_does(
    watch: Watch, log: MemoryLog, short: str
) -> None:
    forged, real = catalog_event(1, short), catalog_event(2, short)
    async with watch() as client:
        log.write(forged, confirmed=False)
        log.write(real, confirmed=False)
        log.write(catalog_event(3))
        assert await client.ids(1) == ["event-3"]
        log.write(None, confirms="event-2")
        frame = await client.next()
    assert frame is not None
    assert (frame.id, frame.name, frame.data) == ("4", "message", real)


async def test_an_event_that_comes_after_its_entry_is_told_when_it_comes(watch: Watch, log: MemoryLog) -> None:
    event = catalog_event(1)
    async with watch() as client:
        log.write(None, event_id="event-1", kind="image.available")
        log.write(event, confirms="event-1")
        assert await client.ids(1) == ["event-1"]


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param({"type": "com.redhat.automotive.catalog.image.recalled"}, id="type"),
        pytest.param({"catalognamespace": "team-a"}, id="namespace"),
        pytest.param({"catalogname": "other"}, id="name"),
    ],
)
async def test_what_contradicts_its_entry_is_not_told_though_it_has_the_id(
    watch: Watch, log: MemoryLog, forged: dict[str, Any]
) -> None:
    event = {**catalog_event(1), **forged}
    async with watch(allNamespaces="true") as client:
        log.write(None, event_id="event-1", kind="image.available")
        log.write(event, confirms="event-1")
        log.write(catalog_event(2))
        assert await client.ids(1) == ["event-2"]


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(catalog_event(1, "publish.rejected", catalogname=""), id="refusal"),
        pytest.param(catalog_event(1, "publish.requested"), id="request"),
        pytest.param(catalog_event(1, "image.verified", catalogname=""), id="explanation"),
    ],
)
async def test_what_no_entry_can_show_is_told_at_once_under_a_name_that_says_so(
    watch: Watch, log: MemoryLog, event: dict[str, Any]
) -> None:
    async with watch() as client:
        log.write(event, confirmed=False)
        log.write(None, confirms="event-1")
        log.write(catalog_event(2))
        frame = await client.next()
        assert frame is not None
        assert (frame.name, frame.data["id"]) == ("unconfirmed", "event-1")
        assert await client.ids(1) == ["event-2"]


async def test_what_is_no_event_of_the_catalog_is_not_told(watch: Watch, log: MemoryLog) -> None:
    foreign = {**catalog_event(1), "type": "dev.knative.sources.ping"}
    async with watch() as client:
        log.write(None)
        log.write(foreign)
        log.write(None, confirms="nobody")
        log.write(catalog_event(7, "artifacts.located"))
        log.write(catalog_event(2, description="x" * 9000))
        log.write({**catalog_event(3), "data": {"message": "x" * 300_000}})
        log.write(catalog_event(4))
        assert await client.ids(1) == ["event-4"]


async def test_the_log_is_read_once_for_all_and_only_while_somebody_watches(watch: Watch, log: MemoryLog) -> None:
    async with watch() as first, watch() as second, watch(filter="FALSE") as third:
        log.write(catalog_event(1))
        assert await first.ids(1) == await second.ids(1) == ["event-1"]
        await third.until(lambda: third.last == "1")
        before, seen = log.asked, third.comments
        await third.until(lambda: third.comments >= seen + 5)
        # Five heartbeats are twenty looks for one reader.
        assert log.asked - before < 40
    before = log.asked
    async with watch(since=_minutes(0)) as client:
        assert await client.ids(1) == ["event-1"]
    assert log.asked > before


async def test_head_is_answered_without_a_stream(watch: Watch) -> None:
    async with watch(method="HEAD") as client:
        assert (client.status, client.ended, client.body) == (200, True, b"")


def _minutes(number: int) -> str:
    return (MIDNIGHT + timedelta(minutes=number)).isoformat()
