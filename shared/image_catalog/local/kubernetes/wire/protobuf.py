"""Reads the protobuf bodies that ``kubectl`` sends for built-in kinds.

``kubectl create secret`` and its kin send protobuf and try nothing else after a 415.
The wire format (https://protobuf.dev/programming-guides/encoding/) is small and the
bodies are few, so a table of field numbers (:mod:`image_catalog.local.kubernetes.wire.protobuf_schema`)
and this reader take the place of a library and of generated code.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from image_catalog.local.kubernetes.status import StatusError
from image_catalog.local.kubernetes.wire.protobuf_schema import ENVELOPE, KINDS, Field, FieldType, Message

__all__ = ["MEDIA_TYPE", "ProtobufError", "decode_body"]

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
"""The content type of such a body."""

_MAGIC = b"k8s\x00"
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_FIXED_SIZE = {_FIXED64: 8, _FIXED32: 4}
_VARINT_BYTES = 10
_MORE = 0x80  # this bit says that another byte of the number follows
_KEY, _VALUE = 1, 2


class ProtobufError(StatusError):
    """The body is no Kubernetes protobuf, is cut short, or holds a kind that is not read here: a 400."""

    def __init__(self, message: str) -> None:
        super().__init__(HTTPStatus.BAD_REQUEST, "BadRequest", f"the protobuf body cannot be read: {message}")


def decode_body(body: bytes) -> dict[str, Any]:
    """Turn a protobuf request body into the object that the same request in JSON would carry.

    Parameters
    ----------
    body
        The whole body, envelope included; the caller has limited its size.

    Raises
    ------
    ProtobufError
        When the body cannot be read; the message tells what is wrong and where.
    """
    if not body.startswith(_MAGIC):
        raise ProtobufError("it does not start with the prefix of Kubernetes protobuf")
    envelope = _message(body[len(_MAGIC) :], ENVELOPE, "envelope")
    type_meta = envelope.get("typeMeta", {})
    api_version, kind = type_meta.get("apiVersion", ""), type_meta.get("kind", "")
    if envelope.get("contentEncoding"):
        raise ProtobufError(f"the content encoding {envelope['contentEncoding']!r} is not read")
    schema = KINDS.get((api_version, kind))
    if schema is None:
        raise ProtobufError(
            f"no protobuf of {api_version or '(no apiVersion)'} {kind or '(no kind)'} is read, send JSON"
        )
    decoded = _message(base64.b64decode(envelope.get("raw", "")), schema, kind)
    return {"kind": kind, "apiVersion": api_version, **decoded}


def _message(data: bytes, schema: Message, path: str) -> dict[str, Any]:
    """Decode one message; fields that the schema does not know are passed over, as protobuf asks."""
    result: dict[str, Any] = {}
    for number, wire_type, value in _fields(data, path):
        field = schema.get(number)
        if field is None:
            continue
        decoded = _value(field, wire_type, value, f"{path}.{field.name}")
        if field.repeated:
            result.setdefault(field.name, []).append(decoded)
        elif field.type is FieldType.STRING_MAP or field.type is FieldType.BYTES_MAP:
            result.setdefault(field.name, {}).update(decoded)
        elif field.keep or decoded not in ("", 0, False, None):
            # Go writes the zero value of every plain field; its JSON leaves them out, so that defaulting sees nothing.
            result[field.name] = decoded
    return result


def _value(field: Field, wire_type: int, value: int | bytes, path: str) -> Any:
    if isinstance(value, int):
        return _scalar(field, wire_type, value, path)
    match field.type:
        case FieldType.STRING:
            return _text(value, path)
        case FieldType.BYTES:
            return base64.b64encode(value).decode()
        case FieldType.TIME:
            return _time(value, path)
        case FieldType.STRING_MAP | FieldType.BYTES_MAP:
            return _map_entry(value, field.type, path)
        case FieldType.MESSAGE:
            return _message(value, field.message, path)
        case _:
            raise ProtobufError(f"{path}: wire type {wire_type} where a number belongs")


def _scalar(field: Field, wire_type: int, value: int, path: str) -> bool | int:
    if field.type is FieldType.BOOL and wire_type == _VARINT:
        return bool(value)
    if field.type is FieldType.INTEGER and wire_type == _VARINT:
        # Negative numbers are written as their two's complement in 64 bits.
        return value - (1 << 64) if value >> 63 else value
    raise ProtobufError(f"{path}: wire type {wire_type} where {field.type.value} belongs")


def _fields(data: bytes, path: str) -> Iterator[tuple[int, int, int | bytes]]:
    """Walk a message's fields as (number, wire type, number or bytes)."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position, path)
        number, wire_type = tag >> 3, tag & 7
        if number == 0:
            raise ProtobufError(f"{path}: field number 0")
        if wire_type == _VARINT:
            value, position = _varint(data, position, path)
            yield number, wire_type, value
            continue
        if wire_type == _LENGTH:
            size, position = _varint(data, position, path)
        elif wire_type in _FIXED_SIZE:
            size = _FIXED_SIZE[wire_type]
        else:
            raise ProtobufError(f"{path}: wire type {wire_type} is not known")
        end = position + size
        if end > len(data):
            raise ProtobufError(f"{path}: cut short, {end - len(data)} bytes are missing")
        chunk = data[position:end]
        yield number, wire_type, chunk if wire_type == _LENGTH else int.from_bytes(chunk, "little")
        position = end


def _varint(data: bytes, position: int, path: str) -> tuple[int, int]:
    value = 0
    for count in range(_VARINT_BYTES):
        if position + count >= len(data):
            raise ProtobufError(f"{path}: cut short inside a number")
        byte = data[position + count]
        value |= (byte & ~_MORE) << (7 * count)
        if not byte & _MORE:
            return value & ((1 << 64) - 1), position + count + 1
    raise ProtobufError(f"{path}: a number is longer than {_VARINT_BYTES} bytes")


def _text(data: bytes, path: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as e:
        raise ProtobufError(f"{path}: not UTF-8") from e


def _time(data: bytes, path: str) -> str | None:
    """Decode ``{seconds, nanos}``; Go writes the zero time as an empty message."""
    seconds = next((value for number, wire, value in _fields(data, path) if (number, wire) == (1, _VARINT)), None)
    if not isinstance(seconds, int):
        return None
    try:
        moment = datetime.fromtimestamp(seconds - (1 << 64) if seconds >> 63 else seconds, tz=UTC)
    except (OverflowError, ValueError, OSError) as e:
        raise ProtobufError(f"{path}: {seconds} is no time") from e
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _map_entry(data: bytes, kind: FieldType, path: str) -> dict[str, str]:
    key, value = "", b""
    for number, wire_type, part in _fields(data, path):
        if wire_type != _LENGTH or not isinstance(part, bytes):
            raise ProtobufError(f"{path}: wire type {wire_type} in a map of texts")
        if number == _KEY:
            key = _text(part, path)
        elif number == _VALUE:
            value = part
    return {key: base64.b64encode(value).decode() if kind is FieldType.BYTES_MAP else _text(value, f"{path}[{key}]")}
