from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, NoReturn

import httpx
import pytest
import structlog
from prometheus_client import REGISTRY
from starlette.requests import Request

from image_catalog.errors import ImageNotFoundError, InvalidEventError, PermanentError, RateLimitedError
from image_catalog.events import CatalogEvent, EventType, SourceType, any_event, event_id, parse_event
from image_catalog.events.requests import read_body, read_payload
from image_catalog.metrics import show_exemplars
from image_catalog.models import CatalogImage
from image_catalog.models.events import ImageRestored, PublishRejected, PublishRequest, RejectionReason
from image_catalog.testing.functions import SampleFunction

REQUEST = {"registryUrl": "quay.io/acme/autosd:nightly"}
ACCEPTED = secrets.token_hex(8)
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def rejected(cause: Any, name: str = "autosd") -> CatalogEvent:
    data = PublishRejected(namespace="default", name=name, reason=RejectionReason.IMAGE_NOT_FOUND, message="gone")
    return CatalogEvent.of_name(EventType.PUBLISH_REJECTED, "default", name, data, cause=cause)


async def reject(event: Any, _context: Any) -> list[CatalogEvent]:
    return [rejected(event)]


def count(outcome: str, event_type: str = EventType.PUBLISH_REQUESTED) -> float:
    labels = {"function": "sample", "type": str(event_type), "outcome": outcome}
    return REGISTRY.get_sample_value("image_catalog_events_total", labels) or 0


async def test_an_event_becomes_its_payload_and_is_answered_without_a_body(
    served: SampleFunction, log: list[dict[str, Any]]
) -> None:
    response = await served.post(REQUEST, ce_subject="a/b", ce_time="2026-01-02T03:04:05Z", ce_color="blue%20%E2%9C%93")

    assert (response.status_code, response.content) == (204, b"")
    (event,) = served.events
    assert event.data == PublishRequest(registry_url="quay.io/acme/autosd:nightly")
    assert (event.id, event.source, event.subject) == ("cause-1", "/tests", "a/b")
    assert event.time.isoformat() == "2026-01-02T03:04:05+00:00"
    assert event.extensions == {"color": "blue ✓"}
    assert (event.actor, event.is_authenticated) == ("unauthenticated", False)
    (line,) = [entry for entry in log if entry["event"] == "event handled"]
    assert line["function"] == "sample"
    assert line["type"] == EventType.PUBLISH_REQUESTED
    assert (line["cause"], line["subject"], line["outcome"]) == ("cause-1", "a/b", "ok")
    assert line["milliseconds"] >= 0


async def test_a_structured_event_is_read_like_a_binary_one(served: SampleFunction) -> None:
    event = {
        "specversion": "1.0",
        "id": "7",
        "source": "/s",
        "type": EventType.PUBLISH_REQUESTED,
        "data": REQUEST,
        "n": 5,
    }
    headers = {"content-type": "application/cloudevents+json; charset=utf-8"}

    response = await served.client.post("/any/path", json=event, headers=headers)

    assert response.status_code == 204
    assert served.events[0].data.registry_url == REQUEST["registryUrl"]
    assert served.events[0].extensions == {"n": "5"}


async def test_events_go_to_the_sink_in_binary_mode_before_the_answer(
    served: SampleFunction, log: list[dict[str, Any]]
) -> None:
    served.handle = reject

    response = await served.post(REQUEST, traceparent=TRACE)

    assert (response.status_code, response.content) == (204, b"")
    (request,) = served.ingress.received
    emitted = [{"type": "publish.rejected", "id": request.headers["ce-id"]}]
    trace_id = TRACE.split("-")[1]
    assert [(line["emitted"], line["cause"], line["trace_id"]) for line in log] == [(emitted, "cause-1", trace_id)]
    assert request.headers["ce-type"] == EventType.PUBLISH_REJECTED
    assert request.headers["ce-id"] == event_id("cause-1", EventType.PUBLISH_REJECTED, "default/autosd")
    assert request.headers["ce-partitionkey"] == request.headers["ce-subject"] == "default/autosd"
    assert request.headers["ce-traceparent"] == request.headers["traceparent"] == TRACE
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.content)["reason"] == "ImageNotFound"


async def test_a_redelivered_cause_emits_the_same_ids(served: SampleFunction) -> None:
    served.handle = reject
    await served.post(REQUEST)
    await served.post(REQUEST)

    first, second = served.ingress.received
    assert first.headers["ce-id"] == second.headers["ce-id"]


async def test_a_direct_caller_gets_the_outcome_and_the_sink_gets_it_too(served: SampleFunction) -> None:
    served.handle = reject

    response = await served.post(REQUEST, prefer="respond-async, return=representation")

    assert response.status_code == 200
    assert response.headers["preference-applied"] == "return=representation"
    (event,) = response.json()["events"]
    assert event["specversion"] == "1.0"
    assert event["data"] == {
        "name": "autosd",
        "namespace": "default",
        "actor": "unauthenticated",
        "reason": "ImageNotFound",
        "message": "gone",
        "retryable": False,
        "steps": [],
    }
    assert served.ingress.types == [EventType.PUBLISH_REJECTED]


async def test_a_broker_that_prefers_a_reply_gets_no_body(served: SampleFunction) -> None:
    served.handle = reject
    assert (await served.post(REQUEST, prefer="reply")).status_code == 204


@pytest.mark.parametrize(
    ("headers", "body", "detail"),
    [
        pytest.param({}, b"{}", "not a CloudEvent: send ce-specversion", id="no-event-at-all"),
        pytest.param({"ce-specversion": "1.0", "ce-id": "1"}, b"{}", "not a CloudEvent", id="attributes-missing"),
        pytest.param({"ce-specversion": "0.3"}, b"{}", "not a CloudEvent", id="old-version"),
        pytest.param({"content-type": "application/cloudevents+json"}, b"{", "no JSON", id="structured-no-json"),
        pytest.param({"content-type": "application/cloudevents+json"}, b"[]", "JSON object", id="structured-array"),
        pytest.param({"content-type": "application/cloudevents+json"}, b"[" * 100_000, "no JSON", id="deep-nesting"),
        pytest.param(
            {"content-type": "application/cloudevents+json"}, b"{}", "not a CloudEvent", id="structured-empty"
        ),
        pytest.param({"content-type": "application/cloudevents-batch+json"}, b"[]", "of its own", id="batch"),
    ],
)
async def test_what_is_no_cloudevent_is_refused_once(
    served: SampleFunction, log: list[dict[str, Any]], headers: dict[str, str], body: bytes, detail: str
) -> None:
    response = await served.client.post("/", content=body, headers=headers)

    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    assert detail in response.json()["detail"]
    assert served.builds == 0
    (line,) = [entry for entry in log if entry["event"] == "event handled"]
    assert (line["outcome"], line["log_level"]) == ("invalid", "warning")


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"ce_type": "org.example.other"}, id="foreign-type"),
        pytest.param({"ce_type": SourceType.RESOURCE_ADDED, "ce_kind": "Secret"}, id="foreign-kind"),
        pytest.param({"ce_type": SourceType.RESOURCE_ADDED}, id="no-kind"),
        pytest.param({"ce_id": " "}, id="empty-id"),
        pytest.param({"ce_time": "yesterday"}, id="no-time"),
        pytest.param({"ce_a_b": "c"}, id="odd-attribute"),
        pytest.param({"ce_specversion": "0.3"}, id="old-version"),
    ],
)
async def test_what_is_not_for_the_function_is_refused_once(served: SampleFunction, changes: dict[str, str]) -> None:
    before = count("invalid") + count("invalid", "other") + count("invalid", SourceType.RESOURCE_ADDED)

    response = await served.post(REQUEST, **changes)

    assert response.status_code == 400
    assert response.json()["reason"] == "InvalidEvent"
    assert served.events == []
    assert count("invalid") + count("invalid", "other") + count("invalid", SourceType.RESOURCE_ADDED) == before + 1


@pytest.mark.parametrize(
    ("data", "paths"),
    [
        pytest.param({}, ["data"], id="no-source"),
        pytest.param(REQUEST | {"imageBuild": {"name": "a", "namespace": "b"}}, ["data"], id="two-sources"),
        pytest.param(REQUEST | {"colour": 1}, ["data.colour"], id="unknown-field"),
        pytest.param(
            {"imageBuild": {"namespace": "B!"}}, ["data.imageBuild.name", "data.imageBuild.namespace"], id="nested"
        ),
        pytest.param(
            REQUEST | {"tags": ["a", ""], "ifExists": "no"}, ["data.tags[1]", "data.ifExists"], id="list-item"
        ),
        pytest.param(REQUEST | {"metadata": {"archtecture": "arm64"}}, ["data.metadata.archtecture"], id="typo"),
        pytest.param(REQUEST | {"automatic": True}, ["data"], id="automatic-without-build"),
        pytest.param([1], ["data"], id="array"),
        pytest.param(b"{", ["data"], id="no-json"),
        pytest.param(b"\xff\xfe", ["data"], id="no-utf-8"),
    ],
)
async def test_data_that_breaks_the_schema_is_refused_with_every_path(
    served: SampleFunction, log: list[dict[str, Any]], data: Any, paths: list[str]
) -> None:
    response = await served.post(data)

    assert response.status_code == 422
    assert sorted(v["path"] for v in response.json()["violations"]) == sorted(paths)
    assert all(v["message"] for v in response.json()["violations"])
    (line,) = [entry for entry in log if entry["event"] == "event handled"]
    assert len(line["violations"]) == len(paths)
    assert (served.events, served.builds) == ([], 0)


async def test_a_refusal_does_not_quote_the_value(served: SampleFunction, log: list[dict[str, Any]]) -> None:
    value = "".join(chr(97 + n % 26) for n in range(40))
    response = await served.post(REQUEST | {"verify": value, "digest": value})
    assert response.status_code == 422
    assert value not in response.text
    assert value not in json.dumps(log, default=str)


async def test_data_of_another_content_type_is_refused(served: SampleFunction) -> None:
    response = await served.post(REQUEST, content_type="application/xml")
    assert response.status_code == 422
    assert response.json()["violations"][0]["path"] == "datacontenttype"


async def test_an_objects_unknown_fields_are_ignored(served: SampleFunction) -> None:
    image = {
        "metadata": {"name": "a", "namespace": "b", "managedFields": []},
        "spec": {"registryUrl": "quay.io/a/b:c", "future": True},
    }
    response = await served.post(image, event_type=SourceType.RESOURCE_ADDED, ce_kind="CatalogImage")
    assert response.status_code == 204
    assert isinstance(served.events[0].data, CatalogImage)


async def test_a_tick_needs_no_data(served: SampleFunction) -> None:
    response = await served.post(b"", event_type=SourceType.PING)
    assert response.status_code == 204


@pytest.mark.parametrize("announced", [True, False], ids=["content-length", "chunked"])
async def test_a_body_over_the_limit_is_refused(served: SampleFunction, *, announced: bool) -> None:
    body = b"x" * (2 * 1024 * 1024 + 1)

    async def chunks() -> AsyncIterator[bytes]:
        yield body[:1000]
        yield body[1000:]

    response = await served.client.post("/", content=body if announced else chunks())
    assert response.status_code == 413
    assert "2097152 bytes" in response.json()["detail"]


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        pytest.param(RateLimitedError("slow down"), 503, "5", id="transient"),
        pytest.param(ImageNotFoundError("no such image"), 422, None, id="permanent"),
        pytest.param(ValueError("boom"), 500, None, id="unforeseen"),
    ],
)
async def test_an_error_of_the_handler_follows_the_retry_contract(
    served: SampleFunction, log: list[dict[str, Any]], error: Exception, status: int, retry_after: str | None
) -> None:
    async def fail(_event: Any, _context: Any) -> NoReturn:
        raise error

    served.handle = fail
    response = await served.post(REQUEST)

    assert response.status_code == status
    assert response.headers.get("retry-after") == retry_after
    (line,) = [entry for entry in log if entry["event"] == "event handled"]
    # Only what nobody foresaw comes with its traceback, and only there is the text kept from the caller.
    assert ("exc_info" in line) == (status == 500)
    assert ("boom" in response.text) is False


async def test_the_registrys_own_wait_is_passed_on(served: SampleFunction) -> None:
    async def fail(_event: Any, _context: Any) -> NoReturn:
        raise RateLimitedError("slow down", retry_after=timedelta(seconds=41.2))

    served.handle = fail
    assert (await served.post(REQUEST)).headers["retry-after"] == "42"


@pytest.mark.parametrize("status", [400, 404, 500, 503])
async def test_a_sink_that_refuses_makes_the_cause_come_again(served: SampleFunction, status: int) -> None:
    served.handle = reject
    served.ingress.status = status

    response = await served.post(REQUEST)

    assert response.status_code == 503
    assert response.headers["retry-after"] == "5"
    assert response.json()["reason"] == "SinkUnavailable"


async def test_one_broken_connection_to_the_sink_is_tried_again_at_once(served: SampleFunction) -> None:
    served.handle = reject
    served.ingress.refusals = [httpx.ReadError("gone")]
    assert (await served.post(REQUEST)).status_code == 204

    served.ingress.refusals = [httpx.ReadError("gone"), httpx.ConnectTimeout("slow")]
    assert (await served.post(REQUEST)).status_code == 503


async def test_an_undeclared_event_is_a_fault_of_the_function(
    served: SampleFunction, log: list[dict[str, Any]]
) -> None:
    async def undeclared(event: Any, _context: Any) -> list[CatalogEvent]:
        data = ImageRestored(name="a", namespace="b", registry_url="quay.io/a/b", digest="sha256:1", reason="fixed")
        return [rejected(event), CatalogEvent.of_name(EventType.IMAGE_RESTORED, "b", "a", data, cause=event)]

    served.handle = undeclared
    response = await served.post(REQUEST)

    assert response.status_code == 500
    assert served.ingress.received == []
    assert any("does not declare" in str(entry.get("exc_info")) for entry in log)


async def test_without_a_sink_no_event_is_begun(served: SampleFunction) -> None:
    served.context.sink = None

    ready = await served.client.get("/readyz")
    response = await served.post(REQUEST)

    assert (ready.status_code, response.status_code) == (503, 503)
    assert "K_SINK" in ready.json()["detail"]
    assert served.events == []


async def test_concurrent_events_build_one_context(served: SampleFunction) -> None:
    begun, release = asyncio.Event(), asyncio.Event()

    async def build() -> Any:
        begun.set()
        await release.wait()
        return served.context

    served.build = build
    waiting = [asyncio.create_task(served.post(REQUEST)) for _ in range(5)]
    await begun.wait()
    release.set()
    assert {r.status_code for r in await asyncio.gather(*waiting)} == {204}
    assert served.builds == 1


async def test_a_caller_that_goes_away_does_not_take_the_context_from_the_others(served: SampleFunction) -> None:
    begun, release = asyncio.Event(), asyncio.Event()

    async def build() -> Any:
        begun.set()
        await release.wait()
        return served.context

    served.build = build
    first = asyncio.create_task(served.post(REQUEST))
    await begun.wait()
    second = asyncio.create_task(served.post(REQUEST))
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    release.set()
    assert (await second).status_code == 204
    assert served.builds == 1


async def test_a_context_that_failed_is_built_again_for_the_next_event(
    served: SampleFunction, log: list[dict[str, Any]]
) -> None:
    async def fail() -> NoReturn:
        raise OSError("no cluster")

    served.build = fail
    assert (await served.post(REQUEST)).status_code == 503
    assert "context not built" in [line["event"] for line in log]
    served.build = None
    assert (await served.post(REQUEST)).status_code == 204


async def test_probes_and_metrics_are_answered_on_the_same_port(served: SampleFunction) -> None:
    assert (await served.client.get("/healthz")).text == "ok"
    assert served.builds == 0
    assert (await served.client.get("/readyz")).text == "ok"
    assert served.builds == 1
    await served.post(REQUEST)
    metrics = await served.client.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    line = f'image_catalog_events_total{{function="sample",outcome="ok",type="{EventType.PUBLISH_REQUESTED}"}}'
    assert line in metrics.text
    assert "image_catalog_event_duration_seconds_bucket" in metrics.text


async def test_figures_name_the_trace_of_an_event_where_somebody_wants_that(served: SampleFunction) -> None:
    show_exemplars(shown=True)
    try:
        await served.post(REQUEST, traceparent=TRACE)
    finally:
        show_exemplars(shown=False)
    accept = "application/openmetrics-text;version=1.0.0"
    figures = (await served.client.get("/metrics", headers={"accept": accept})).text.splitlines()
    named = {line.partition("{")[0] for line in figures if f'# {{trace_id="{TRACE.split("-")[1]}"}}' in line}
    assert named >= {"image_catalog_events_total", "image_catalog_event_duration_seconds_bucket"}


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("PUT", "/"), ("DELETE", "/healthz")])
async def test_other_methods_are_told_what_to_send(served: SampleFunction, method: str, path: str) -> None:
    response = await served.client.request(method, path)
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, HEAD, POST"


async def test_the_actor_of_a_stranger_is_not_believed(served: SampleFunction) -> None:
    await served.post(REQUEST | {"actor": "root"})
    assert served.events[0].actor == "unauthenticated"


@pytest.mark.parametrize(
    ("data", "actor"),
    [
        pytest.param(REQUEST | {"actor": "jane"}, "jane", id="speaks-for-somebody"),
        pytest.param(REQUEST, "system:serviceaccount:catalog:api", id="speaks-for-itself"),
    ],
)
async def test_the_actor_of_a_proven_caller_is_believed(served: SampleFunction, data: Any, actor: str) -> None:
    async def review(token: str) -> str | None:
        return "system:serviceaccount:catalog:api" if token == ACCEPTED else None

    served.context.reviewer = review
    await served.post(data, authorization=f"bearer {ACCEPTED}")
    assert served.events[0].actor == actor
    assert served.events[0].is_authenticated


async def test_a_token_that_is_not_accepted_is_nobodys(served: SampleFunction) -> None:
    async def review(_token: str) -> str | None:
        return None

    served.context.reviewer = review
    from_broker = await served.post(REQUEST | {"actor": "root"}, authorization="Bearer other")
    assert (from_broker.status_code, served.events[0].actor) == (204, "unauthenticated")

    direct = await served.post(REQUEST, authorization="Bearer other", prefer="return=representation")
    assert direct.status_code == 401
    assert direct.headers["www-authenticate"] == "Bearer"
    assert len(served.events) == 1


async def test_closing_lets_the_next_event_build_again(served: SampleFunction) -> None:
    await served.post(REQUEST)
    await served.module.main.aclose()
    assert served.context.closed
    await served.module.main.aclose()
    await served.post(REQUEST)
    assert served.builds == 2


async def test_a_body_that_breaks_off_is_refused(served: SampleFunction) -> None:
    messages = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]

    async def receive() -> Any:
        return messages.pop(0)

    request = Request({"type": "http", "method": "POST", "headers": [], "path": "/"}, receive)
    response = await served.module.main(request)
    assert response.status_code == 400
    assert b"did not come whole" in response.body


async def test_a_body_that_dribbles_is_given_up() -> None:
    async def receive() -> Any:
        await asyncio.Event().wait()

    request = Request({"type": "http", "method": "POST", "headers": []}, receive)
    with pytest.raises(InvalidEventError, match="did not come whole"):
        await read_body(request, seconds=0.01)


def test_data_without_a_model_is_passed_on_as_it_is() -> None:
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t"}
    assert read_payload(any_event(), parse_event(headers, b"[1, null]")) == [1, None]
    assert read_payload(any_event(), parse_event(headers, b"<a/>")) == b"<a/>"


async def test_logs_are_json_unless_somebody_says_otherwise(
    served: SampleFunction, capsys: pytest.CaptureFixture[str]
) -> None:
    structlog.reset_defaults()
    await served.post(REQUEST)
    assert json.loads(capsys.readouterr().out)["event"] == "event handled"


async def test_a_broken_context_is_told_by_the_readiness_probe(served: SampleFunction) -> None:
    async def fail() -> NoReturn:
        raise PermanentError("K_SINK is no http or https URL")

    served.build = fail
    response = await served.client.get("/readyz")
    assert response.status_code == 503
    assert "K_SINK is no http" in response.json()["detail"]


async def test_an_unknown_path_is_no_probe(served: SampleFunction) -> None:
    assert (await served.client.get("/nothing")).status_code == 405


async def test_a_cancelled_delivery_stays_cancelled(served: SampleFunction) -> None:
    begun = asyncio.Event()

    async def hang(_event: Any, _context: Any) -> NoReturn:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    served.handle = hang
    task = asyncio.create_task(served.post(REQUEST))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
