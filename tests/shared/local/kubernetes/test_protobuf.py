from __future__ import annotations

import base64
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_catalog.local.kubernetes.wire.protobuf import ProtobufError, decode_body

RECORDED = Path(__file__).parents[3] / "contract" / "kubernetes" / "kubectl.json"


def recorded_bodies() -> list[Any]:
    commands = json.loads(RECORDED.read_text())["commands"]
    bodies = [
        (command["command"], exchange["request"].get("body"))
        for command in commands
        for exchange in command.get("exchanges", ())
    ]
    return [
        pytest.param(body, id=f"{number}-{command.removeprefix('kubectl ')[:40]}")
        for number, (command, body) in enumerate(bodies)
        if isinstance(body, dict) and "protobufBase64" in body
    ]


def written(value: Any) -> Any:
    """Drop what says nothing, as a server that reads JSON does: null, and a request's empty status."""
    if isinstance(value, dict):
        kept = {key: written(item) for key, item in value.items() if item not in (None, "")}
        return {key: item for key, item in kept.items() if key != "status" or item not in ({}, {"incomplete": False})}
    if isinstance(value, list):
        return [written(item) for item in value]
    return value


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    head = bytearray()
    while number >= 0x80:
        head.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*head, number])


def field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def body(api_version: str, kind: str, raw: bytes, *more: bytes) -> bytes:
    return b"k8s\x00" + field(1, field(1, api_version) + field(2, kind)) + field(2, raw) + b"".join(more)


@pytest.mark.parametrize("recorded", recorded_bodies())
def test_a_recorded_body_means_what_kubectl_meant(recorded: dict[str, Any]) -> None:
    decoded = decode_body(base64.b64decode(recorded["protobufBase64"]))

    assert written(decoded) == written(recorded["means"])


def test_every_part_of_an_objects_metadata_is_read() -> None:
    metadata = b"".join(
        [
            field(1, "n"),
            field(2, "g-"),
            field(7, 3),
            field(8, field(1, 1767323045) + field(2, 500)),
            field(10, 0),
            field(11, field(1, "a") + field(2, "1")),
            field(11, field(1, "b") + field(2, "2")),
            field(12, field(1, "note")),
            field(13, field(1, "Gadget") + field(3, "owner") + field(4, "u") + field(5, "g/v1") + field(6, 1)),
            field(14, "f1"),
            field(14, "f2"),
            field(17, b"ignored"),
        ]
    )

    assert decode_body(body("v1", "ConfigMap", field(1, metadata) + field(4, 0))) == {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {
            "name": "n",
            "generateName": "g-",
            "generation": 3,
            "creationTimestamp": "2026-01-02T03:04:05Z",
            "deletionGracePeriodSeconds": 0,
            "labels": {"a": "1", "b": "2"},
            "annotations": {"note": ""},
            "ownerReferences": [
                {"kind": "Gadget", "name": "owner", "uid": "u", "apiVersion": "g/v1", "controller": True}
            ],
            "finalizers": ["f1", "f2"],
        },
        "immutable": False,
    }


def test_delete_options_keep_a_zero_that_was_said() -> None:
    options = field(1, 0) + field(2, field(1, "u")) + field(4, "Background") + field(5, "All")

    assert decode_body(body("v1", "DeleteOptions", options)) == {
        "kind": "DeleteOptions",
        "apiVersion": "v1",
        "gracePeriodSeconds": 0,
        "preconditions": {"uid": "u"},
        "propagationPolicy": "Background",
        "dryRun": ["All"],
    }


def test_a_negative_number_is_read() -> None:
    assert decode_body(body("v1", "DeleteOptions", field(1, -5)))["gracePeriodSeconds"] == -5


def test_secret_data_stays_bytes_and_string_data_stays_text() -> None:
    raw = field(2, field(1, "bin") + field(2, b"\xff\x00")) + field(4, field(1, "text") + field(2, "ü"))

    decoded = decode_body(body("v1", "Secret", raw))

    assert decoded["data"] == {"bin": base64.b64encode(b"\xff\x00").decode()}
    assert decoded["stringData"] == {"text": "ü"}


def test_unknown_fields_of_every_wire_type_are_passed_over() -> None:
    raw = field(90, 1) + field(91, "x") + varint(92 << 3 | 1) + b"12345678" + varint(93 << 3 | 5) + b"1234"

    assert decode_body(body("v1", "Namespace", raw + field(2, b""))) == {
        "kind": "Namespace",
        "apiVersion": "v1",
        "spec": {},
    }


META = field(1, "n")


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        pytest.param(b"", "prefix", id="empty"),
        pytest.param(b'{"kind": "Secret"}', "prefix", id="json"),
        pytest.param(b"k8s\x00", "no apiVersion", id="prefix-only"),
        pytest.param(body("v1", "Pod", b""), "v1 Pod", id="kind-not-read"),
        pytest.param(body("v1", "Secret", b"", field(3, "gzip")), "content encoding 'gzip'", id="encoded"),
        pytest.param(body("v1", "Secret", b"\x0a\x20abc"), "Secret: cut short, 29 bytes", id="cut-short"),
        pytest.param(body("v1", "Secret", b"\x08\x80"), "inside a number", id="cut-in-number"),
        pytest.param(body("v1", "Secret", b"\x80" * 11), "longer than 10 bytes", id="endless-number"),
        pytest.param(body("v1", "Secret", b"\x02\x00"), "field number 0", id="field-zero"),
        pytest.param(body("v1", "Secret", b"\x0b"), "wire type 3", id="group"),
        pytest.param(body("v1", "Secret", field(1, 7)), "Secret.metadata: wire type 0", id="number-for-message"),
        pytest.param(body("v1", "Secret", field(5, "yes")), "Secret.immutable", id="text-for-bool"),
        pytest.param(body("v1", "Secret", field(1, field(1, b"\xff"))), "metadata.name: not UTF-8", id="not-utf8"),
        pytest.param(body("v1", "Secret", field(2, field(1, 7))), "in a map", id="number-as-key"),
        pytest.param(
            body("v1", "Secret", field(1, field(8, field(1, 1 << 62)))), "creationTimestamp", id="time-out-of-range"
        ),
    ],
)
def test_a_broken_body_is_refused_with_the_reason(broken: bytes, reason: str) -> None:
    with pytest.raises(ProtobufError, match=reason):
        decode_body(broken)


@given(st.sampled_from(["Secret", "Namespace", "DeleteOptions", "ServiceAccount"]), st.binary(max_size=200))
def test_no_bytes_bring_the_reader_down(kind: str, raw: bytes) -> None:
    # Anything but an object or a ProtobufError fails the test by itself.
    with contextlib.suppress(ProtobufError):
        assert decode_body(body("v1", kind, raw))["kind"] == kind
