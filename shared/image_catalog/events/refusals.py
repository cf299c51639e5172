"""Why a function refused an event, as its answer says it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

import orjson

from image_catalog.redaction import redact_text

__all__ = ["read_dead_letter", "read_refusal"]

_LONGEST = 300
"""Characters; nobody reads more in a line."""


def read_refusal(body: bytes) -> str:
    """Return reason, sentence and first violation of a problem document, or the beginning of any other answer.

    Parameters
    ----------
    body
        The answer's body; it may have been cut.
    """
    text = body.decode(errors="replace")
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        said = None
    if isinstance(said, dict):
        parts = [*(said.get(key) for key in ("reason", "detail")), _violated(said.get("violations"))]
        text = ": ".join(str(part) for part in parts if part) or text
    line = redact_text(" ".join(text.split()))
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def _violated(violations: object) -> str:
    """Return the first field that is wrong, and how; the sentence before it may name none."""
    first = violations[0] if isinstance(violations, list) and violations else None
    return " ".join(str(first[key]) for key in ("path", "message") if first.get(key)) if isinstance(first, dict) else ""


def read_dead_letter(extensions: Mapping[str, str]) -> str:
    """Return the same of a dead letter; empty where the broker does not say.

    Parameters
    ----------
    extensions
        The event's extensions; ``knativeerrordata`` is base64 that may have been `cut
        <https://knative.dev/docs/eventing/event-delivery/#configuring-channel-event-delivery>`__.
    """
    text = extensions.get("knativeerrordata", "")
    try:
        body = base64.b64decode(text[: len(text) // 4 * 4], validate=True)
    except (binascii.Error, ValueError):
        return ""
    return read_refusal(body)
