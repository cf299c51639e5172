"""CloudEvents on HTTP: both content modes in, binary mode out.

See https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote

import orjson
from cloudevents.http import from_http

from image_catalog.errors import InvalidEventError, Violation
from image_catalog.events.event import CatalogEvent, ReceivedEvent
from image_catalog.models.events import EventModel
from image_catalog.models.kubernetes import parse_time

__all__ = [
    "RawEvent",
    "binary_headers",
    "is_batch",
    "is_sampled",
    "parse_batch",
    "parse_event",
    "to_binary",
    "to_structured",
    "told_as",
    "valid_traceparent",
]

_CORE = frozenset({"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema"})
_BROKERS_OWN = "knative"
"""How the names of attributes begin that a broker adds: when the event came, and who could not take it."""
_BATCH = "application/cloudevents-batch"
_STRUCTURED = "application/cloudevents"
_JSON_TYPE = re.compile(r"[\w.+-]+/(?:[\w.+-]+\+)?json", re.ASCII | re.IGNORECASE)
_ATTRIBUTE_NAME = re.compile(r"[a-z0-9]{1,64}")
# https://www.w3.org/TR/trace-context/#traceparent-header; all zeroes are invalid ids.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_PRINTABLE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
"""What may stand in a header as it is, section 3.1.3.2 of the binding; all else is percent-encoded."""


@dataclass(frozen=True, slots=True)
class RawEvent:
    """A CloudEvent whose data nobody has judged yet.

    Attributes
    ----------
    attributes
        Every context attribute, ``type`` and the extensions among them.
    data
        The data as it came.
    time
        The attribute ``time``, read.
    traceparent
        W3C trace context, where the sender gave a valid one: the header, unless
        that keeps nothing of a trace which the attribute keeps.
    """

    attributes: Mapping[str, str]
    data: bytes
    time: datetime | None = None
    traceparent: str | None = None

    @property
    def extensions(self) -> dict[str, str]:
        """Every attribute that CloudEvents itself does not define."""
        return {name: value for name, value in self.attributes.items() if name not in _CORE}

    def json(self) -> Any:
        """Return the data as JSON; `None` when there is none.

        Raises
        ------
        InvalidEventError
            Raised if the data is of another type, or is not what its type says.
        """
        content_type = self.attributes.get("datacontenttype", "application/json").partition(";")[0].strip()
        if not _JSON_TYPE.fullmatch(content_type):
            violation = Violation("datacontenttype", f"is {content_type[:64]!r}; send application/json")
            raise InvalidEventError("the event's data is not JSON", status=422, violations=[violation])
        if not self.data:
            return None
        try:
            return orjson.loads(self.data)
        except orjson.JSONDecodeError as e:
            # The decoder's own text can quote the input, and the input can hold anything.
            violation = Violation("data", f"is no JSON: line {e.lineno}, column {e.colno}")
            raise InvalidEventError("the event's data is not JSON", status=422, violations=[violation]) from e


def parse_event(headers: Mapping[str, str], body: bytes) -> RawEvent:
    """Read one event in binary or structured mode.

    Parameters
    ----------
    headers
        Header fields by lower-case name.
    body
        The whole body.

    Raises
    ------
    InvalidEventError
        Raised if the request is no CloudEvent 1.0, or a batch of them.
    """
    content_type = headers.get("content-type", "").lower()
    if content_type.startswith(_BATCH):
        raise InvalidEventError("a batch of events is not taken here: send each event in a request of its own")
    structured = content_type.startswith(_STRUCTURED)
    if not structured and "ce-specversion" not in headers:
        raise InvalidEventError(
            "not a CloudEvent: send ce-specversion, ce-id, ce-source and ce-type as headers, "
            "or one event as application/cloudevents+json"
        )
    if "ce-data" in headers or "ce-extensions" in headers:
        # No attribute has such a name, but the SDK keeps the data and the extensions under these two.
        raise InvalidEventError("not a CloudEvent: there is no attribute data, nor extensions")
    # Structured mode says everything in the body; headers that contradict it must not win.
    headers = {"content-type": content_type} if structured else headers
    if structured:
        _check_json_object(body)
    try:
        event = from_http(dict(headers), body, data_unmarshaller=lambda data: data)
    except Exception as e:  # the SDK lets through whatever its input provokes, TypeError and RecursionError included
        raise InvalidEventError(f"not a CloudEvent: {type(e).__name__}") from e
    attributes = {str(name): _text(value) for name, value in event.get_attributes().items() if value is not None}
    if not structured:
        attributes = {name: unquote(value) for name, value in attributes.items()}
    return _checked(attributes, event.get_data(), headers.get("traceparent"))


def is_batch(headers: Mapping[str, str]) -> bool:
    """Return whether a request's header says that its body is a batch of events."""
    return headers.get("content-type", "").lower().startswith(_BATCH)


def parse_batch(body: bytes, *, limit: int) -> list[RawEvent | InvalidEventError]:
    """Read a batch of events, ``application/cloudevents-batch+json``.

    Parameters
    ----------
    body
        The whole body.
    limit
        Largest number of events.

    Returns
    -------
    list
        Each event in its place; in the place of one that is no CloudEvent 1.0
        what is wrong with it, because it is no reason to refuse the others.

    Raises
    ------
    InvalidEventError
        Raised if the body is no such batch (400), or has too many events (413).
    """
    try:
        batch = orjson.loads(body)
    except orjson.JSONDecodeError as e:
        raise InvalidEventError(f"not a batch of CloudEvents: line {e.lineno}, column {e.colno} is no JSON") from e
    if not isinstance(batch, list):
        raise InvalidEventError("not a batch of CloudEvents: a JSON array is expected")
    if len(batch) > limit:
        raise InvalidEventError(f"{len(batch)} events in one batch; send at most {limit}", status=413)
    return [_parse_one(event) for event in batch]


def _parse_one(event: Any) -> RawEvent | InvalidEventError:
    try:
        return parse_event({"content-type": f"{_STRUCTURED}+json"}, orjson.dumps(event))
    except InvalidEventError as e:
        return e


def to_binary(event: CatalogEvent) -> tuple[dict[str, str], bytes]:
    """Return headers and body of an event in binary mode."""
    headers = binary_headers({**_attributes(event), "datacontenttype": "application/json"})
    return headers, orjson.dumps(event.data.to_dict())


def binary_headers(attributes: Mapping[str, str]) -> dict[str, str]:
    """Return an event's attributes as the headers of binary mode.

    Parameters
    ----------
    attributes
        Every context attribute, the extensions among them.
    """
    headers = {
        f"ce-{name}": quote(value, safe=_PRINTABLE) for name, value in attributes.items() if name != "datacontenttype"
    }
    # The one attribute that HTTP has a header of its own for; that one knows no percent-encoding.
    kind = attributes.get("datacontenttype", "application/json")
    headers["content-type"] = kind if kind.isascii() and kind.isprintable() else "application/octet-stream"
    if "traceparent" in attributes:
        # Brokers pass the header on; the attribute is what a subscriber in another protocol sees.
        headers["traceparent"] = attributes["traceparent"]
    return headers


def to_structured(event: CatalogEvent) -> dict[str, Any]:
    """Return an event in the JSON format, ``application/cloudevents+json``."""
    return {**_attributes(event), "datacontenttype": "application/json", "data": event.data.to_dict()}


def told_as(event: ReceivedEvent[Any]) -> dict[str, Any]:
    """Return a received event in the JSON format, as its sender emitted it: what brokers add is left out.

    Parameters
    ----------
    event
        The event; its data is a model of ours, JSON as it came, or bytes that are none.
    """
    attributes = {
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "subject": event.subject,
        "time": event.time.isoformat().replace("+00:00", "Z") if event.time else None,
        **{name: value for name, value in event.extensions.items() if not name.startswith(_BROKERS_OWN)},
        "traceparent": event.traceparent,
    }
    told = {name: value for name, value in attributes.items() if value is not None}
    if isinstance(event.data, bytes):
        return {**told, "data_base64": b64encode(event.data).decode()}
    data = event.data.to_dict() if isinstance(event.data, EventModel) else event.data
    return {**told, "datacontenttype": "application/json", "data": data}


def valid_traceparent(value: str | None) -> str | None:
    """Return the value if it is a W3C ``traceparent``, else `None`."""
    return value if value and _TRACEPARENT.fullmatch(value) else None


def is_sampled(traceparent: str | None) -> bool:
    """Return whether a valid ``traceparent`` says that its trace is kept.

    See https://www.w3.org/TR/trace-context/#sampled-flag.
    """
    return traceparent is not None and bool(int(traceparent[-2:], 16) & 1)


def _attributes(event: CatalogEvent) -> dict[str, str]:
    attributes = {
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "type": event.type.value,
        "subject": event.subject,
        "time": event.time.isoformat().replace("+00:00", "Z"),
        **event.attributes,
    }
    if event.traceparent:
        attributes["traceparent"] = event.traceparent
    return attributes


def _check_json_object(body: bytes) -> None:
    # The SDK's own reading recurses without a limit; orjson stops at its own.
    try:
        event = orjson.loads(body)
    except orjson.JSONDecodeError as e:
        raise InvalidEventError(f"not a CloudEvent: line {e.lineno}, column {e.colno} is no JSON") from e
    if not isinstance(event, dict):
        raise InvalidEventError("not a CloudEvent: a JSON object is expected")


def _text(value: Any) -> str:
    # The JSON format allows integers and booleans as attributes; filters compare their canonical text.
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _checked(attributes: dict[str, str], data: str | bytes | None, traceparent: str | None) -> RawEvent:
    if attributes.get("specversion") != "1.0":
        raise InvalidEventError("not a CloudEvent 1.0: specversion must be 1.0")
    empty = [name for name in ("id", "source", "type") if not attributes.get(name, "").strip()]
    if empty:
        raise InvalidEventError(f"not a CloudEvent: {', '.join(empty)} must not be empty")
    odd = [name for name in attributes if not _ATTRIBUTE_NAME.fullmatch(name)]
    if odd:
        raise InvalidEventError(f"not a CloudEvent: attribute {odd[0][:64]!r} is not lower-case letters and digits")
    time = parse_time(attributes["time"]) if "time" in attributes else None
    if not isinstance(time, datetime | None):
        raise InvalidEventError("not a CloudEvent: time is no RFC 3339 timestamp")
    body = data.encode() if isinstance(data, str) else data or b""
    sent, told = valid_traceparent(traceparent), valid_traceparent(attributes.get("traceparent"))
    # A broker that traces nothing puts a header of its own in place of the sender's, and that one is never sampled.
    trace = told if told and is_sampled(told) and not is_sampled(sent) else sent or told
    return RawEvent(attributes, body, time, trace)
