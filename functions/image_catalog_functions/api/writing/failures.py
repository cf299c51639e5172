"""What the API answers when a function did not do what it was called for."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import orjson

from image_catalog.models.reasons import ProblemReason
from image_catalog_functions.api.http.problems import Problem

__all__ = ["answer_problem", "broken_problem", "may_pass", "no_token_problem"]

_RETRY_AFTER = "5"

_PASSING = frozenset({"ShuttingDown", "WriteConflict", "ClusterUnavailable", "SinkUnavailable"})
"""A function's own trouble, mostly over in a second. A registry's is not: it has been asked repeatedly already."""


def may_pass(response: httpx.Response) -> bool:
    """Return whether the same call may succeed in a moment.

    An answer without a reason is no function's: a proxy that has no Pod to send it to.
    """
    if response.status_code not in {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE}:
        return False
    reason = _said(response).get("reason")
    return reason is None or reason in _PASSING


def answer_problem(function: str, response: httpx.Response) -> Problem:
    """Return what an answer of a function that is no outcome means to the API's caller."""
    said = _said(response)
    reason, detail = _reason(said), str(said.get("detail") or "")
    status = response.status_code
    match status:
        case HTTPStatus.SERVICE_UNAVAILABLE | HTTPStatus.BAD_GATEWAY:
            retry = {"Retry-After": response.headers.get("retry-after", _RETRY_AFTER)}
            detail = detail or f"the {function} function is not running; ask again in a moment"
            reason = reason or ProblemReason.FUNCTION_UNAVAILABLE
            return Problem(503, reason, detail, details=_details(said), headers=retry)
        case HTTPStatus.BAD_REQUEST | HTTPStatus.UNPROCESSABLE_ENTITY if reason is ProblemReason.INVALID_EVENT:
            return Problem(400, ProblemReason.INVALID_BODY, detail, details=_violations(said))
        case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return Problem(413, ProblemReason.BODY_TOO_LARGE, detail)
        case HTTPStatus.UNPROCESSABLE_ENTITY if reason is not None:
            return Problem(404 if reason is ProblemReason.NOT_FOUND else 422, reason, detail, details=_details(said))
        case HTTPStatus.UNAUTHORIZED:
            detail = (
                f"the {function} function does not accept the API's own token: its audience must be image-catalog, "
                "and the API's user one of IMAGE_CATALOG_TRUSTED_CALLERS"
            )
        case HTTPStatus.GATEWAY_TIMEOUT:
            return _too_slow(function)
        case _ if not response.is_success:
            detail = f"the {function} function answered {status}; its log says why"
        case _:
            detail = f"the {function} function did not answer what became of it; is it of another version?"
    return Problem(502, ProblemReason.FUNCTION_REFUSED, detail)


def broken_problem(function: str, error: httpx.TransportError) -> Problem:
    """Return what a connection to a function that broke again and again means to the API's caller."""
    if isinstance(error, httpx.ReadTimeout):
        return _too_slow(function)
    detail = f"the {function} function cannot be reached ({type(error).__name__}); ask again in a moment"
    return Problem(503, ProblemReason.FUNCTION_UNAVAILABLE, detail, headers={"Retry-After": _RETRY_AFTER})


def no_token_problem(function: str, path: Path) -> Problem:
    """Return what a missing token of the API's own means to its caller."""
    detail = f"the API has no token of its own to call the {function} function with: {path} cannot be read"
    return Problem(503, ProblemReason.FUNCTION_UNAVAILABLE, detail, headers={"Retry-After": _RETRY_AFTER})


def _too_slow(function: str) -> Problem:
    detail = f"the {function} function has not answered in time; what it does goes on, so look at the entry first"
    return Problem(504, ProblemReason.FUNCTION_UNAVAILABLE, detail)


def _said(response: httpx.Response) -> dict[str, Any]:
    try:
        body = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def _reason(said: dict[str, Any]) -> ProblemReason | None:
    reason = said.get("reason")
    return ProblemReason(reason) if isinstance(reason, str) and reason in set(ProblemReason) else None


def _details(said: dict[str, Any]) -> dict[str, Any]:
    details = said.get("details")
    return details if isinstance(details, dict) else {}


def _violations(said: dict[str, Any]) -> dict[str, Any]:
    violations = said.get("violations")
    return {"violations": violations} if isinstance(violations, list) else {}
