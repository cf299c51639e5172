"""What a function answers: the retry contract with the broker, in one place.

Knative retries 404, 408, 409, 429 and 5xx, and dead-letters the rest at once.
So what no retry can mend is 400, 401, 405, 413 or 422, and what may pass is 503. A success
has an empty body: brokers take any other that is no CloudEvent for a failure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import Any

import orjson
from starlette.responses import Response

from image_catalog.errors import InvalidEventError, PermanentError, TransientError, Violation
from image_catalog.events.event import CatalogEvent
from image_catalog.events.wire import to_structured
from image_catalog.metrics import exposition as exposition_of_process

__all__ = [
    "Outcome",
    "accepted",
    "exposition",
    "failure",
    "method_not_allowed",
    "problem",
    "represented",
    "text",
    "unavailable",
]

RETRY_AFTER = timedelta(seconds=5)
"""For trouble that does not say itself how long it lasts."""


class Outcome(StrEnum):
    """What became of a delivery, for logs and metrics."""

    OK = "ok"
    INVALID = "invalid"
    REFUSED = "refused"
    TRANSIENT = "transient"
    UNAVAILABLE = "unavailable"
    CRASHED = "crashed"


def accepted() -> Response:
    """Answer that the event is done with."""
    return Response(status_code=HTTPStatus.NO_CONTENT)


def text(content: str) -> Response:
    """Answer a probe."""
    return Response(content, media_type="text/plain")


def exposition(accept: str) -> Response:
    """Answer with every metric of this process, in the format that the scraper prefers."""
    body, content_type = exposition_of_process(accept)
    return Response(body, headers={"Content-Type": content_type})


def represented(events: Sequence[CatalogEvent]) -> Response:
    """Answer with what was emitted, as a direct caller asked (RFC 7240, section 4.2)."""
    body = orjson.dumps({"events": [to_structured(event) for event in events]})
    return Response(body, media_type="application/json", headers={"Preference-Applied": "return=representation"})


def failure(error: Exception) -> tuple[Outcome, str, Response]:
    """Answer for an error that ended a delivery.

    Returns
    -------
    tuple
        Outcome and reason for log and metrics, and the answer.
    """
    match error:
        case InvalidEventError():
            challenge = {"WWW-Authenticate": "Bearer"} if error.status == HTTPStatus.UNAUTHORIZED else None
            answer = problem(error.status, error.reason, error.message, violations=error.violations, headers=challenge)
            return Outcome.INVALID, error.reason, answer
        case TransientError():
            return (
                Outcome.TRANSIENT,
                error.reason,
                unavailable(error.reason, error.message, error.retry_after, error.details),
            )
        case PermanentError():
            answer = problem(HTTPStatus.UNPROCESSABLE_ENTITY, error.reason, error.message, details=error.details)
            return Outcome.REFUSED, error.reason, answer
        case _:
            # The text of an error nobody foresaw can hold anything, so it goes to the log alone.
            answer = problem(HTTPStatus.INTERNAL_SERVER_ERROR, "InternalError", "the function failed; its log says why")
            return Outcome.CRASHED, type(error).__name__, answer


def unavailable(
    reason: str, message: str, retry_after: timedelta | None = None, details: Mapping[str, object] | None = None
) -> Response:
    """Answer that the same event may succeed later."""
    seconds = math.ceil((retry_after or RETRY_AFTER).total_seconds())
    headers = {"Retry-After": str(max(seconds, 1))}
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, reason, message, details=details, headers=headers)


def method_not_allowed() -> Response:
    """Answer to a method that nothing here is asked with."""
    message = "POST a CloudEvent; GET /healthz, /readyz or /metrics"
    return problem(HTTPStatus.METHOD_NOT_ALLOWED, "MethodNotAllowed", message, headers={"Allow": "GET, HEAD, POST"})


def problem(
    status: int,
    reason: str,
    message: str,
    *,
    violations: Sequence[Violation] = (),
    details: Mapping[str, object] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """Answer with a problem document (RFC 9457)."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": message,
        "reason": reason,
    }
    if violations:
        body["violations"] = [{"path": v.path, "message": v.message} for v in violations]
    if details:
        body["details"] = details
    return Response(orjson.dumps(body), status, headers, media_type="application/problem+json")
