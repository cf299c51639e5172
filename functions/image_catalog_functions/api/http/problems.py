"""What the API answers when it does not do what it is asked (RFC 9457)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import orjson
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from image_catalog.errors import (
    AlreadyExistsError,
    CatalogError,
    ForbiddenError,
    InvalidEventError,
    InvalidObjectError,
    InvalidReferenceError,
    PermanentError,
    TransientError,
    WriteConflictError,
)
from image_catalog.models.reasons import ProblemReason

__all__ = ["PROBLEM_JSON", "Problem", "ProblemDocument", "ProblemReason", "problem_of", "respond"]

PROBLEM_JSON: Final = "application/problem+json"

_TYPE_PREFIX: Final = "urn:image-catalog:problem:"

_RETRY_AFTER: Final = timedelta(seconds=5)
"""For trouble that does not say itself how long it lasts."""

# The first kind that fits counts.
_STATUS_BY_ERROR: Final[tuple[tuple[type[CatalogError], HTTPStatus], ...]] = (
    (WriteConflictError, HTTPStatus.CONFLICT),
    (TransientError, HTTPStatus.SERVICE_UNAVAILABLE),
    (InvalidReferenceError, HTTPStatus.BAD_REQUEST),
    (InvalidObjectError, HTTPStatus.BAD_REQUEST),
    (AlreadyExistsError, HTTPStatus.CONFLICT),
    # It is the API's own ServiceAccount that was denied: the caller has been let through before.
    (ForbiddenError, HTTPStatus.SERVICE_UNAVAILABLE),
    (PermanentError, HTTPStatus.UNPROCESSABLE_ENTITY),
)


class Problem(Exception):  # noqa: N818 - it is what RFC 9457 calls a problem, and not always an error of ours
    """Ends a request with a problem document.

    Parameters
    ----------
    status
        The HTTP status code.
    reason
        Why, as one word from the closed set.
    detail
        Why, as a sentence for people: what is wrong with what, and the remedy.
    details
        Facts for programs: the parameter and its allowed values, violations, steps.
    headers
        Further header fields, such as ``WWW-Authenticate`` and ``Retry-After``.
    """

    def __init__(
        self,
        status: int,
        reason: ProblemReason,
        detail: str,
        *,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = HTTPStatus(status)
        self.reason = reason
        self.detail = detail
        self.details = dict(details or {})
        self.headers = dict(headers or {})


class ProblemDocument(BaseModel):
    """A problem document (RFC 9457), with the trio of the catalog's first API contract beside it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": f"{_TYPE_PREFIX}{ProblemReason.NOT_FOUND}",
                    "title": "Not Found",
                    "status": 404,
                    "detail": 'catalog image "x" not found in namespace "default"',
                    "instance": "/api/v1alpha1/catalog/images/x",
                    "reason": "NotFound",
                    "error": "NotFound",
                    "message": 'catalog image "x" not found in namespace "default"',
                    "details": {"name": "x", "namespace": "default"},
                }
            ]
        }
    )

    type: str
    """A URN for the reason."""
    title: str
    """What all problems of this type have in common."""
    status: int = Field(ge=400, le=599)
    """The HTTP status code."""
    detail: str
    """What is wrong with this request, for people."""
    instance: str
    """The path that was asked for."""
    reason: ProblemReason
    """Why, for programs."""
    error: ProblemReason
    """The same as `reason`."""
    message: str
    """The same as `detail`."""
    details: dict[str, Any]
    """Facts for programs, such as ``parameter``, ``allowed``, ``violations`` and ``steps``."""


def problem_of(error: Exception) -> Problem:
    """Return how an error that ended a request is answered.

    Parameters
    ----------
    error
        Anything. What nobody foresaw says nothing of itself: its text can hold anything.
    """
    match error:
        case Problem():
            return error
        case InvalidEventError():
            too_large = error.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            reason = ProblemReason.BODY_TOO_LARGE if too_large else ProblemReason.INVALID_EVENT
            return Problem(error.status, reason, error.message, details=_violations(error))
        case CatalogError():
            status = next((s for kind, s in _STATUS_BY_ERROR if isinstance(error, kind)), None)
            if status is None:
                break_reason = ProblemReason.INTERNAL_ERROR
                return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, break_reason, error.message)
            return Problem(status, _reason(error), error.message, details=_violations(error), headers=_retry(error))
        case _:
            message = "the request failed; the API's log says why"
            return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, ProblemReason.INTERNAL_ERROR, message)


def respond(problem: Problem, instance: str) -> Response:
    """Answer with a problem document.

    Parameters
    ----------
    problem
        What is wrong.
    instance
        The path that was asked for, decoded.
    """
    body = {
        "type": f"{_TYPE_PREFIX}{problem.reason}",
        "title": problem.status.phrase,
        "status": int(problem.status),
        "detail": problem.detail,
        "instance": quote(instance),
        "reason": problem.reason,
        "error": problem.reason,
        "message": problem.detail,
        "details": problem.details,
    }
    headers = {"Cache-Control": "no-store", **problem.headers}
    return Response(orjson.dumps(body, default=str), problem.status, headers, media_type=PROBLEM_JSON)


def _reason(error: CatalogError) -> ProblemReason:
    try:
        return ProblemReason(error.reason)
    except ValueError:
        return ProblemReason.INTERNAL_ERROR


def _violations(error: CatalogError) -> dict[str, Any]:
    if isinstance(error, InvalidEventError | InvalidObjectError) and error.violations:
        return {"violations": [{"path": v.path, "message": v.message} for v in error.violations]}
    return {}


def _retry(error: CatalogError) -> dict[str, str]:
    if not isinstance(error, TransientError) or isinstance(error, WriteConflictError):
        return {}
    return {"Retry-After": str(max(1, math.ceil((error.retry_after or _RETRY_AFTER).total_seconds())))}
