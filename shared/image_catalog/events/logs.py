"""Structured logs: JSON for machines, coloured lines for people, and no secret in either."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, TextIO

import structlog
from pydantic import SecretBytes, SecretStr

from image_catalog.config import LogFormat
from image_catalog.redaction import REDACTED, redact_text

__all__ = ["configure_logging", "redact"]

_SECRET_KEY = re.compile(
    r"(?:authorization|cookie|password|passwd|token|api_?key|secret_?(?:access_?)?key|dockerconfigjson)$",
    re.IGNORECASE,
)
# A name such as authSecretRef or tokenRealm is no secret; only a key that ends as the value's own name does is.
_TALKATIVE = ("aiohttp", "boto3", "botocore", "httpcore", "httpx", "kubernetes", "s3transfer", "urllib3")
"""Libraries that write URLs, headers and bodies below WARNING: a registry's cookie, a presigned address, a token."""


def redact(value: Any, key: str = "") -> Any:
    """Return a value without the secrets in it.

    Parameters
    ----------
    value
        Anything that is logged; mappings and sequences are searched.
    key
        The name that it is logged under.
    """
    if isinstance(value, SecretStr | SecretBytes) or (value and _SECRET_KEY.search(key)):
        return REDACTED
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        return {name: redact(item, str(name)) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(item) for item in value]
    return value


def configure_logging(*, style: LogFormat = LogFormat.JSON, level: str = "info", stream: TextIO | None = None) -> None:
    """Set structlog up for this process.

    Parameters
    ----------
    style
        JSON for a cluster's log collector, console for a terminal.
    level
        Least severe level that is written: ``debug``, ``info``, ``warning``, ``error``.
    stream
        Where to write; standard output when absent.
    """
    for name in _TALKATIVE:
        # Also where somebody turns every log on: what they then want to know of is the catalog.
        logging.getLogger(name).setLevel(logging.WARNING)
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(sort_keys=False, default=str)
        if style is LogFormat.JSON
        else structlog.dev.ConsoleRenderer(colors=(stream or sys.stdout).isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            # After the traceback has become text, because an exception's message can quote anything.
            _redact_event,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(stream or sys.stdout),
        cache_logger_on_first_use=False,
    )


def _redact_event(
    _logger: structlog.typing.WrappedLogger, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    return {name: redact(value, name) for name, value in event.items()}
