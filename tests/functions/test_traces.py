"""A publication as one trace: what a collector is sent, from the request to the last function that its events reach."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from image_catalog.events import EventType, SourceType
from image_catalog.testing.collector import CollectedSpan, Collector
from image_catalog.testing.knative import ManualClock
from image_catalog.testing.pipeline import PipelineFunction
from image_catalog.testing.registry import BearerAuth
from image_catalog.testing.world import NAMESPACE, World, running_world
from image_catalog.tracing import start_tracing, stop_tracing

TRACE_ID, CALLER = secrets.token_hex(16), secrets.token_hex(8)
TRACEPARENT = f"00-{TRACE_ID}-{CALLER}-01"
REQUEST = {"name": "autosd", "namespace": NAMESPACE, "registryUrl": "quay.io/acme/autosd:cs9"}


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture
async def world(tmp_path: Path, functions: tuple[PipelineFunction, ...], collector: Collector) -> AsyncIterator[World]:
    """Run every function, traced and by the present time, beside a registry that hands out tokens."""
    assert start_tracing({"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}, service="pipeline")
    clock = ManualClock(datetime.now(UTC))
    async with running_world(functions, tmp_path, auth=BearerAuth(), clock=clock) as world:
        yield world
    await stop_tracing()


@pytest.fixture
def log() -> Iterator[list[dict[str, Any]]]:
    """Keep every line with what is bound to it."""
    kept = structlog.get_config()
    lines = structlog.testing.LogCapture()
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, lines])
    yield lines.entries  # type: ignore[misc]  # structlog types its entries as MutableMapping
    structlog.configure(**kept)


def handled(collector: Collector, function: str, event_type: str) -> CollectedSpan:
    return collector.find(f"process {event_type}", **{"faas.name": function})


async def test_a_publication_is_one_tree(world: World, collector: Collector, log: list[dict[str, Any]]) -> None:
    world.push()
    request = world.pipeline.request(EventType.PUBLISH_REQUESTED, REQUEST, traceparent=TRACEPARENT)
    await world.pipeline.drain()
    await stop_tracing()

    # One tree: everything hangs below the caller's span, whichever function did it.
    assert {span.trace_id for span in collector.spans} == {TRACE_ID}
    assert {span.parent_id for span in collector.roots()} == {CALLER}
    publish = handled(collector, "publish", EventType.PUBLISH_REQUESTED)
    assert (publish.kind, publish.parent_id, publish.error) == ("consumer", CALLER, None)
    assert publish.attributes["cloudevents.event_id"] == publish.attributes["messaging.message.id"] == request.id

    below = collector.children(publish)
    asked = [span for span in below if span.attributes.get("image_catalog.registry") == "quay.io"]
    assert {span.kind for span in asked} == {"client"}
    assert {"GET /v2/{name}/manifests/{reference}", "GET /v2/{name}/blobs/{reference}", "GET token"} <= {
        span.name for span in asked
    }
    (token, *_) = [span for span in asked if span.name == "GET token"]
    assert token.attributes["url.full"].endswith("/token")
    assert token.attributes["http.response.status_code"] == 200
    written = [span.name for span in below if span.attributes.get("image_catalog.cluster.name") == "autosd"]
    assert {"create catalogimages", "patch catalogimages/status"} <= set(written)

    # The emitted events go on from the publication, and so do those who hear of them.
    sent = [span for span in below if span.kind == "producer"]
    assert [span.name for span in sent] == [f"send {EventType.IMAGE_PUBLISHED}", f"send {EventType.IMAGE_AVAILABLE}"]
    for span, event in zip(sent, world.pipeline.emitted, strict=True):
        assert event.attributes["traceparent"] == f"00-{TRACE_ID}-{span.span_id}-01"
        (heard,) = collector.children(span)
        assert (heard.attributes["faas.name"], heard.attributes["cloudevents.event_id"]) == ("audit", event.id)
    # The sources know nothing of traces: what they tell of the entry is the publication's all the same.
    assert "verify" in {span.attributes.get("faas.name") for span in below}

    (line,) = [line for line in log if line["event"] == "event handled" and line["function"] == "publish"]
    assert (line["cause"], line["trace_id"], line["span_id"]) == (request.id, TRACE_ID, publish.span_id)
    assert line["emitted"] == [
        {"type": EventType(event.type).short, "id": event.id} for event in world.pipeline.emitted
    ]


async def test_a_tick_and_what_it_asks_verify_for_are_one_tree(world: World, collector: Collector) -> None:
    world.push()
    await world.add()
    world.clock.advance(timedelta(days=2))
    tick = world.pipeline.tick()
    await world.pipeline.drain()
    await stop_tracing()

    sweep = collector.find(f"process {SourceType.PING}", faas__name="reverify", cloudevents__event_id=tick.id)
    assert sweep.parent_id == ""
    (asked,) = [span for span in collector.children(sweep) if span.kind == "producer"]
    check = handled(collector, "verify", EventType.VERIFICATION_REQUESTED)
    assert (check.parent_id, check.trace_id) == (asked.span_id, sweep.trace_id)
    assert "HEAD /v2/{name}/manifests/{reference}" in {span.name for span in collector.below(check)}


async def test_what_happens_to_an_entry_later_is_no_part_of_its_publication(world: World, collector: Collector) -> None:
    world.push()
    world.pipeline.request(EventType.PUBLISH_REQUESTED, REQUEST, traceparent=TRACEPARENT)
    await world.pipeline.drain()
    world.pipeline.discard()
    later = world.pipeline.event(
        SourceType.RESOURCE_UPDATED, world.raw("catalogimages", "autosd") or {}, kind="CatalogImage"
    )
    at = (datetime.now(UTC) + timedelta(minutes=2)).isoformat()
    await world.pipeline.deliver("verify", later.extended({"time": at}))
    await stop_tracing()

    span = collector.find(f"process {SourceType.RESOURCE_UPDATED}", faas__name="verify", cloudevents__event_id=later.id)
    assert (span.parent_id, span.trace_id == TRACE_ID) == ("", False)


@pytest.fixture
def untraced_carrier() -> dict[str, str]:
    """Return the header that Knative's client up to 1.18 sends while its own tracing is off."""
    return {"traceparent": f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"}


async def test_a_carrier_that_traces_nothing_keeps_nothing_from_being_traced(
    world: World, collector: Collector, untraced_carrier: dict[str, str]
) -> None:
    world.push()
    plain = world.pipeline.event(EventType.PUBLISH_REQUESTED, REQUEST)
    asked = world.pipeline.event(EventType.PUBLISH_REQUESTED, REQUEST, traceparent=TRACEPARENT)
    for event in (plain, asked):
        await world.pipeline.deliver("publish", event, **untraced_carrier)
    await stop_tracing()

    begun, continued = [span for span in collector.spans if span.name == f"process {EventType.PUBLISH_REQUESTED}"]
    assert begun.parent_id == ""
    assert (continued.trace_id, continued.parent_id) == (TRACE_ID, CALLER)


@pytest.mark.parametrize("sampled", [False, True], ids=["that traces nothing", "that traces"])
async def test_what_a_source_tells_of_a_publication_is_the_publications_whatever_carries_it(
    world: World, collector: Collector, untraced_carrier: dict[str, str], *, sampled: bool
) -> None:
    world.push()
    world.pipeline.request(EventType.PUBLISH_REQUESTED, REQUEST, traceparent=TRACEPARENT)
    await world.pipeline.drain()
    world.pipeline.discard()
    told = world.pipeline.event(
        SourceType.RESOURCE_UPDATED, world.raw("catalogimages", "autosd") or {}, kind="CatalogImage"
    )
    carrier = untraced_carrier["traceparent"][:-2] + ("01" if sampled else "00")
    await world.pipeline.deliver("verify", told, traceparent=carrier)
    await stop_tracing()

    span = collector.find(f"process {SourceType.RESOURCE_UPDATED}", faas__name="verify", cloudevents__event_id=told.id)
    assert span.trace_id == TRACE_ID


async def test_an_error_marks_the_spans_that_it_went_through(world: World, collector: Collector) -> None:
    world.take_down()
    world.pipeline.request(EventType.PUBLISH_REQUESTED, REQUEST)
    await world.pipeline.drain()
    await stop_tracing()

    deliveries = [span for span in collector.spans if span.name == f"process {EventType.PUBLISH_REQUESTED}"]
    failed = deliveries[0]
    assert failed.error is not None
    assert failed.error[0] == "RegistryUnreachable"
    (request, *_) = [span for span in collector.children(failed) if span.kind == "client" and span.error]
    assert request.error == failed.error


async def test_a_trace_that_is_not_sampled_is_passed_on_and_not_sent(world: World, collector: Collector) -> None:
    world.push()
    world.pipeline.request(EventType.PUBLISH_REQUESTED, REQUEST, traceparent=f"00-{TRACE_ID}-{CALLER}-00")
    await world.pipeline.drain()
    await stop_tracing()

    assert collector.spans == []
    assert {event.attributes["traceparent"][:36] for event in world.pipeline.emitted} == {f"00-{TRACE_ID}-"}
    assert {event.attributes["traceparent"][-3:] for event in world.pipeline.emitted} == {"-00"}
