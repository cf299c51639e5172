"""A CloudEvent as the broker carries it: attributes as text, data as bytes, both untouched.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md.
The ``cloudevents`` library decodes data and drops what it cannot read; a broker
must pass both on as they came, so that what a function receives is what was sent.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import orjson

from image_catalog.errors import InvalidEventError

__all__ = ["CloudEvent", "Headers", "header_map", "is_event", "read_event"]

Headers = Mapping[str, str]
"""HTTP headers by lower-case name."""

_STRUCTURED = "application/cloudevents+json"
_REQUIRED = ("specversion", "id", "source", "type")
_NAME = re.compile(r"[a-z0-9]+")
_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(\s*;.*)?")
_JSON_TYPE = re.compile(r"[^/]+/([^;]+\+)?json\s*(;.*)?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


@dataclass(frozen=True, slots=True)
class CloudEvent:
    """An event with valid attributes.

    Attributes
    ----------
    attributes
        Context attributes and extensions by name, ``datacontenttype`` included.
    data
        The data as it came.
    """

    attributes: Mapping[str, str]
    data: bytes = b""

    @property
    def id(self) -> str:
        """The attribute ``id``."""
        return self.attributes["id"]

    @property
    def type(self) -> str:
        """The attribute ``type``."""
        return self.attributes["type"]

    @property
    def subject(self) -> str | None:
        """The attribute ``subject``, where there is one."""
        return self.attributes.get("subject")

    def extended(self, changes: Mapping[str, str | None]) -> CloudEvent:
        """Copy the event with some attributes set, or removed where the value is `None`."""
        merged = {**self.attributes, **changes}
        return CloudEvent({name: value for name, value in merged.items() if value is not None}, self.data)

    def headers(self) -> dict[str, bytes]:
        """Write the attributes as the headers of binary mode.

        Knative's SDK neither encodes nor decodes percent signs here, and so
        neither does the local broker: a value passes through as it came.
        """
        headers = {
            f"ce-{name}": value.encode(errors="surrogateescape")
            for name, value in self.attributes.items()
            if name != "datacontenttype"
        }
        if content_type := self.attributes.get("datacontenttype"):
            headers["content-type"] = content_type.encode()
        return headers


def header_map(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Read raw headers; bytes that are no UTF-8 survive a round trip."""
    return {name.decode("latin-1").lower(): value.decode(errors="surrogateescape") for name, value in raw}


def is_event(headers: Headers) -> bool:
    """Tell whether headers announce a CloudEvent, be it a valid one or not."""
    return "ce-specversion" in headers or _media_type(headers) == _STRUCTURED


def read_event(headers: Headers, body: bytes) -> CloudEvent:
    """Read an event in binary or structured mode.

    Raises
    ------
    InvalidEventError
        Raised if this is no CloudEvent 1.0: neither mode (batches included), a
        required attribute is missing, or an attribute is malformed.
    """
    if _media_type(headers) == _STRUCTURED:
        attributes, data = _read_structured(body)
    elif "ce-specversion" in headers:
        attributes = {name[3:]: value for name, value in headers.items() if name.startswith("ce-")}
        if "content-type" in headers:
            attributes["datacontenttype"] = headers["content-type"]
        data = body
    else:
        raise InvalidEventError("neither a CloudEvent in binary mode (ce- headers) nor one in structured mode")
    _validate(attributes)
    return CloudEvent(attributes, data)


def _media_type(headers: Headers) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _read_structured(body: bytes) -> tuple[dict[str, str], bytes]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as e:
        raise InvalidEventError(f"the structured event is no JSON: {e}") from e
    if not isinstance(document, dict):
        raise InvalidEventError("the structured event is no JSON object")
    data = document.pop("data", None)
    encoded = document.pop("data_base64", None)
    attributes = {name: _text(name, value) for name, value in document.items() if value is not None}
    if encoded is not None:
        return attributes, _decode(encoded)
    if data is None:
        return attributes, b""
    # The JSON format (section 3.1) reads data without a media type as JSON.
    media_type = attributes.setdefault("datacontenttype", "application/json")
    if isinstance(data, str) and not _JSON_TYPE.fullmatch(media_type):
        return attributes, data.encode()
    return attributes, orjson.dumps(data)


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int):
        return str(value)
    raise InvalidEventError(f"attribute {name} is neither text, an integer nor a Boolean")


def _decode(encoded: Any) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, TypeError, ValueError) as e:
        raise InvalidEventError("data_base64 is no base64 text") from e


def _validate(attributes: Mapping[str, str]) -> None:
    for name, value in attributes.items():
        if not _NAME.fullmatch(name):
            raise InvalidEventError(f"attribute name {name!r} has other characters than a-z and 0-9")
        # A line break would let an event write headers of its own into what functions receive.
        if _CONTROL.search(value):
            raise InvalidEventError(f"attribute {name} holds a control character")
    if missing := [name for name in _REQUIRED if not attributes.get(name)]:
        raise InvalidEventError(f"required attribute {missing[0]} is missing or empty")
    if attributes["specversion"] != "1.0":
        raise InvalidEventError(f"specversion {attributes['specversion']} is not 1.0")
    _validate_formats(attributes)


def _validate_formats(attributes: Mapping[str, str]) -> None:
    try:
        urlsplit(attributes["source"])
        if "dataschema" in attributes and not urlsplit(attributes["dataschema"]).scheme:
            raise InvalidEventError("dataschema is no absolute URI")
        if "time" in attributes:
            _validate_time(attributes["time"])
    except ValueError as e:
        raise InvalidEventError(f"source, dataschema or time is malformed: {e}") from e
    if (media_type := attributes.get("datacontenttype")) and not _MEDIA_TYPE.fullmatch(media_type):
        raise InvalidEventError(f"datacontenttype {media_type!r} is no media type")


def _validate_time(text: str) -> None:
    if not _TIMESTAMP.fullmatch(text):
        raise InvalidEventError(f"time {text!r} is not as RFC 3339 says")
    # fromisoformat of 3.11 takes no more than six digits of a fraction and no lower-case letters.
    datetime.fromisoformat(re.sub(r"\.\d+", "", text).upper())
