"""Bodies are read within limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel
from starlette.requests import Request

from image_catalog_functions.api.http.answers import accepts_gzip, matches
from image_catalog_functions.api.http.bodies import MAX_BODY_BYTES, read_json
from image_catalog_functions.api.http.problems import Problem


class Body(BaseModel):
    name: str
    tags: list[str] = []
    deep: bool = False


def request(chunks: AsyncIterator[bytes], **headers: str) -> Request:
    async def receive() -> dict[str, Any]:
        try:
            return {"type": "http.request", "body": await anext(chunks), "more_body": True}
        except StopAsyncIteration:
            return {"type": "http.request", "body": b"", "more_body": False}

    sent = {"content-type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    raw = [(name.encode(), value.encode()) for name, value in sent.items()]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": raw}, receive)


async def whole(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield b" " * 65536


async def dribbling() -> AsyncIterator[bytes]:
    yield b"{"
    await asyncio.Event().wait()


async def test_body_is_read_as_its_model() -> None:
    body = await read_json(request(whole(b'{"name": "[[[', b'{{", "tags": ["a"]}')), Body)
    assert body == Body(name="[[[{{", tags=["a"])


@pytest.mark.parametrize(
    ("chunks", "headers", "status", "reason"),
    [
        pytest.param(whole(b"nix"), {}, 400, "InvalidBody", id="no JSON"),
        pytest.param(whole(b""), {}, 400, "InvalidBody", id="empty"),
        pytest.param(whole(b'{"name":"a","deep":0}'), {}, 400, "InvalidBody", id="a number for a boolean"),
        pytest.param(whole(b'{"name":"a","deep":"true"}'), {}, 400, "InvalidBody", id="a text for a boolean"),
        pytest.param(whole(b'{"name":"\xff"}'), {}, 400, "InvalidBody", id="no UTF-8"),
        pytest.param(whole(b"[" * 65 + b"]" * 65), {}, 400, "InvalidBody", id="too deep"),
        pytest.param(whole(b"[" * 500_000), {}, 400, "InvalidBody", id="very deep"),
        pytest.param(whole(b'{"tags": [1]}'), {}, 400, "InvalidBody", id="breaks its schema"),
        pytest.param(endless(), {}, 413, "BodyTooLarge", id="too large"),
        pytest.param(whole(), {"content_length": str(MAX_BODY_BYTES + 1)}, 413, "BodyTooLarge", id="says too large"),
        pytest.param(whole(b"{}"), {"content_type": "text/plain"}, 415, "UnsupportedMediaType", id="media type"),
        pytest.param(whole(b"{}"), {"content_type": ""}, 415, "UnsupportedMediaType", id="no media type"),
        pytest.param(
            whole(b"{}"), {"content_type": "application/merge-patch+json"}, 415, "UnsupportedMediaType", id="a patch"
        ),
    ],
)
async def test_body_that_cannot_be_taken_is_a_problem(
    chunks: AsyncIterator[bytes], headers: dict[str, str], status: int, reason: str
) -> None:
    with pytest.raises(Problem) as raised:
        await read_json(request(chunks, **headers), Body)
    assert (raised.value.status, raised.value.reason) == (status, reason)


@pytest.mark.parametrize(
    ("sent", "said"),
    [("text/plain", "'text/plain' is none that is taken here"), ("", "Content-Type is missing")],
    ids=["another", "none"],
)
async def test_media_type_that_is_taken_is_named(sent: str, said: str) -> None:
    with pytest.raises(Problem) as raised:
        await read_json(request(whole(b"{}"), content_type=sent), Body)
    assert said in raised.value.detail
    assert raised.value.detail.endswith("send application/json")
    assert raised.value.headers == {"Accept-Post": "application/json"}


async def test_body_that_dribbles_ends_the_request() -> None:
    with pytest.raises(Problem) as raised:
        await read_json(request(dribbling()), Body, seconds=0.05)
    assert (raised.value.status, raised.value.reason) == (408, "BodyTooSlow")


async def test_every_violation_is_named_with_its_path() -> None:
    with pytest.raises(Problem) as raised:
        await read_json(request(whole(b'{"tags": ["a", 1]}')), Body)
    assert [each["path"] for each in raised.value.details["violations"]] == ["name", "tags[1]"]


async def test_many_brackets_in_a_text_are_no_depth() -> None:
    text = '\\"' + "[" * 100
    assert (await read_json(request(whole(f'{{"name": "{text}"}}'.encode())), Body)).name.endswith("[[")


@pytest.mark.parametrize(
    ("field", "taken"),
    [
        (b"gzip", True),
        (b"br;q=1.0, gzip;q=0.8", True),
        (b"*", True),
        (b"gzip;q=0", False),
        (b"gzip;q=0.000, *", False),
        (b"identity", False),
        (None, False),
    ],
)
def test_compression_is_for_who_takes_it(field: bytes | None, *, taken: bool) -> None:
    assert accepts_gzip(field) is taken


@pytest.mark.parametrize(
    ("field", "known"),
    [(b'W/"a"', True), (b'"a"', True), (b'"b", W/"a"', True), (b"*", True), (b'W/"b"', False), (b"", False)],
)
def test_state_is_known_by_weak_comparison(field: bytes, *, known: bool) -> None:
    assert matches(field, b'W/"a"') is known
