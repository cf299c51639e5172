from __future__ import annotations

import contextlib
import json
from typing import Any, ClassVar

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_catalog.errors import InvalidEventError
from image_catalog.events import (
    CatalogEvent,
    EventType,
    RawEvent,
    ReceivedEvent,
    is_batch,
    parse_batch,
    parse_event,
    to_binary,
    to_structured,
    told_as,
)
from image_catalog.events.wire import valid_traceparent
from image_catalog.models.events import PublishRejected, RejectionReason

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
HOP = f"{TRACE[:36]}a3ce929d0e0e4736-01"
UNSAMPLED_HOP = f"{HOP[:-2]}00"
BINARY = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t"}


def emitted(**attributes: str) -> CatalogEvent:
    cause = ReceivedEvent(id="cause", source="/s", type="t", data=None, traceparent=TRACE)
    data = PublishRejected(namespace="default", name="a", reason=RejectionReason.NAME_TAKEN, message="✓ “quoted”")
    event = CatalogEvent.of_name(EventType.PUBLISH_REJECTED, "default", "a", data, cause=cause)
    return CatalogEvent(event.id, event.type, event.source, event.subject, data, attributes, event.time, TRACE)


@pytest.mark.parametrize("parsed", [True, False], ids=["parsed", "as it came"])
def test_an_event_that_was_received_is_told_as_it_was_emitted(*, parsed: bool) -> None:
    event = emitted(catalognamespace="default", phase="Available")
    headers, body = to_binary(event)
    raw = parse_event({**headers, "ce-knativearrivaltime": "2026-06-01T12:00:00Z"}, body)
    data = PublishRejected.model_validate(raw.json()) if parsed else raw.json()
    received = ReceivedEvent(
        id=event.id,
        source=event.source,
        type=event.type,
        data=data,
        subject=event.subject,
        time=raw.time,
        extensions=raw.extensions,
        traceparent=raw.traceparent,
    )
    assert told_as(received) == to_structured(event)


def test_data_that_is_no_json_is_told_as_bytes() -> None:
    told = told_as(ReceivedEvent(id="1", source="/s", type="t", data=b"\xff"))
    assert told == {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "data_base64": "/w=="}


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
def test_any_attribute_survives_the_headers(value: str) -> None:
    headers, body = to_binary(emitted(color=value))
    assert all(header.isascii() for header in headers.values())
    raw = parse_event(headers, body)
    assert raw.attributes["color"] == value
    assert raw.json()["message"] == "✓ “quoted”"


@given(
    st.dictionaries(
        st.sampled_from(["ce-id", "ce-type", "ce-time", "ce-data", "ce-x", "ce-", "content-type"]), st.text()
    ),
    st.binary(),
)
def test_whatever_comes_is_an_event_or_refused(headers: dict[str, str], body: bytes) -> None:
    for mode in (BINARY | headers, headers, headers | {"content-type": "application/cloudevents+json"}):
        with contextlib.suppress(InvalidEventError):
            parse_event(mode, body).json()


@given(
    st.dictionaries(
        st.sampled_from(["specversion", "id", "source", "type", "time", "data", "data_base64", "extensions", "x"]),
        st.none()
        | st.booleans()
        | st.integers()
        | st.text()
        | st.lists(st.text())
        | st.just("1.0")
        | st.just({"a": 1}),
    )
)
def test_whatever_stands_in_a_structured_event_is_read_or_refused(event: dict[str, Any]) -> None:
    body = json.dumps({"specversion": "1.0", "id": "1", "source": "/s", "type": "t"} | event).encode()
    with contextlib.suppress(InvalidEventError):
        parse_event({"content-type": "application/cloudevents+json"}, body).json()


def test_both_modes_say_the_same() -> None:
    event = emitted(color="blue")
    binary = parse_event(*to_binary(event))
    body = orjson.dumps(to_structured(event))
    structured = parse_event({"content-type": "application/cloudevents+json"}, body)
    assert binary.extensions == structured.extensions == {"color": "blue", "traceparent": TRACE}
    assert binary.json() == structured.json()
    assert (binary.time, binary.traceparent) == (structured.time, structured.traceparent) == (event.time, TRACE)


def test_structured_data_may_be_base64() -> None:
    event = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "data_base64": "eyJhIjogMX0="}
    raw = parse_event({"content-type": "application/cloudevents+json"}, orjson.dumps(event))
    assert raw.json() == {"a": 1}


def test_structured_attributes_of_other_types_become_text() -> None:
    event = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "count": 3, "deep": True, "gone": None}
    raw = parse_event({"content-type": "application/cloudevents+json"}, orjson.dumps(event))
    assert raw.extensions == {"count": "3", "deep": "true"}
    assert raw.json() is None


def test_headers_do_not_contradict_a_structured_event() -> None:
    event = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}
    headers = BINARY | {"ce-type": "other", "content-type": "application/cloudevents+json"}
    assert parse_event(headers, orjson.dumps(event)).attributes["type"] == "t"


@pytest.mark.parametrize("header", ["ce-extensions", "ce-data", "ce-"])
def test_headers_that_trip_the_sdk_are_refused(header: str) -> None:
    with pytest.raises(InvalidEventError):
        parse_event(BINARY | {header: "x"}, b"{}").json()


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(None, id="none"),
        pytest.param("x", id="text"),
        pytest.param("ff" + TRACE[2:], id="version-ff"),
        pytest.param(TRACE.upper(), id="upper-case"),
        pytest.param("00-" + "0" * 32 + "-00f067aa0ba902b7-01", id="no-trace-id"),
        pytest.param(TRACE + "\n", id="newline"),
    ],
)
def test_a_malformed_traceparent_is_dropped(value: str | None) -> None:
    assert valid_traceparent(value) is None
    assert valid_traceparent(TRACE) == TRACE


@pytest.mark.parametrize(
    ("header", "attribute", "trace"),
    [
        pytest.param(HOP, TRACE, HOP, id="a broker that traces puts its own span between"),
        pytest.param(UNSAMPLED_HOP, TRACE, TRACE, id="a broker that traces nothing takes no trace from its sender"),
        pytest.param(UNSAMPLED_HOP, None, UNSAMPLED_HOP, id="nobody but the carrier said anything"),
        pytest.param(UNSAMPLED_HOP, f"{TRACE[:-2]}00", UNSAMPLED_HOP, id="nobody keeps it"),
        pytest.param(None, TRACE, TRACE, id="no header"),
        pytest.param("00-1", TRACE, TRACE, id="a header that is none"),
        pytest.param(UNSAMPLED_HOP, "00-1", UNSAMPLED_HOP, id="an attribute that is none"),
    ],
)
def test_the_trace_is_the_headers_unless_a_carrier_drops_the_senders(
    header: str | None, attribute: str | None, trace: str
) -> None:
    said = {"traceparent": header, "ce-traceparent": attribute}
    raw = parse_event(BINARY | {name: value for name, value in said.items() if value is not None}, b"")
    assert raw.traceparent == trace


class TestBatches:
    EVENT: ClassVar = {"specversion": "1.0", "id": "1", "source": "/tests", "type": "t", "data": {"a": 1}}

    def test_each_event_stands_in_its_place_also_one_that_is_none(self) -> None:
        body = orjson.dumps([self.EVENT, {"id": "2"}, 7, {**self.EVENT, "id": "3"}])
        first, second, third, last = parse_batch(body, limit=4)
        assert isinstance(first, RawEvent)
        assert (first.attributes["id"], first.json()) == ("1", {"a": 1})
        assert isinstance(second, InvalidEventError)
        assert isinstance(third, InvalidEventError)
        assert isinstance(last, RawEvent)

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            pytest.param(b"[", 400, id="no JSON"),
            pytest.param(b"{}", 400, id="no array"),
            pytest.param(b"[1,2]", 413, id="too many"),
        ],
    )
    def test_what_is_no_batch_is_refused(self, body: bytes, status: int) -> None:
        with pytest.raises(InvalidEventError) as refused:
            parse_batch(body, limit=1)
        assert refused.value.status == status

    def test_a_batch_is_known_by_its_media_type(self) -> None:
        assert is_batch({"content-type": "application/CloudEvents-batch+json; charset=utf-8"})
        assert not is_batch({"content-type": "application/cloudevents+json"})
        assert not is_batch({})
