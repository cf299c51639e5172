from datetime import UTC, datetime, timedelta

import httpx
import pytest

from image_catalog.errors import (
    AccessDeniedError,
    AuthenticationError,
    CatalogError,
    ImageNotFoundError,
    InvalidReferenceError,
    RateLimitedError,
    RegistryFaultError,
    TransientError,
)
from image_catalog.models import Reference
from image_catalog.registry import RegistryClient
from image_catalog.registry.answers import Answer, describe, failure, retry_after
from image_catalog.registry.hosts import Origin
from image_catalog.testing.network import Network

NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)
ORIGIN = Origin("https", "registry.test", 443)


def answer(status: int, body: bytes = b"", **headers: str) -> Answer:
    return Answer(
        status, httpx.Headers({name.replace("_", "-"): value for name, value in headers.items()}), body, ORIGIN
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("120", timedelta(seconds=120), id="seconds"),
        pytest.param(" 0 ", timedelta(), id="zero"),
        pytest.param("999999999999999999999", timedelta(hours=1), id="bounded"),
        pytest.param("Sat, 01 Mar 2025 12:00:30 GMT", timedelta(seconds=30), id="date"),
        pytest.param("Sat, 01 Mar 2025 12:00:30", timedelta(seconds=30), id="date-without-zone"),
        pytest.param("Sat, 01 Mar 2025 11:00:00 GMT", timedelta(), id="past"),
        pytest.param("Sat, 01 Mar 2125 11:00:00 GMT", timedelta(hours=1), id="far"),
        pytest.param("-5", None, id="negative"),
        pytest.param("1.5", None, id="fraction"),
        pytest.param("soon", None, id="word"),
        pytest.param("٣", None, id="unicode-digit"),
        pytest.param("", None, id="empty"),
    ],
)
def test_retry_after(text: str, expected: timedelta | None) -> None:
    assert retry_after(httpx.Headers([(b"Retry-After", text.encode())]), now=NOW) == expected
    assert retry_after(httpx.Headers()) is None


@pytest.mark.parametrize(
    ("found", "error"),
    [
        pytest.param(answer(401), AuthenticationError, id="401"),
        pytest.param(answer(403), AccessDeniedError, id="403"),
        pytest.param(answer(404), ImageNotFoundError, id="404"),
        pytest.param(answer(429), RateLimitedError, id="429"),
        pytest.param(answer(503, retry_after="5"), RateLimitedError, id="503-with-retry-after"),
        pytest.param(answer(503), RegistryFaultError, id="503"),
        pytest.param(answer(500), RegistryFaultError, id="500"),
        pytest.param(answer(406), RegistryFaultError, id="406"),
        pytest.param(answer(299), RegistryFaultError, id="299"),
        pytest.param(answer(400), RegistryFaultError, id="400"),
        pytest.param(
            answer(400, b'{"errors":[{"code":"NAME_INVALID"}]}'), InvalidReferenceError, id="400-invalid-name"
        ),
    ],
)
def test_status_becomes_an_error_that_names_the_image(found: Answer, error: type[CatalogError]) -> None:
    failed = failure(found, "registry.test/x:1")
    assert type(failed) is error
    assert "registry.test/x:1" in failed.message
    assert str(found.status) in failed.message


def test_wait_that_the_registry_asks_for_travels_with_the_error() -> None:
    failed = failure(answer(429, retry_after="30"), "x")
    assert isinstance(failed, TransientError)
    assert failed.retry_after == timedelta(seconds=30)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(
            answer(403, b'{"errors":[{"code":"DENIED","message":"no pull"}]}'), "403 DENIED: no pull", id="specified"
        ),
        pytest.param(answer(404, b'{"errors":[{"code":"UNKNOWN"}]}'), "404 UNKNOWN", id="code-alone"),
        pytest.param(answer(404, b'{"errors":"x"}'), "404 Not Found", id="odd-errors"),
        pytest.param(answer(404, b'{"errors":[7,{"code":7}]}'), "404 Not Found", id="odd-error"),
        pytest.param(answer(404, b"[]"), "404 Not Found", id="list"),
        pytest.param(answer(502, b"<html>\nproxy", content_type="text/html"), "502 Bad Gateway", id="page"),
        pytest.param(
            answer(403, b"token\nexpired\x1b[0m", content_type="text/plain"), "403 token expired [0m", id="text"
        ),
        pytest.param(answer(799), "799", id="unknown-status"),
    ],
)
def test_registrys_own_words_are_repeated_in_one_line(found: Answer, expected: str) -> None:
    assert describe(found) == expected


def test_words_are_short_and_without_secrets() -> None:
    body = b'{"errors":[{"code":"DENIED","message":"hush-hush is wrong ' + b"x" * 1000 + b'"}]}'
    words = describe(answer(403, body), secrets=["hush-hush", "x"])
    assert "hush" not in words
    assert len(words) <= 210


async def test_error_bodies_are_read_no_further_than_needed(
    network: Network, client: RegistryClient, image: Reference
) -> None:
    network.serve("https://registry.test", lambda _: httpx.Response(500, content=b"x" * 1_000_000))
    with pytest.raises(RegistryFaultError, match="500 Internal Server Error"):
        await client.inspect(image)
