"""The local sources against what Knative's were recorded to send."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from starlette.responses import Response

from image_catalog.errors import InvalidObjectError
from image_catalog.local.knative import Settings, read_manifests
from image_catalog.testing.knative import (
    ManualClock,
    ScriptedSubscriber,
    ScriptedWatcher,
    SkippingClock,
    render,
    resource,
    running_knative,
)

_FOLDER = Path(__file__).parent / "knative"
CHANGES: dict[str, Any] = json.loads((_FOLDER / "apiserversource-events.json").read_text())
TICK: dict[str, Any] = json.loads((_FOLDER / "pingsource-event.json").read_text())

SINK = {"ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "sink"}}
BUILD = {"apiVersion": "automotive.sdv.cloud.redhat.com/v1alpha1", "kind": "ImageBuild"}
SOURCE = resource("ApiServerSource", "builds", {"mode": "Resource", "resources": [BUILD], "sink": SINK})
AT_ONCE = Settings(ping_jitter=timedelta(0))


def build(version: int, *, uid: str = "a", name: str = "my-build", **metadata: Any) -> dict[str, Any]:
    return {
        **BUILD,
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": uid,
            "resourceVersion": str(version),
            "managedFields": [{"manager": "kubectl"}],
            **metadata,
        },
        "status": {"phase": "Completed"},
    }


async def send(
    changes: list[tuple[str, Mapping[str, Any]]], *, existing: list[dict[str, Any]] | None = None
) -> ScriptedSubscriber:
    """Let a source see changes; the last event that it sends marks their end."""
    sink, watcher = ScriptedSubscriber(), ScriptedWatcher()
    watcher.existing = list(existing or [])
    async with running_knative(SOURCE, subscribers={"sink": sink}, watcher=watcher):
        for change, item in changes:
            watcher.change(change, item)
        watcher.change("DELETED", build(99, uid="end", name="end"))
        await sink_of_end(sink)
    sink.received.pop()
    return sink


async def sink_of_end(sink: ScriptedSubscriber) -> None:
    count = 1
    while True:
        await sink.wait_for(count)
        if sink.events[-1].attributes["name"] == "end":
            return
        count = len(sink.received) + 1


def types(sink: ScriptedSubscriber) -> list[str]:
    return [event.type for event in sink.events]


async def test_a_created_object_is_sent_with_the_recorded_headers() -> None:
    recorded = CHANGES["events"][0]["headers"]

    sink = await send([("ADDED", build(1))])

    headers = {name: sink.received[0].headers.get(name) for name in recorded}
    assert uuid.UUID(headers["ce-id"] or "").version == 4
    assert headers == {**recorded, "ce-id": headers["ce-id"]}
    sent = {name for name in sink.received[0].headers if name.startswith("ce-")}
    assert sent == {name for name in recorded if name.startswith("ce-")}


@pytest.mark.parametrize(
    ("change", "fact"), [pytest.param("MODIFIED", 1, id="changed"), pytest.param("DELETED", 2, id="deleted")]
)
async def test_a_change_is_sent_under_the_recorded_type(change: str, fact: int) -> None:
    sink = await send([(change, build(2))], existing=[build(1)])

    assert types(sink) == [CHANGES["events"][fact]["headers"]["ce-type"]]


async def test_data_is_the_whole_object_and_of_a_deletion_its_last_state() -> None:
    assert "data is the whole object, managedFields and status included" in CHANGES["about"]
    assert "data of a delete is the last state" in CHANGES["about"]

    sink = await send([("ADDED", build(1)), ("DELETED", build(2))])

    assert [orjson.loads(received.body) for received in sink.received] == [build(1), build(2)]


async def test_an_item_without_its_type_gets_it() -> None:
    bare = {key: value for key, value in build(1).items() if key not in BUILD}

    sink = await send([("ADDED", bare)])

    assert orjson.loads(sink.received[0].body) == build(1)


async def test_every_send_has_a_new_id() -> None:
    sink = await send([("ADDED", build(1)), ("MODIFIED", build(2)), ("MODIFIED", build(3))])

    assert len({event.id for event in sink.events}) == 3


async def test_a_deletion_with_a_finalizer_has_the_recorded_sequence() -> None:
    recorded = CHANGES["events"][3]["sequence"]

    sink = await send(
        [
            ("MODIFIED", build(2, deletionTimestamp="2026-01-01T00:00:00Z", finalizers=["a"])),
            ("MODIFIED", build(3, deletionTimestamp="2026-01-01T00:00:00Z")),
            ("DELETED", build(4, deletionTimestamp="2026-01-01T00:00:00Z")),
        ],
        existing=[build(1, finalizers=["a"])],
    )

    assert types(sink) == [text.split(" ")[0] for text in recorded]


async def test_an_apply_that_changes_nothing_sends_nothing() -> None:
    assert CHANGES["events"][4]["sequence"] == []

    sink = await send([("MODIFIED", build(1))], existing=[build(1)])

    assert types(sink) == []


async def test_objects_that_exist_already_are_not_sent() -> None:
    assert CHANGES["events"][5]["sequence"] == []

    sink = await send([], existing=[build(1), build(2, uid="b", name="other")])

    assert types(sink) == []


async def test_what_changes_while_nobody_watches_is_not_sent() -> None:
    assert CHANGES["events"][6]["sequence"] == []
    sink, watcher, clock = ScriptedSubscriber(), ScriptedWatcher(), ManualClock()
    watcher.existing = [build(1), build(1, uid="b", name="gone")]
    async with running_knative(SOURCE, subscribers={"sink": sink}, watcher=watcher, clock=clock):
        watcher.fail(ConnectionError("the API server is gone"))
        await clock.wait_for_sleeper()
        watcher.existing = [build(5), build(6, uid="c", name="new")]
        clock.advance(timedelta(seconds=1))
        watcher.change("MODIFIED", build(7))
        await sink.wait_for(1)

    assert [event.attributes["name"] for event in sink.events] == ["my-build"]
    assert orjson.loads(sink.received[0].body)["metadata"]["resourceVersion"] == "7"


async def test_a_list_that_a_410_forces_replays_nothing() -> None:
    sink = await send(
        [
            ("LISTED", build(1)),
            ("SYNCED", {}),
            ("BOOKMARK", {"metadata": {"resourceVersion": "1"}}),
            ("ADDED", build(1)),
        ],
        existing=[build(1)],
    )

    assert types(sink) == []


async def test_events_are_sent_in_order_one_at_a_time() -> None:
    assert CHANGES["sending"]["order"] == "in order per watched resource and namespace, one at a time"
    sink, watcher, waiting = ScriptedSubscriber(503), ScriptedWatcher(), list[int]()

    async def answer(_received: Any) -> Response:
        # While one event is on its way, the next change is not even asked for.
        waiting.append(watcher.waiting)
        return Response(status_code=204)

    sink.answering = answer
    async with running_knative(SOURCE, subscribers={"sink": sink}, watcher=watcher):
        for version in range(1, 6):
            watcher.change("MODIFIED", build(version, uid=str(version), name=f"build-{version}"))
        await sink.wait_for(6)

    names = [event.attributes["name"] for event in sink.events]
    assert names == ["build-1", "build-1", "build-2", "build-3", "build-4", "build-5"]
    assert waiting == [4, 3, 2, 1, 0]


async def test_an_event_is_dropped_after_the_recorded_retries() -> None:
    sending = CHANGES["sending"]
    assert sending["backoff"] == "50 ms exponential, about 1.6 s in all, then the event is dropped"
    sink, watcher, clock = ScriptedSubscriber(*[503] * 6), ScriptedWatcher(), SkippingClock()
    async with running_knative(SOURCE, subscribers={"sink": sink}, watcher=watcher, clock=clock) as knative:
        watcher.change("ADDED", build(1))
        watcher.change("MODIFIED", build(2))
        await sink.wait_for(sending["retries"] + 2)
        await knative.wait_idle()

    assert clock.pauses == [timedelta(milliseconds=50 * 2**n) for n in range(sending["retries"])]
    assert round(sum(clock.pauses, timedelta()).total_seconds(), 1) == 1.6
    assert types(sink)[-2:] == ["dev.knative.apiserver.resource.add", "dev.knative.apiserver.resource.update"]


@pytest.mark.parametrize("status", [code for code in CHANGES["sending"]["retriedAnswers"] if isinstance(code, int)])
async def test_the_recorded_answers_are_retried(status: int) -> None:
    sink, watcher = ScriptedSubscriber(status), ScriptedWatcher()
    async with running_knative(SOURCE, subscribers={"sink": sink}, watcher=watcher):
        watcher.change("ADDED", build(1))
        await sink.wait_for(2)

    # A retry is the same event, so it keeps its id.
    assert len({event.id for event in sink.events}) == 1


async def test_a_network_error_is_retried() -> None:
    assert "network error" in CHANGES["sending"]["retriedAnswers"]
    unreachable = resource(
        "ApiServerSource", "builds", {"mode": "Resource", "resources": [BUILD], "sink": {"uri": "http://127.0.0.1:1/"}}
    )
    watcher, clock = ScriptedWatcher(), ManualClock()
    async with running_knative(unreachable, subscribers={}, watcher=watcher, clock=clock) as knative:
        watcher.change("ADDED", build(1))
        for retry in range(CHANGES["sending"]["retries"]):
            await clock.wait_for_sleeper()
            assert not knative.idle
            clock.advance(timedelta(milliseconds=50 * 2**retry))
        await knative.wait_idle()


@pytest.mark.parametrize("status", [*CHANGES["sending"]["notRetried"], 400])
async def test_other_answers_are_not_retried(status: int) -> None:
    sink, watcher = ScriptedSubscriber(status), ScriptedWatcher()
    async with running_knative(SOURCE, subscribers={"sink": sink}, watcher=watcher) as knative:
        watcher.change("ADDED", build(1))
        watcher.change("DELETED", build(2))
        await sink.wait_for(2)
        await knative.wait_idle()

    assert [event.type.rpartition(".")[2] for event in sink.events] == ["add", "delete"]


def ping(**spec: Any) -> dict[str, Any]:
    return resource("PingSource", "reverify", {"schedule": "@hourly", "data": '{"batch": 5}', "sink": SINK, **spec})


async def test_a_tick_is_sent_with_the_recorded_headers() -> None:
    sink = ScriptedSubscriber()
    async with running_knative(ping(), subscribers={"sink": sink}, clock=ManualClock(), settings=AT_ONCE) as knative:
        await knative.tick()

    recorded = dict(TICK["headers"])
    headers = {name: sink.received[0].headers.get(name) for name in recorded}
    assert uuid.UUID(headers["ce-id"] or "").version == 4
    assert headers == {
        **recorded,
        "ce-id": headers["ce-id"],
        "ce-source": "/apis/v1/namespaces/default/pingsources/reverify",
        "ce-time": "2026-01-01T00:00:00Z",
    }
    assert sink.events[0].subject is TICK["subject"]
    assert sink.received[0].body == b'{"batch": 5}'


@pytest.mark.parametrize("data", ["[1]", "1", "text", "{"])
def test_json_data_must_be_an_object(data: str) -> None:
    assert TICK["data"].endswith("with contentType application/json it must be a JSON object")

    with pytest.raises(InvalidObjectError, match=r"PingSource default/reverify: spec\.data: "):
        read_manifests(render(ping(data=data)))


@pytest.mark.parametrize(
    ("spec", "ticks"),
    [
        pytest.param({"schedule": "*/20 * * * *"}, ["12:20:00", "12:40:00"], id="five-fields"),
        pytest.param({"schedule": "*/20 * * * * *"}, ["12:00:20", "12:00:40"], id="six-fields-lead-with-seconds"),
        pytest.param({"schedule": "@hourly"}, ["13:00:00", "14:00:00"], id="descriptor"),
        # In India the hour begins at the half hour of UTC.
        pytest.param({"schedule": "@hourly", "timezone": "Asia/Kolkata"}, ["12:30:00", "13:30:00"], id="time-zone"),
    ],
)
async def test_a_source_ticks_by_its_schedule(spec: dict[str, str], ticks: list[str]) -> None:
    sink, clock = ScriptedSubscriber(), ManualClock(datetime(2026, 1, 1, 12, tzinfo=UTC))
    async with running_knative(ping(**spec), subscribers={"sink": sink}, clock=clock, settings=AT_ONCE):
        for count in (1, 2):
            while True:
                await clock.wait_for_sleeper()
                if len(sink.received) == count:
                    break
                clock.advance(timedelta(seconds=10))

    assert [event.attributes["time"] for event in sink.events] == [f"2026-01-01T{tick}Z" for tick in ticks]


@pytest.mark.parametrize("schedule", ["@every 5m", "@reboot", "* * * *", "* * * * * * *", "61 * * * *"])
def test_other_schedules_are_refused(schedule: str) -> None:
    with pytest.raises(InvalidObjectError, match=r"PingSource default/reverify: spec\.schedule: "):
        read_manifests(render(ping(schedule=schedule)))


async def test_a_tick_comes_after_a_random_delay() -> None:
    assert TICK["delivery"].startswith("0 to 500 ms random delay")
    sink, clock = ScriptedSubscriber(), SkippingClock()
    async with running_knative(ping(schedule="* * * * * *"), subscribers={"sink": sink}, clock=clock):
        await sink.wait_for(20)

    delays = [event.attributes["time"].partition(":")[2].partition(".")[2] for event in sink.events[:20]]
    assert len(set(delays)) > 1
    assert all(int(delay[:3]) < 500 for delay in delays)


async def test_a_tick_is_lost_after_the_recorded_retries() -> None:
    assert "5 retries 50 ms exponential, then lost" in TICK["delivery"]
    sink, clock = ScriptedSubscriber(*[503] * 6), ManualClock()
    async with running_knative(ping(), subscribers={"sink": sink}, clock=clock, settings=AT_ONCE) as knative:
        ticking = asyncio.create_task(knative.tick("reverify"))
        for retry in range(5):
            await sink.wait_for(retry + 1)
            # One is the schedule's, the other the pause before a retry.
            await clock.wait_for_sleeper(2)
            clock.advance(timedelta(milliseconds=50 * 2**retry))
        await ticking
        await knative.tick("reverify")

    assert len(sink.received) == 7
    assert len({event.id for event in sink.events}) == 2


async def test_missed_ticks_are_not_caught_up() -> None:
    assert "missed ticks are not caught up" in TICK["delivery"]
    sink, clock = ScriptedSubscriber(), ManualClock()
    async with running_knative(ping(), subscribers={"sink": sink}, clock=clock, settings=AT_ONCE):
        await clock.wait_for_sleeper()
        # The machine slept for three hours and a half.
        clock.advance(timedelta(hours=3, minutes=30))
        await sink.wait_for(1)
        await clock.wait_for_sleeper()
        clock.advance(timedelta(seconds=30))
        await clock.wait_for_sleeper()

    assert len(sink.received) == 1
