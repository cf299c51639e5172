from __future__ import annotations

import asyncio
import secrets
import time
from typing import Any

import pytest

from image_catalog.errors import RateLimitedError
from image_catalog.testing.collector import Collector
from image_catalog.tracing import (
    NO_SPAN,
    SpanKind,
    current_traceparent,
    is_tracing,
    span,
    start_tracing,
    stop_tracing,
)

PATIENCE = 8
"""Seconds: less than the ten that the SDK gives one request, and more than a busy machine takes for the two of ours."""


def start(collector: Collector, **environment: str) -> None:
    assert start_tracing({"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, **environment}, service="publish")


async def test_a_span_says_which_process_it_is_of(collector: Collector) -> None:
    start(collector, HOSTNAME="publish-00001-abc")
    with span("one", SpanKind.CLIENT, {"a": 1, "b": None}):
        pass
    await stop_tracing()

    (sent,) = collector.spans
    assert sent.attributes == {"a": 1}
    said = {name: sent.resource[name] for name in ("service.name", "service.namespace", "service.instance.id")}
    assert said == {
        "service.name": "publish",
        "service.namespace": "image-catalog",
        "service.instance.id": "publish-00001-abc",
    }


async def test_variables_have_the_last_word_about_the_process(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "nightly")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=lab,service.namespace=ours")
    start(collector)
    with span("one", SpanKind.CLIENT, {}):
        pass
    await stop_tracing()

    resource = collector.spans[0].resource
    assert (resource["service.name"], resource["service.namespace"]) == ("nightly", "ours")
    assert resource["deployment.environment.name"] == "lab"


async def test_spans_are_children_of_the_one_under_way_also_in_tasks(collector: Collector) -> None:
    start(collector)

    async def work() -> None:
        with span("inner", SpanKind.CLIENT, {}):
            await asyncio.to_thread(lambda: None)

    with span("outer", SpanKind.CONSUMER, {}) as outer:
        assert current_traceparent() == outer.traceparent
        await asyncio.gather(work(), work())
    assert current_traceparent() is None
    await stop_tracing()

    first, second, root = collector.spans
    assert {first.parent_id, second.parent_id} == {root.span_id}
    assert outer.facts() == {"trace_id": root.trace_id, "span_id": root.span_id}


async def test_no_secret_is_sent_whoever_wrote_it(collector: Collector) -> None:
    secret = secrets.token_hex(20)
    start(collector)
    error = RateLimitedError(f"https://robot:{secret}@quay.io/v2/ asked us to slow down")
    said = {"cloudevents.event_subject": f"https://s3/x?X-Amz-Signature={secret}"}
    with pytest.raises(RateLimitedError), span("one", SpanKind.CLIENT, said | {"a": f"Bearer {secret}"}):
        raise error
    with pytest.raises(ValueError, match="secret"), span("two", SpanKind.CLIENT, {}):
        raise ValueError(f"secret {secret}")
    await stop_tracing()

    first, second = collector.spans
    assert first.error == ("RateLimited", "https://[redacted]@quay.io/v2/ asked us to slow down")
    # The text of an error that nobody foresaw can hold anything.
    assert second.error == ("ValueError", "")
    assert secret not in collector.text


async def test_what_the_collector_wants_to_see_is_shown_to_it_alone(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = secrets.token_hex(20)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"authorization=Bearer%20{secret}")
    start(collector)
    with span("one", SpanKind.CLIENT, {}):
        pass
    await stop_tracing()

    assert [request["authorization"] for request in collector.requests] == [f"Bearer {secret}"]
    assert secret not in collector.text


async def test_a_long_text_is_cut(collector: Collector) -> None:
    start(collector)
    with span("one", SpanKind.CLIENT, {"cloudevents.event_subject": "x" * 60_000}):
        pass
    await stop_tracing()

    assert len(collector.spans[0].attributes["cloudevents.event_subject"]) == 1024


async def test_a_collector_that_does_not_answer_delays_nobody_and_is_not_waited_for_at_the_end(
    log: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A queue of a few, so that it is full at once.
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "8")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")
    with Collector(silent=True) as collector:
        start(collector)
        with span("first", SpanKind.CLIENT, {}):
            pass
        began = time.perf_counter()
        for _ in range(1000):
            with span("one", SpanKind.CLIENT, {}):
                pass
        assert await asyncio.to_thread(collector.asked.wait, PATIENCE)
        assert time.perf_counter() - began < PATIENCE
        began = time.perf_counter()
        await stop_tracing()
        assert time.perf_counter() - began < PATIENCE
    assert not is_tracing()
    assert {line["event"] for line in log} == {"traces not sent"}
    assert any("did not take the last ones" in line["message"] for line in log)


async def test_a_collector_that_is_not_there_is_told_of_in_the_log(log: list[dict[str, Any]]) -> None:
    assert start_tracing({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}, service="publish")
    with span("one", SpanKind.CLIENT, {}):
        pass
    await stop_tracing()

    assert log
    assert {line["event"] for line in log} == {"traces not sent"}


@pytest.mark.parametrize(
    ("ratio", "flags", "is_believed", "sent"),
    [
        pytest.param("0.000001", "01", True, 1, id="whoever is believed keeps it"),
        pytest.param("0.000001", "01", False, 0, id="a stranger keeps none, not even by an id that ratios like"),
        pytest.param("1", "01", False, 1, id="a stranger's is kept as one that begins here"),
        pytest.param("1", "00", False, 0, id="a stranger may do without"),
    ],
)
async def test_a_parent_that_is_not_believed_does_not_say_whether_its_trace_is_kept(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, ratio: str, flags: str, *, is_believed: bool, sent: int
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", ratio)
    start(collector)
    # A ratio is of the last half of an id: the smallest are always kept.
    trace_id, caller = f"{secrets.token_hex(8)}{1:016x}", secrets.token_hex(8)
    with span("one", SpanKind.SERVER, {}, parent=f"00-{trace_id}-{caller}-{flags}", is_believed=is_believed) as one:
        assert one.facts()["trace_id"] == trace_id
    await stop_tracing()

    assert [(span.trace_id, span.parent_id) for span in collector.spans] == [(trace_id, caller)] * sent


async def test_a_trace_starts_once(collector: Collector) -> None:
    start(collector)
    assert start_tracing({}, service="another")
    with span("one", SpanKind.CLIENT, {}) as under_way:
        under_way.rename("two")
        under_way.end()
        under_way.set({"late": 1})
        under_way.fail("late")
        under_way.rename("three")
    await stop_tracing()

    (sent,) = collector.spans
    assert (sent.name, dict(sent.attributes), sent.error) == ("two", {}, None)


def test_nothing_is_done_while_nothing_is_traced() -> None:
    with span("one", SpanKind.CLIENT, {"a": 1}) as under_way:
        under_way.set({"b": 1})
        under_way.fail("x")
        under_way.rename("y")
        under_way.end()
    assert under_way is NO_SPAN
    assert (under_way.traceparent, under_way.facts(), current_traceparent()) == (None, {}, None)
