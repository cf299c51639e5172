"""Reading and writing CloudEvents over HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest

from image_catalog.errors import InvalidEventError
from image_catalog.local.knative import CloudEvent, read_event
from image_catalog.local.knative.cloudevent import header_map, is_event

REQUIRED = {"specversion": "1.0", "id": "1", "source": "/source", "type": "test"}
BINARY = {f"ce-{name}": value for name, value in REQUIRED.items()}
STRUCTURED = {"content-type": "application/cloudevents+json; charset=utf-8"}


def structured(**members: Any) -> bytes:
    return json.dumps({**REQUIRED, **members}).encode()


def test_binary_mode_keeps_data_as_it_came() -> None:
    event = read_event({**BINARY, "content-type": "text/plain", "host": "here"}, b"\x00 anything")

    assert event == CloudEvent({**REQUIRED, "datacontenttype": "text/plain"}, b"\x00 anything")
    assert (event.id, event.type, event.subject) == ("1", "test", None)


@pytest.mark.parametrize(
    ("members", "attributes", "data"),
    [
        pytest.param({"data": {"a": [1, "ä"]}}, {"datacontenttype": "application/json"}, '{"a":[1,"ä"]}', id="json"),
        pytest.param({"data": "a", "datacontenttype": "text/plain"}, {"datacontenttype": "text/plain"}, "a", id="text"),
        pytest.param({"data": "a"}, {"datacontenttype": "application/json"}, '"a"', id="json-text"),
        pytest.param(
            {"data": "a", "datacontenttype": "application/vnd.example+json"},
            {"datacontenttype": "application/vnd.example+json"},
            '"a"',
            id="json-suffix",
        ),
        pytest.param({"data_base64": "eHk="}, {}, "xy", id="base64"),
        pytest.param({}, {}, "", id="no-data"),
        pytest.param({"number": 5, "flag": True, "gone": None}, {"number": "5", "flag": "true"}, "", id="types"),
    ],
)
def test_structured_mode_is_read(members: dict[str, Any], attributes: dict[str, str], data: str) -> None:
    assert read_event(STRUCTURED, structured(**members)) == CloudEvent({**REQUIRED, **attributes}, data.encode())


def test_what_is_written_reads_the_same() -> None:
    event = CloudEvent({**REQUIRED, "subject": "a b/ü", "datacontenttype": "text/plain"}, b"data")

    written = header_map((name.encode(), value) for name, value in event.headers().items())

    assert is_event(written)
    assert read_event(written, event.data) == event


def test_bytes_that_are_no_utf8_survive() -> None:
    event = read_event(header_map([*((n.encode(), v.encode()) for n, v in BINARY.items()), (b"ce-odd", b"\xff")]), b"")

    assert event.headers()["ce-odd"] == b"\xff"


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        pytest.param({}, b"{}", id="nothing"),
        pytest.param({"content-type": "application/cloudevents-batch+json"}, b"[]", id="batch"),
        pytest.param({**BINARY, "ce-id": ""}, b"", id="empty-id"),
        pytest.param({name: value for name, value in BINARY.items() if name != "ce-type"}, b"", id="no-type"),
        pytest.param({**BINARY, "ce-specversion": "0.3"}, b"", id="old-version"),
        pytest.param({**BINARY, "ce-bad_name": "a"}, b"", id="bad-name"),
        pytest.param({**BINARY, "ce-time": "yesterday"}, b"", id="bad-time"),
        pytest.param({**BINARY, "ce-time": "2026-02-30T00:00:00Z"}, b"", id="no-such-day"),
        pytest.param({**BINARY, "ce-source": "http://[broken"}, b"", id="bad-source"),
        pytest.param({**BINARY, "ce-dataschema": "relative"}, b"", id="relative-schema"),
        pytest.param({**BINARY, "content-type": "no media type"}, b"", id="bad-media-type"),
        pytest.param({**BINARY, "ce-extension": "a\tb"}, b"", id="control-character"),
        pytest.param(STRUCTURED, b"{", id="no-json"),
        pytest.param(STRUCTURED, b"[]", id="no-object"),
        pytest.param(STRUCTURED, structured(data_base64="?"), id="bad-base64"),
        pytest.param(STRUCTURED, structured(data_base64=5), id="base64-number"),
        pytest.param(STRUCTURED, structured(nested={"a": 1}), id="nested-attribute"),
        pytest.param(STRUCTURED, structured(extension="a\r\nx-injected: b"), id="header-injection"),
    ],
)
def test_what_is_no_cloudevent_is_refused(headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(InvalidEventError) as refused:
        read_event(headers, body)

    assert refused.value.status == 400


@pytest.mark.parametrize(
    "time", ["2026-01-02T03:04:05Z", "2026-01-02t03:04:05.123456789z", "2026-01-02T03:04:05.1+05:30"]
)
def test_times_of_rfc_3339_are_accepted(time: str) -> None:
    assert read_event({**BINARY, "ce-time": time}, b"").attributes["time"] == time


def test_extending_sets_and_removes() -> None:
    event = CloudEvent({**REQUIRED, "old": "a"}, b"data").extended({"old": None, "new": "b"})

    assert event == CloudEvent({**REQUIRED, "new": "b"}, b"data")
