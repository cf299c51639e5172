"""Sources, broker and dispatchers together."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import httpx
import pytest
from starlette.responses import Response

from image_catalog.errors import ClusterUnavailableError, InvalidObjectError, PermanentError
from image_catalog.local.clients import IN_CLEAR
from image_catalog.local.knative import (
    DeliveryRecord,
    LocalKnative,
    Manifests,
    Outcome,
    Settings,
    SystemClock,
    read_manifests,
)
from image_catalog.local.serving import LoopbackServer
from image_catalog.testing.knative import (
    ManualClock,
    Received,
    ScriptedSubscriber,
    ScriptedWatcher,
    SkippingClock,
    render,
    resource,
    running_knative,
)

EVENT = {"ce-specversion": "1.0", "ce-id": "1", "ce-type": "test.happened", "ce-source": "/test", "ce-subject": "a/b"}
BROKER = resource("Broker", "events", {})
BROKER_REF = {"ref": {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "name": "events"}}


def service(name: str, **destination: Any) -> dict[str, Any]:
    return {"ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": name}, **destination}


def trigger(name: str = "work", **spec: Any) -> dict[str, Any]:
    return resource("Trigger", name, {"broker": "events", "subscriber": service(name), **spec})


async def post(knative: LocalKnative, **headers: str) -> int:
    async with httpx.AsyncClient(verify=IN_CLEAR, trust_env=False) as client:
        sent = {**EVENT, **{f"ce-{name}": value for name, value in headers.items()}}
        raw = [(name.encode(), value.encode()) for name, value in sent.items()]
        return (await client.post(knative.broker_url, headers=raw)).status_code


class Gate:
    """Answers a subscriber's requests only when opened, and counts who waits."""

    def __init__(self, subscriber: ScriptedSubscriber) -> None:
        self.opened = asyncio.Event()
        self.waiting = 0
        self.most = 0
        subscriber.answering = self._answer

    async def _answer(self, _received: Received) -> Response:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        await self.opened.wait()
        self.waiting -= 1
        return Response(status_code=204)


async def test_a_change_of_an_object_reaches_its_function_through_the_broker() -> None:
    work, watcher, records = ScriptedSubscriber(503), ScriptedWatcher(), list[DeliveryRecord]()
    source = {
        "mode": "Resource",
        "namespaceSelector": {},
        "resources": [{"apiVersion": "example.org/v1", "kind": "Policy", "selector": {"matchLabels": {"a": "b"}}}],
        "filters": [{"exact": {"name": "wanted"}}],
        "ceOverrides": {"extensions": {"added": "here"}},
        "sink": BROKER_REF,
    }
    async with running_knative(
        BROKER,
        trigger(delivery={"retry": 1}),
        resource("ApiServerSource", "policies", source),
        subscribers={"work": work},
        watcher=watcher,
        observer=records.append,
    ) as knative:
        for name in ("unwanted", "wanted"):
            metadata = {"name": name, "namespace": "default", "uid": name, "resourceVersion": "1"}
            watcher.change("ADDED", {"metadata": metadata})
        await work.wait_for(2)
        await knative.wait_idle()

    assert watcher.asked == [("example.org/v1", "Policy", None, "a=b")]
    attributes = work.events[0].attributes
    assert attributes["subject"] == "/apis/example.org/v1/namespaces/default/policies/wanted"
    assert attributes["added"] == "here"
    assert [(r.attempt, r.status, r.outcome) for r in records] == [(1, 503, Outcome.RETRY), (2, 204, Outcome.DELIVERED)]
    assert {(r.trigger, r.function, r.event_type, r.subject) for r in records} == {
        ("work", "work", "dev.knative.apiserver.resource.add", attributes["subject"])
    }
    assert all(record.milliseconds > 0 for record in records)


@pytest.mark.parametrize(
    ("kind", "resource_name"), [("Ingress", "ingresses"), ("Policy", "policies"), ("ImageBuild", "imagebuilds")]
)
async def test_a_cluster_scoped_object_has_no_namespace(kind: str, resource_name: str) -> None:
    work, watcher = ScriptedSubscriber(), ScriptedWatcher()
    source = {"mode": "Resource", "resources": [{"apiVersion": "v1", "kind": kind}], "sink": service("work")}
    async with running_knative(resource("ApiServerSource", "all", source), subscribers={"work": work}, watcher=watcher):
        watcher.change("ADDED", {"metadata": {"name": "a", "uid": "a", "resourceVersion": "1"}})
        await work.wait_for(1)

    assert work.events[0].subject == f"/apis/v1/namespaces//{resource_name}/a"
    assert "namespace" not in work.events[0].attributes


async def test_a_trigger_delivers_in_order_of_arrival() -> None:
    work = ScriptedSubscriber()
    async with running_knative(
        BROKER, trigger(), subscribers={"work": work}, settings=Settings(concurrency=1)
    ) as knative:
        for number in range(10):
            await post(knative, id=str(number))
        await knative.wait_idle()

    assert [event.id for event in work.events] == [str(number) for number in range(10)]


async def test_no_more_requests_than_the_limit_are_in_flight() -> None:
    work = ScriptedSubscriber()
    gate = Gate(work)
    async with running_knative(
        BROKER, trigger(), subscribers={"work": work}, settings=Settings(concurrency=3)
    ) as knative:
        for number in range(8):
            await post(knative, id=str(number))
        await work.wait_for(3)
        assert not knative.idle
        gate.opened.set()
        await knative.wait_idle()

    assert gate.most == 3
    assert len(work.received) == 8


async def test_a_slow_function_does_not_hold_up_another() -> None:
    slow, fast = ScriptedSubscriber(), ScriptedSubscriber()
    gate = Gate(slow)
    async with running_knative(
        BROKER, trigger("slow"), trigger("fast"), subscribers={"slow": slow, "fast": fast}
    ) as knative:
        await post(knative)
        await fast.wait_for(1)
        await slow.wait_for(1)
        gate.opened.set()


async def test_an_event_that_backs_off_gives_way_to_the_next() -> None:
    work, clock = ScriptedSubscriber(503), ManualClock()
    async with running_knative(
        BROKER,
        trigger(delivery={"retry": 1, "backoffPolicy": "exponential", "backoffDelay": "PT10S"}),
        subscribers={"work": work},
        clock=clock,
        settings=Settings(concurrency=1, backoff_scale=0.5),
    ) as knative:
        await post(knative, id="first")
        await clock.wait_for_sleeper()
        await post(knative, id="second")
        await work.wait_for(2)
        clock.advance(timedelta(seconds=5))
        await knative.wait_idle()

    assert [event.id for event in work.events] == ["first", "second", "first"]


async def test_a_sender_is_held_back_until_there_is_room() -> None:
    work = ScriptedSubscriber()
    gate = Gate(work)
    async with running_knative(
        BROKER, trigger(), subscribers={"work": work}, settings=Settings(queue_limit=1, patience=timedelta(seconds=10))
    ) as knative:
        assert await post(knative, id="first") == 202
        second = asyncio.create_task(post(knative, id="second"))
        await work.wait_for(1)
        gate.opened.set()
        assert await second == 202
        await knative.wait_idle()

    assert [event.id for event in work.events] == ["first", "second"]


async def test_an_event_is_taken_by_all_triggers_or_by_none() -> None:
    full, free = ScriptedSubscriber(), ScriptedSubscriber()
    gate = Gate(full)
    settings = Settings(queue_limit=1, patience=timedelta(milliseconds=10))
    async with running_knative(
        BROKER,
        trigger("full"),
        trigger("free", filters=[{"exact": {"id": "2"}}]),
        subscribers={"full": full, "free": free},
        settings=settings,
    ) as knative:
        assert [await post(knative, id="1"), await post(knative, id="2")] == [202, 500]
        gate.opened.set()
        await knative.wait_idle()

    assert not free.received


async def test_services_are_reached_over_real_connections() -> None:
    work = ScriptedSubscriber(503, Response(b"{}", headers={**EVENT, "ce-type": "test.replied", "ce-id": "2"}))
    async with LoopbackServer(work) as server:
        knative = LocalKnative(
            read_manifests(render(BROKER, trigger(delivery={"retry": 1}))),
            services={"work": server.url},
            watcher=ScriptedWatcher(),
            api_server_url="https://10.96.0.1:443",
        )
        async with knative:
            assert await post(knative, subject="with space/ü") == 202
            await knative.wait_idle()

    assert [(event.id, event.subject) for event in work.events] == [
        ("1", "with space/ü"),
        ("1", "with space/ü"),
        ("2", "a/b"),
    ]


async def test_an_observer_that_fails_stops_nothing() -> None:
    def observe(_record: DeliveryRecord) -> None:
        raise RuntimeError("no terminal")

    work = ScriptedSubscriber(503)
    async with running_knative(
        BROKER, trigger(delivery={"retry": 1}), subscribers={"work": work}, observer=observe
    ) as knative:
        await post(knative)
        await knative.wait_idle()

    assert len(work.received) == 2


async def test_leaving_drops_what_is_under_way_within_a_second_and_leaves_no_task() -> None:
    before = asyncio.all_tasks()
    work, retrying, clock = ScriptedSubscriber(), ScriptedSubscriber(503), ManualClock()
    gate, loop = Gate(work), asyncio.get_running_loop()
    patiently = {"retry": 1, "backoffDelay": "PT1H", "backoffPolicy": "exponential"}
    source = {"mode": "Resource", "resources": [{"apiVersion": "v1", "kind": "Secret"}], "sink": BROKER_REF}
    settings = Settings(queue_limit=1, patience=timedelta(seconds=60))
    async with running_knative(
        BROKER,
        trigger(),
        trigger(
            "retrying",
            filters=[{"exact": {"id": "1"}}],
            delivery=patiently,
        ),
        resource("ApiServerSource", "secrets", source),
        resource("PingSource", "tick", {"schedule": "@hourly", "sink": BROKER_REF}),
        subscribers={"work": work, "retrying": retrying},
        clock=clock,
        settings=settings,
    ) as knative:
        await post(knative)
        await work.wait_for(1)
        held_back = asyncio.create_task(post(knative, id="2"))
        # The schedule's pause and the retry's.
        await clock.wait_for_sleeper(2)
        begin = loop.time()
        await knative.__aexit__(None, None, None)
        took = loop.time() - begin
        answer = (await asyncio.gather(held_back, return_exceptions=True))[0]
        gate.opened.set()

    assert took < 1
    assert answer == 500 or isinstance(answer, httpx.HTTPError)
    assert asyncio.all_tasks() == before


async def test_destinations_resolve_to_urls() -> None:
    manifests = read_manifests(
        render(
            BROKER,
            resource("SinkBinding", "work", {"subject": service("work")["ref"], "sink": BROKER_REF}),
            trigger("work", subscriber=service("work", uri="/hook")),
        )
    )
    work = ScriptedSubscriber()
    async with running_knative(
        BROKER,
        resource("SinkBinding", "work", {"subject": service("work")["ref"], "sink": BROKER_REF}),
        trigger("work", subscriber=service("work", uri="/hook")),
        subscribers={"work": work},
    ) as knative:
        await post(knative)
        await knative.wait_idle()
        assert knative.sink_of("work") == knative.broker_url == f"{knative.url}/default/events"
        assert knative.sink_of("other") is None
        assert knative.manifests.sink_bindings == manifests.sink_bindings

    assert work.received[0].path.split("/") == ["", "work", "hook"]


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(trigger("missing"), id="service"),
        pytest.param(resource("PingSource", "a", {"sink": {"ref": {**BROKER_REF["ref"], "name": "b"}}}), id="broker"),
    ],
)
async def test_a_destination_that_does_not_run_here_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(InvalidObjectError, match="runs here"):
        async with running_knative(BROKER, document, subscribers={}):
            pass


async def test_a_taken_port_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        knative = LocalKnative(
            Manifests(), services={}, watcher=ScriptedWatcher(), api_server_url="https://localhost", port=port
        )
        with pytest.raises(PermanentError, match=f"port {port} of 127.0.0.1 is taken"):
            await knative.__aenter__()


class NoSuchKind(ScriptedWatcher):
    """A watcher whose API server does not know the kind at first."""

    def __init__(self) -> None:
        super().__init__()
        self.missing = True

    async def watch(
        self, api_version: str, kind: str, namespace: str | None, label_selector: str | None
    ) -> AsyncGenerator[tuple[str, Mapping[str, Any]], None]:
        if self.missing:
            raise InvalidObjectError("404")
        async with aclosing(super().watch(api_version, kind, namespace, label_selector)) as changes:
            async for change in changes:
                yield change


async def test_a_kind_that_is_not_installed_is_tried_again() -> None:
    work, watcher, clock = ScriptedSubscriber(), NoSuchKind(), ManualClock()
    source = {"mode": "Resource", "resources": [{"apiVersion": "v1", "kind": "Late"}], "sink": service("work")}
    async with running_knative(
        resource("ApiServerSource", "late", source), subscribers={"work": work}, watcher=watcher, clock=clock
    ):
        watcher.missing = False
        await clock.wait_for_sleeper()
        clock.advance(timedelta(seconds=1))
        watcher.change("ADDED", {"metadata": {"name": "a", "uid": "a", "resourceVersion": "1"}})
        await work.wait_for(1)


async def test_a_watch_that_ends_is_started_anew() -> None:
    class Ending(ScriptedWatcher):
        async def watch(
            self, api_version: str, kind: str, namespace: str | None, label_selector: str | None
        ) -> AsyncGenerator[tuple[str, Mapping[str, Any]], None]:
            self.asked.append((api_version, kind, namespace, label_selector))
            yield "SYNCED", {}

    watcher, clock = Ending(), ManualClock()
    source = {"mode": "Resource", "resources": [{"apiVersion": "v1", "kind": "Secret"}], "sink": service("work")}
    async with running_knative(
        resource("ApiServerSource", "ending", source),
        subscribers={"work": ScriptedSubscriber()},
        watcher=watcher,
        clock=clock,
    ):
        for _ in range(2):
            await clock.wait_for_sleeper()
            clock.advance(timedelta(seconds=1))
        await clock.wait_for_sleeper()

    assert len(watcher.asked) == 3


async def test_an_api_server_that_never_answers_is_named() -> None:
    class Silent(ScriptedWatcher):
        async def watch(
            self, _api_version: str, _kind: str, _namespace: str | None, _label_selector: str | None
        ) -> AsyncGenerator[tuple[str, Mapping[str, Any]], None]:
            await asyncio.Event().wait()
            yield "SYNCED", {}

    source = {"mode": "Resource", "resources": [{"apiVersion": "v1", "kind": "Secret"}], "sink": service("work")}
    with pytest.raises(ClusterUnavailableError, match="no list to silent-secret"):
        async with running_knative(
            resource("ApiServerSource", "silent", source),
            subscribers={"work": ScriptedSubscriber()},
            watcher=Silent(),
            settings=Settings(start_limit=timedelta(milliseconds=50)),
        ):
            pass


async def test_an_event_that_is_too_large_is_refused() -> None:
    async with (
        running_knative(BROKER, subscribers={}, settings=Settings(max_event_bytes=10)) as knative,
        httpx.AsyncClient(verify=IN_CLEAR, trust_env=False) as client,
    ):
        answer = await client.post(knative.broker_url, headers=EVENT, content=b"x" * 11)

    assert answer.status_code == 413


async def test_an_event_in_structured_mode_is_delivered_in_binary_mode() -> None:
    work = ScriptedSubscriber()
    structured = {"specversion": "1.0", "id": "1", "type": "test.happened", "source": "/test", "data": {"a": 1}}
    async with (
        running_knative(BROKER, trigger(), subscribers={"work": work}) as knative,
        httpx.AsyncClient(verify=IN_CLEAR, trust_env=False) as client,
    ):
        headers = {"content-type": "application/cloudevents+json"}
        await client.post(knative.broker_url, headers=headers, json=structured)
        await knative.wait_idle()

    assert work.received[0].headers["ce-type"] == "test.happened"
    assert work.received[0].headers["content-type"] == "application/json"
    assert work.received[0].body == b'{"a":1}'


async def test_an_answer_that_is_too_large_is_a_failure() -> None:
    records: list[DeliveryRecord] = []
    async with running_knative(
        BROKER,
        trigger(),
        subscribers={"work": ScriptedSubscriber(Response(b"x" * 11))},
        settings=Settings(max_answer_bytes=10),
        observer=records.append,
    ) as knative:
        await post(knative)
        await knative.wait_idle()

    assert [(record.outcome, record.error) for record in records] == [
        (Outcome.DROPPED, "the answer has more than 10 bytes")
    ]


async def test_a_reply_that_is_malformed_is_a_failure() -> None:
    records: list[DeliveryRecord] = []
    reply = Response(b"{}", headers={"ce-specversion": "1.0"})
    async with running_knative(
        BROKER, trigger(), subscribers={"work": ScriptedSubscriber(reply)}, observer=records.append
    ) as knative:
        await post(knative)
        await knative.wait_idle()

    assert [(record.outcome, record.error) for record in records] == [
        (Outcome.DROPPED, "the answer's body is no CloudEvent")
    ]


async def test_a_client_that_goes_away_in_the_middle_leaves_the_ingress_well() -> None:
    async with running_knative(BROKER, subscribers={}) as knative:
        host, port = knative.url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /default/events HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nhalf")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

        assert await post(knative) == 202


async def test_the_machines_clock_keeps_time() -> None:
    clock = SystemClock()
    begin = clock.now()

    await clock.sleep(timedelta(milliseconds=1))

    assert begin.utcoffset() == timedelta(0)
    assert clock.now() - begin >= timedelta(milliseconds=1)


async def test_a_tick_of_an_unknown_source_is_refused() -> None:
    async with running_knative(BROKER, subscribers={}, clock=SkippingClock()) as knative:
        with pytest.raises(KeyError):
            await knative.tick("unknown")


async def test_what_a_dead_worker_held_is_lost_and_told_and_the_next_event_is_delivered() -> None:
    work, other, records = ScriptedSubscriber(), ScriptedSubscriber(), list[DeliveryRecord]()
    gate = Gate(work)
    async with running_knative(
        BROKER, trigger(), trigger("other"), subscribers={"work": work, "other": other}, observer=records.append
    ) as knative:
        assert await post(knative, id="lost") == 202
        await work.wait_for(1)
        await other.wait_for(1)
        assert await knative.lose_undelivered("work") == 1
        gate.opened.set()
        await post(knative, id="kept")
        await knative.wait_idle()
        assert await knative.lose_undelivered() == 0

    told = [(r.event_id, r.outcome, r.error) for r in records if r.trigger == "work"]
    assert told == [("lost", Outcome.DROPPED, "whoever held it has died"), ("kept", Outcome.DELIVERED, "")]
    assert [event.id for event in other.events] == ["lost", "kept"]


async def test_a_source_that_starts_anew_tells_nothing_of_what_exists() -> None:
    work, watcher = ScriptedSubscriber(), ScriptedWatcher()
    source = {"mode": "Resource", "resources": [{"apiVersion": "v1", "kind": "Policy"}], "sink": service("work")}
    async with running_knative(
        resource("ApiServerSource", "all", source), subscribers={"work": work}, watcher=watcher
    ) as knative:
        watcher.change("ADDED", {"metadata": {"name": "a", "uid": "a", "resourceVersion": "1"}})
        await work.wait_for(1)
        assert knative.sources == ("all-policy",)
        watcher.existing.append({"metadata": {"name": "a", "uid": "a", "resourceVersion": "1"}})
        await knative.restart_source("all-policy")
        watcher.change("MODIFIED", {"metadata": {"name": "a", "uid": "a", "resourceVersion": "2"}})
        await work.wait_for(2)

    assert len(watcher.asked) == 2
    assert [event.type.rsplit(".", 1)[1] for event in work.events] == ["add", "update"]
