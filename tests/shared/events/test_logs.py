from __future__ import annotations

import io
import json
import logging
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from image_catalog.config import LogFormat
from image_catalog.events import configure_logging, redact
from image_catalog.redaction import REDACTED

SECRET = secrets.token_hex(16)


@pytest.fixture(autouse=True)
def log() -> Iterator[None]:
    """Let these tests configure what the package's other tests capture."""
    yield
    structlog.reset_defaults()


@pytest.mark.parametrize("style", list(LogFormat))
@pytest.mark.parametrize(
    "facts",
    [
        pytest.param({"authorization": SECRET}, id="authorization"),
        pytest.param({"Proxy-Authorization": SECRET}, id="proxy-authorization"),
        pytest.param({"access_token": SECRET}, id="token"),
        pytest.param({"headers": {"Set-Cookie": SECRET}}, id="cookie"),
        pytest.param({"config": [{"password": SECRET}]}, id="nested-password"),
        pytest.param({"credential": SecretStr(SECRET)}, id="secret-type"),
        pytest.param({"header": f"Bearer {SECRET}"}, id="bearer-text"),
        pytest.param({"header": f"Basic {SECRET}=="}, id="basic-text"),
        pytest.param({"url": f"https://user:{SECRET}@quay.io/v2/"}, id="userinfo"),
        pytest.param({"url": f"https://s3.test/b?X-Amz-Signature={SECRET}&x=1"}, id="presigned"),
        pytest.param({"text": f"got eyJhbGciOi{SECRET}.eyJzdWIiOi{SECRET}.{SECRET}"}, id="json-web-token"),
        pytest.param({"exc_info": ValueError(f"refused Bearer {SECRET}")}, id="traceback"),
    ],
)
def test_no_secret_reaches_a_line(style: LogFormat, facts: dict[str, Any]) -> None:
    stream = io.StringIO()
    configure_logging(style=style, stream=stream)
    structlog.get_logger().warning("asked", **facts)
    assert "asked" in stream.getvalue()
    assert SECRET not in stream.getvalue()


@pytest.mark.parametrize("library", ["httpx", "httpcore.http11", "botocore.parsers", "aiohttp.client", "urllib3"])
def test_libraries_that_write_headers_and_bodies_are_silent_whatever_the_level(library: str) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    configure_logging(level="debug", stream=stream)
    logging.getLogger(library).debug("Location: %s", SECRET)
    logging.getLogger(library).info("GET %s", SECRET)
    logging.getLogger(library).warning("the pool is full")
    root.removeHandler(handler)
    root.setLevel(level)
    assert stream.getvalue() == "the pool is full\n"


@pytest.mark.parametrize(
    "facts", [{"authSecretRef": "quay-pull"}, {"tokenRealm": "https://quay.io/v2/auth"}, {"token": ""}]
)
def test_a_name_of_a_secret_is_no_secret(facts: dict[str, Any]) -> None:
    assert redact(facts) == facts


def test_what_is_around_a_secret_stays_readable() -> None:
    assert redact("GET https://u:p@quay.io/v2/ failed") == f"GET https://{REDACTED}@quay.io/v2/ failed"


def test_json_lines_hold_facts_and_tracebacks() -> None:
    stream = io.StringIO()
    configure_logging(stream=stream)
    with structlog.contextvars.bound_contextvars(cause="7"):
        structlog.get_logger().error("failed", count=3, exc_info=ValueError("boom"))
    line = json.loads(stream.getvalue())
    assert (line["event"], line["cause"], line["count"], line["level"]) == ("failed", "7", 3, "error")
    assert "ValueError: boom" in line["exception"]


def test_lines_below_the_level_are_not_written() -> None:
    stream = io.StringIO()
    configure_logging(level="warning", stream=stream)
    structlog.get_logger().info("detail")
    assert stream.getvalue() == ""
