from __future__ import annotations

import asyncio

import httpx
import pytest
from prometheus_client import REGISTRY

from image_catalog.errors import PermanentError, SinkUnavailableError
from image_catalog.events import CatalogEvent, EventSink, EventType, ReceivedEvent, open_sink, parse_overrides
from image_catalog.models.events import VerificationRequest
from image_catalog.testing.functions import BrokerIngress


def due(name: str, cause: str = "tick") -> CatalogEvent:
    data = VerificationRequest(name=name, namespace="default")
    received = ReceivedEvent(id=cause, source="/s", type="t", data=None)
    return CatalogEvent.of_name(EventType.VERIFICATION_REQUESTED, "default", name, data, cause=received)


async def test_events_of_one_subject_keep_their_order(ingress: BrokerIngress, sink: EventSink) -> None:
    events = [due("a", "1"), due("b", "1"), due("a", "2"), due("a", "3")]
    await sink.send(events)
    of_a = [r.headers["ce-id"] for r in ingress.received if r.headers["ce-subject"] == "default/a"]
    assert of_a == [events[0].id, events[2].id, events[3].id]
    assert len(ingress.received) == 4
    emitted = REGISTRY.get_sample_value(
        "image_catalog_events_emitted_total", {"type": EventType.VERIFICATION_REQUESTED}
    )
    assert (emitted or 0) >= 4


async def test_subjects_are_sent_side_by_side_and_not_all_at_once() -> None:
    running = peak = 0
    full = asyncio.Event()

    async def ingress(_request: httpx.Request) -> httpx.Response:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        if running == 16:
            full.set()
        await full.wait()
        running -= 1
        return httpx.Response(202)

    sink = EventSink(client=httpx.AsyncClient(transport=httpx.MockTransport(ingress)), url="http://broker.test")
    async with asyncio.timeout(5):
        await sink.send([due(f"image-{n}") for n in range(100)])
    await sink.aclose()
    assert peak == 16


async def test_one_refusal_does_not_keep_the_others_back() -> None:
    taken = []

    def ingress(request: httpx.Request) -> httpx.Response:
        if request.headers["ce-subject"] == "default/a":
            return httpx.Response(500)
        taken.append(request.headers["ce-subject"])
        return httpx.Response(202)

    sink = EventSink(client=httpx.AsyncClient(transport=httpx.MockTransport(ingress)), url="http://broker.test")
    with pytest.raises(SinkUnavailableError, match="answered 500"):
        await sink.send([due("a"), due("b"), due("c")])
    await sink.aclose()
    assert sorted(taken) == ["default/b", "default/c"]


async def test_a_sink_that_does_not_answer_is_waited_for_once_however_much_there_is_to_send() -> None:
    """A tick's five hundred events would outlast its delivery, and meet the next one."""
    asked = []

    def ingress(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["ce-subject"])
        raise httpx.ReadTimeout("nothing came", request=request)

    sink = EventSink(client=httpx.AsyncClient(transport=httpx.MockTransport(ingress)), url="http://broker.test")
    with pytest.raises(SinkUnavailableError, match="ReadTimeout"):
        await sink.send([due(f"image-{n}") for n in range(500)])
    await sink.aclose()
    assert len(asked) == len(set(asked)) <= 16


async def test_nothing_to_send_asks_nobody(ingress: BrokerIngress, sink: EventSink) -> None:
    await sink.send([])
    assert ingress.received == []


async def test_overrides_stand_on_every_event(ingress: BrokerIngress) -> None:
    client = httpx.AsyncClient(transport=httpx.MockTransport(ingress))
    overrides = parse_overrides('{"extensions": {"Site": "munich"}}')
    sink = EventSink(client=client, url="http://broker.test", overrides=overrides)
    await sink.send([due("a")])
    await sink.aclose()
    assert ingress.received[0].headers["ce-site"] == "munich"


@pytest.mark.parametrize("text", [None, "", "null", "{}", '{"extensions": null}'])
def test_no_overrides_are_none(text: str | None) -> None:
    assert parse_overrides(text) == {}


@pytest.mark.parametrize("text", ["{", "[1]", '{"extensions": "x"}'])
def test_malformed_overrides_name_their_variable(text: str | None) -> None:
    with pytest.raises(PermanentError, match="K_CE_OVERRIDES"):
        parse_overrides(text)


@pytest.mark.parametrize("url", [None, "", "broker", "ftp://broker"])
def test_a_missing_sink_names_its_variable(url: str | None) -> None:
    with pytest.raises(PermanentError, match="K_SINK"):
        open_sink(url)


@pytest.mark.parametrize("url", ["http://broker.test", "https://broker.test"])
async def test_a_sink_is_opened_from_what_a_sinkbinding_sets(url: str | None) -> None:
    sink = open_sink(url, overrides='{"extensions": {"site": "munich"}}')
    await sink.aclose()


async def test_a_sink_that_nobody_listens_at_is_unavailable(unused_tcp_port: int) -> None:
    sink = open_sink(f"http://127.0.0.1:{unused_tcp_port}")
    with pytest.raises(SinkUnavailableError, match="ConnectError"):
        await sink.send([due("a")])
    await sink.aclose()
