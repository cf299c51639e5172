"""The local broker against what Knative's was recorded to do."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import Response

from image_catalog.local.clients import IN_CLEAR
from image_catalog.local.knative import DeliveryRecord, LocalKnative, Outcome, Settings
from image_catalog.testing.knative import Received, ScriptedSubscriber, SkippingClock, resource, running_knative

RECORDED: dict[str, Any] = json.loads((Path(__file__).parent / "knative" / "delivery.json").read_text())

EVENT = {"ce-specversion": "1.0", "ce-id": "1", "ce-type": "test.happened", "ce-source": "/test"}
BROKER = resource("Broker", "events", {})
QUICKLY = Settings(patience=timedelta(milliseconds=20))


def service(name: str) -> dict[str, Any]:
    return {"ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": name}}


def delivery(**fields: Any) -> dict[str, Any]:
    return {"deadLetterSink": service("dead"), "backoffPolicy": "exponential", "backoffDelay": "PT1S", **fields}


def trigger(*, name: str = "work", subscriber: str = "work", **spec: Any) -> dict[str, Any]:
    return resource("Trigger", name, {"broker": "events", "subscriber": service(subscriber), **spec})


async def post(knative: LocalKnative, headers: Mapping[str, str] = EVENT, content: bytes = b"{}") -> httpx.Response:
    async with httpx.AsyncClient(verify=IN_CLEAR, trust_env=False) as client:
        return await client.post(knative.broker_url, headers=dict(headers), content=content)


async def deliver(
    work: ScriptedSubscriber,
    dead: ScriptedSubscriber,
    *,
    clock: SkippingClock | None = None,
    headers: Mapping[str, str] = EVENT,
    **fields: Any,
) -> list[DeliveryRecord]:
    """Send one event through a Trigger and wait for all that follows."""
    records: list[DeliveryRecord] = []
    async with running_knative(
        BROKER,
        trigger(delivery=delivery(**fields)),
        subscribers={"work": work, "dead": dead},
        clock=clock,
        observer=records.append,
    ) as knative:
        assert (await post(knative, headers)).status_code == RECORDED["ingress"]["accepted"]
        await knative.wait_idle()
    return records


def answer_of(fact: Mapping[str, Any]) -> Response:
    if fact.get("body", "").startswith("anything else"):
        return Response("OK", fact["status"])
    return Response(status_code=fact["status"])


SIMPLE_ANSWERS = [
    fact
    for fact in RECORDED["subscriberAnswers"]
    if isinstance(fact["status"], int) and not fact.get("body", "").startswith("a CloudEvent")
]


@pytest.mark.parametrize("fact", SIMPLE_ANSWERS, ids=lambda fact: f"{fact['status']}-{fact.get('body', '')[:8]}")
async def test_a_subscribers_answer_has_the_recorded_result(fact: dict[str, Any]) -> None:
    work, dead = ScriptedSubscriber(*(answer_of(fact) for _ in range(3))), ScriptedSubscriber()

    records = await deliver(work, dead, retry=2)

    if fact["result"] == "delivered":
        assert (len(work.received), len(dead.received)) == (1, 0)
        assert [record.outcome for record in records] == [Outcome.DELIVERED]
    elif "not retried" in fact["result"]:
        assert (len(work.received), len(dead.received)) == (1, 1)
        assert [record.outcome for record in records] == [Outcome.DEAD_LETTERED]
    else:
        assert "retried" in fact["result"]
        assert (len(work.received), len(dead.received)) == (3, 1)
        assert [record.outcome for record in records] == [Outcome.RETRY, Outcome.RETRY, Outcome.DEAD_LETTERED]
    for received in dead.events:
        expected = None if "without knativeerrorcode" in fact["result"] else str(fact["status"])
        assert received.attributes.get("knativeerrorcode") == expected


REPLIES = {
    "binary": Response(
        b"{}", headers={**EVENT, "ce-type": "test.replied", "ce-id": "2", "content-type": "application/json"}
    ),
    "structured": Response(
        json.dumps({"specversion": "1.0", "id": "2", "type": "test.replied", "source": "/test", "data": {}}),
        media_type="application/cloudevents+json",
    ),
}


@pytest.mark.parametrize("mode", REPLIES)
async def test_a_reply_goes_back_to_the_ingress(mode: str) -> None:
    work, listener = ScriptedSubscriber(REPLIES[mode]), ScriptedSubscriber()
    async with running_knative(
        BROKER,
        trigger(filters=[{"exact": {"type": "test.happened"}}]),
        trigger(name="listen", subscriber="listener", filters=[{"exact": {"type": "test.replied"}}]),
        subscribers={"work": work, "listener": listener},
    ) as knative:
        await post(knative)
        await knative.wait_idle()

    assert [event.id for event in listener.events] == ["2"]
    assert listener.received[0].body == b"{}"
    assert "knativearrivaltime" in listener.events[0].attributes


async def test_a_reply_that_the_ingress_refuses_dead_letters_the_cause_without_asking_again() -> None:
    # What circles for the 255th time is refused by the ingress.
    work, dead = ScriptedSubscriber(REPLIES["binary"]), ScriptedSubscriber()

    await deliver(work, dead, retry=2, headers={**EVENT, "ce-knativebrokerttl": "2"})

    assert [event.id for event in work.events] == ["1"]
    assert [event.id for event in dead.events] == ["1"]
    assert dead.events[0].attributes["knativeerrordest"].endswith("/default/events")
    assert dead.received[0].headers["kn-namespace"] == "default"


async def test_a_reply_is_offered_again_when_a_trigger_was_full() -> None:
    work, slow, dead = ScriptedSubscriber(REPLIES["binary"]), ScriptedSubscriber(), ScriptedSubscriber()
    release = asyncio.Event()

    async def wait(_received: Received) -> Response:
        await release.wait()
        return Response(status_code=204)

    slow.answering = wait
    clock = SkippingClock()
    async with running_knative(
        BROKER,
        trigger(filters=[{"exact": {"type": "test.happened"}}], delivery=delivery(retry=1)),
        trigger(name="slow", subscriber="slow", filters=[{"exact": {"type": "test.replied"}}]),
        subscribers={"work": work, "slow": slow, "dead": dead},
        clock=clock,
        settings=Settings(queue_limit=1, patience=timedelta(milliseconds=20)),
    ) as knative:
        await post(knative, {**EVENT, "ce-type": "test.replied", "ce-id": "first"})
        await slow.wait_for(1)
        await post(knative)
        await dead.wait_for(1)
        release.set()
        await knative.wait_idle()

    assert clock.pauses == [timedelta(seconds=1)]
    assert dead.events[0].attributes["knativeerrorcode"] == "500"


@pytest.mark.parametrize(
    "script",
    [
        pytest.param("refused", id="connection-refused"),
        pytest.param("reset", id="reset"),
        pytest.param("time-out", id="time-out"),
    ],
)
async def test_no_answer_is_retried(script: str) -> None:
    assert RECORDED["subscriberAnswers"][-1] == {"status": "connection refused, reset, time-out", "result": "retried"}
    dead = ScriptedSubscriber()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        connections: list[asyncio.Task[None]] = []

        async def reset() -> None:
            # Closing with unread bytes makes the kernel send a reset.
            loop = asyncio.get_running_loop()
            silent.setblocking(False)
            while True:
                connection, _ = await loop.sock_accept(silent)
                connection.close()

        if script == "reset":
            connections.append(asyncio.create_task(reset()))
        elif script == "refused":
            silent.close()
        async with running_knative(
            BROKER,
            resource(
                "Trigger",
                "work",
                {
                    "broker": "events",
                    "subscriber": {"uri": f"http://127.0.0.1:{port}/"},
                    "delivery": delivery(retry=2, timeout="PT0.05S"),
                },
            ),
            subscribers={"dead": dead},
            observer=(records := list[DeliveryRecord]()).append,
        ) as knative:
            await post(knative)
            await knative.wait_idle()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    assert [(record.status, record.outcome) for record in records] == [
        (None, Outcome.RETRY),
        (None, Outcome.RETRY),
        (None, Outcome.DEAD_LETTERED),
    ]
    assert all(record.error for record in records)
    assert dead.events[0].attributes["knativeerrordest"] == f"http://127.0.0.1:{port}/"


@pytest.mark.parametrize(
    ("policy", "fact", "seconds"),
    [
        pytest.param("exponential", "backoffDelay * 2^n, n from 0", [1, 2, 4, 8], id="exponential"),
        pytest.param(
            "linear", "backoffDelay * n, n from 0, so the first retry is immediate", [0, 1, 2, 3], id="linear"
        ),
    ],
)
async def test_pauses_grow_without_jitter(policy: str, fact: str, seconds: list[int]) -> None:
    assert RECORDED["retry"][policy] == fact
    assert RECORDED["retry"]["jitter"] is False
    clock = SkippingClock()

    await deliver(ScriptedSubscriber(*[503] * 5), ScriptedSubscriber(), clock=clock, retry=4, backoffPolicy=policy)

    assert clock.pauses == [timedelta(seconds=pause) for pause in seconds]


async def test_retry_after_is_ignored() -> None:
    assert RECORDED["retry"]["retryAfterHeader"] == "ignored unless a feature is on"
    clock = SkippingClock()
    work = ScriptedSubscriber(Response(status_code=503, headers={"retry-after": "3600"}))

    await deliver(work, ScriptedSubscriber(), clock=clock, retry=1)

    assert clock.pauses == [timedelta(seconds=1)]


async def test_a_triggers_delivery_replaces_the_brokers_but_for_the_dead_letter_sink() -> None:
    assert "replaces Broker.spec.delivery as a whole" in RECORDED["delivery"]
    work, dead = ScriptedSubscriber(503, 503, 503), ScriptedSubscriber()
    async with running_knative(
        resource("Broker", "events", {"delivery": delivery(retry=7)}),
        trigger(delivery={"timeout": "PT5S"}),
        subscribers={"work": work, "dead": dead},
    ) as knative:
        await post(knative)
        await knative.wait_idle()

    assert len(work.received) == 1
    assert len(dead.received) == 1


async def test_a_trigger_without_delivery_has_the_brokers() -> None:
    work, dead = ScriptedSubscriber(503, 503), ScriptedSubscriber()
    async with running_knative(
        resource("Broker", "events", {"delivery": delivery(retry=7)}),
        trigger(),
        subscribers={"work": work, "dead": dead},
    ) as knative:
        await post(knative)
        await knative.wait_idle()

    assert len(work.received) == 3
    assert not dead.received


async def test_a_dead_letter_says_who_refused_it_and_how() -> None:
    work, dead = ScriptedSubscriber(Response(b"x" * 5000, 422)), ScriptedSubscriber()

    await deliver(work, dead)

    attributes = dead.events[0].attributes
    assert {name for name in attributes if name.startswith("knativeerror")} == {
        text.split(" ")[0] for text in RECORDED["deadLetter"]["extensions"]
    }
    assert attributes["knativeerrordest"] == "http://work.default.svc.cluster.local/"
    assert attributes["knativeerrorcode"] == "422"
    assert len(attributes["knativeerrordata"]) == 1024
    assert base64.b64decode(attributes["knativeerrordata"]) == b"x" * 768
    assert dead.events[0].id == "1"


@pytest.mark.parametrize("answer", [400, 503], ids=["permanent", "transient"])
async def test_dead_letters_are_not_guaranteed(answer: int) -> None:
    assert RECORDED["deadLetter"]["guaranteed"] is False
    dead = ScriptedSubscriber(*[answer] * 5)

    records = await deliver(ScriptedSubscriber(422), dead, retry=1)

    assert [record.outcome for record in records] == [Outcome.DROPPED]
    assert len(dead.received) == (1 if answer == 400 else 2)


async def test_an_event_without_a_dead_letter_sink_is_dropped() -> None:
    records: list[DeliveryRecord] = []
    async with running_knative(
        BROKER, trigger(), subscribers={"work": ScriptedSubscriber(503)}, observer=records.append
    ) as knative:
        await post(knative)
        await knative.wait_idle()

    assert [record.outcome for record in records] == [Outcome.DROPPED]


async def test_only_the_recorded_headers_pass() -> None:
    assert RECORDED["headersThatPass"] == [
        "ce-*",
        "content-type",
        "traceparent",
        "x-request-id",
        "retry-after",
        "knative-*",
        "x-b3-*",
    ]
    passing = {
        "ce-extension": "a",
        "content-type": "application/json",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "x-request-id": "b",
        "retry-after": "3",
        "knative-anything": "c",
        "x-b3-traceid": "d",
    }
    staying = {"authorization": "Bearer of-the-sender", "x-anything": "e", "cookie": "f=g", "baggage": "h"}
    work = ScriptedSubscriber()

    await deliver(work, ScriptedSubscriber(), headers={**EVENT, **passing, **staying})

    headers = work.received[0].headers
    assert {name: headers.get(name) for name in passing} == passing
    assert not staying.keys() & headers.keys()


async def test_the_recorded_headers_are_added() -> None:
    assert RECORDED["headersAdded"] == ["prefer: reply", "kn-namespace"]
    work = ScriptedSubscriber()

    await deliver(work, ScriptedSubscriber())

    assert work.received[0].headers["prefer"] == "reply"
    assert work.received[0].headers["kn-namespace"] == "default"


async def test_the_ingress_accepts_and_stamps_an_event() -> None:
    work = ScriptedSubscriber()

    await deliver(work, ScriptedSubscriber())

    assert RECORDED["ingress"]["adds"] == "knativearrivaltime"
    assert work.events[0].attributes["knativearrivaltime"] == "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("method", "path", "headers", "fact"),
    [
        pytest.param("POST", "/default/events", {}, "notACloudEvent", id="not-a-cloudevent"),
        pytest.param("POST", "/default/others", EVENT, "unknownBroker", id="unknown-broker"),
        pytest.param("POST", "/others/events", EVENT, "unknownBroker", id="unknown-namespace"),
        pytest.param("GET", "/default/events", {}, "otherMethod", id="get"),
        pytest.param("PUT", "/default/events", EVENT, "otherMethod", id="put"),
    ],
)
async def test_the_ingress_refuses(method: str, path: str, headers: dict[str, str], fact: str) -> None:
    async with (
        running_knative(BROKER, subscribers={}) as knative,
        httpx.AsyncClient(base_url=knative.url, trust_env=False) as client,
    ):
        answer = await client.request(method, path, headers=headers)

    assert answer.status_code == RECORDED["ingress"][fact]


async def test_the_ingress_fails_when_a_trigger_stays_full() -> None:
    work, release = ScriptedSubscriber(), asyncio.Event()

    async def wait(_received: Received) -> Response:
        await release.wait()
        return Response(status_code=204)

    work.answering = wait
    settings = Settings(queue_limit=2, patience=timedelta(milliseconds=20))
    async with running_knative(BROKER, trigger(), subscribers={"work": work}, settings=settings) as knative:
        answers = [(await post(knative)).status_code for _ in range(3)]
        release.set()
        await knative.wait_idle()
        answers.append((await post(knative)).status_code)

    assert answers == [202, 202, RECORDED["ingress"]["channelFailed"], 202]


async def test_time_to_live_starts_at_the_recorded_value_and_subscribers_do_not_see_it() -> None:
    fact = RECORDED["timeToLive"]
    # Each reply is an event of the same type: it circles until its time is over.
    work, dead = ScriptedSubscriber(), ScriptedSubscriber()

    async def echo(received: Received) -> Response:
        return Response(received.body, headers={**EVENT, "ce-id": str(int(received.headers["ce-id"]) + 1)})

    work.answering = echo
    await deliver(work, dead)

    assert [int(event.id) for event in work.events] == list(range(1, fact["start"] + 1))
    assert fact["seenBySubscriber"] is False
    assert not any(f"ce-{fact['attribute']}" in received.headers for received in work.received)
    # The last reply was refused with 400, so its cause is dead-lettered at once.
    assert fact["exhausted"] == "ingress answers 400"
    assert [(event.id, event.attributes["knativeerrorcode"]) for event in dead.events] == [("255", "400")]


@pytest.mark.parametrize(
    ("text", "status"),
    [
        pytest.param("1", 400, id="last"),
        pytest.param("0", 400, id="over"),
        pytest.param("-5", 400, id="negative"),
        pytest.param("2", 202, id="one-more"),
        pytest.param("soon", 202, id="no-number-starts-anew"),
    ],
)
async def test_the_ingress_counts_time_to_live(text: str, status: int) -> None:
    async with running_knative(BROKER, subscribers={}) as knative:
        assert (await post(knative, {**EVENT, "ce-knativebrokerttl": text})).status_code == status


MATCHING: dict[str, Any] = {
    "exact": {"type": "test.happened"},
    "prefix": {"type": "test."},
    "suffix": {"type": ".happened"},
    "all": [{"prefix": {"type": "test."}}, {"suffix": {"type": ".happened"}}],
    "any": [{"exact": {"type": "other"}}, {"exact": {"type": "test.happened"}}],
    "not": {"exact": {"type": "other"}},
    "cesql": "type LIKE 'test.%'",
}


@pytest.mark.parametrize("dialect", MATCHING)
async def test_every_dialect_filters(dialect: str) -> None:
    assert dialect in RECORDED["filters"]
    matching, other = ScriptedSubscriber(), ScriptedSubscriber()
    async with running_knative(
        BROKER,
        trigger(name="matching", subscriber="matching", filters=[{dialect: MATCHING[dialect]}]),
        trigger(name="other", subscriber="other", filters=[{"not": {dialect: MATCHING[dialect]}}]),
        subscribers={"matching": matching, "other": other},
    ) as knative:
        await post(knative)
        await knative.wait_idle()

    assert (len(matching.received), len(other.received)) == (1, 0)


@pytest.mark.parametrize(
    ("spec", "count"),
    [
        pytest.param({"filters": [{"exact": {"type": "test.happened"}}, {"exact": {"id": "2"}}]}, 0, id="all-entries"),
        pytest.param({"filters": [{"exact": {"data": "{}"}}]}, 0, id="never-data"),
        pytest.param({"filters": [{"exact": {"id": "1"}}], "filter": {"attributes": {"id": "2"}}}, 1, id="filters-win"),
        pytest.param({"filters": [], "filter": {"attributes": {"id": "2"}}}, 0, id="empty-filters-do-not"),
        pytest.param({"filter": {"attributes": {"id": "1", "type": ""}}}, 1, id="legacy"),
        pytest.param({"filter": {"attributes": {"missing": ""}}}, 0, id="legacy-missing"),
        pytest.param({}, 1, id="none"),
    ],
)
async def test_filters_combine(spec: dict[str, Any], count: int) -> None:
    work = ScriptedSubscriber()
    async with running_knative(BROKER, trigger(**spec), subscribers={"work": work}) as knative:
        await post(knative)
        await knative.wait_idle()

    assert len(work.received) == count
