"""Bodies of requests, read within limits."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from image_catalog.errors import InvalidEventError, Violation
from image_catalog.events import requests
from image_catalog.models.violations import violations_of
from image_catalog_functions.api.http.problems import Problem, ProblemReason

__all__ = [
    "MAX_BODY_BYTES",
    "MAX_DEPTH",
    "broken_schema",
    "check_json",
    "check_media_type",
    "read_body",
    "read_json",
    "read_strictly",
]

MAX_BODY_BYTES: Final = 1024 * 1024
MAX_DEPTH: Final = 64
"""Deepest nesting of objects and arrays: no body of ours needs more than eight."""

_SECONDS: Final = 30.0
"""A client sends a body at once; one that dribbles must not hold a request open for ever."""

_JSON_TYPES: Final = ("application/json",)

ModelT = TypeVar("ModelT", bound=BaseModel)


async def read_json(request: Request, model: type[ModelT], *, seconds: float = _SECONDS) -> ModelT:
    """Read a request's body as a model.

    Parameters
    ----------
    request
        The request; its body has not been read.
    model
        What the body must be.
    seconds
        Longest time that the body may take.

    Raises
    ------
    Problem
        415 for another media type than JSON; 413, 408 and 400 as `read_body` says;
        400 ``InvalidBody`` for what is no JSON, nests too deep, or breaks the
        schema: every violation is named with its path.
    """
    check_media_type(request, _JSON_TYPES)
    body = await read_body(request, seconds=seconds)
    check_json(body)
    try:
        return read_strictly(model, body)
    except ValidationError as e:
        violations = [Violation(each.path or "body", each.message) for each in violations_of(e)]
        raise broken_schema("the body", ProblemReason.INVALID_BODY, violations) from e


async def read_body(request: Request, *, seconds: float = _SECONDS) -> bytes:
    """Read a request's body, and stop where it grows too large.

    Parameters
    ----------
    request
        The request; its body has not been read.
    seconds
        Longest time that the body may take.

    Raises
    ------
    Problem
        413 ``BodyTooLarge``; 408 ``BodyTooSlow``, also for a client that breaks off.
    """
    try:
        return await requests.read_body(request, limit=MAX_BODY_BYTES, seconds=seconds)
    except InvalidEventError as e:
        # What has not been read would be taken for the next request.
        closing = {"Connection": "close"}
        if e.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            details = {"allowed": {"maxBytes": MAX_BODY_BYTES}}
            raise Problem(413, ProblemReason.BODY_TOO_LARGE, e.message, details=details, headers=closing) from e
        raise Problem(408, ProblemReason.BODY_TOO_SLOW, e.message, headers=closing) from e


def read_strictly(model: type[ModelT], body: bytes) -> ModelT:
    """Read JSON as a model, and take nothing for what it is not: no 0 is false, no "5" a number.

    Parameters
    ----------
    model
        What it must be.
    body
        The JSON.

    Raises
    ------
    pydantic.ValidationError
        Raised for anything else.
    """
    return model.model_validate_json(body, strict=True)


def check_json(body: bytes) -> None:
    """Refuse what is no JSON.

    Parameters
    ----------
    body
        What was sent.

    Raises
    ------
    Problem
        400 ``InvalidBody`` for what is no JSON or nests too deep.
    """
    # Counted before it is parsed: what nests deep costs a parser more than its length says.
    if _depth(body) > MAX_DEPTH:
        detail = f"the body nests deeper than {MAX_DEPTH} levels"
        raise Problem(400, ProblemReason.INVALID_BODY, detail, details={"allowed": {"maxDepth": MAX_DEPTH}})
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError as e:
        raise Problem(400, ProblemReason.INVALID_BODY, f"the body is not JSON: {e}") from e


def check_media_type(request: Request, taken: Sequence[str]) -> None:
    """Refuse a body of a media type that the call does not take.

    Parameters
    ----------
    request
        The request.
    taken
        Media types, without parameters.

    Raises
    ------
    Problem
        415 ``UnsupportedMediaType`` naming those that are taken.
    """
    sent = request.headers.get("content-type", "")
    if sent.partition(";")[0].strip().lower() in taken:
        return
    said = f"Content-Type {sent[:100]!r} is none that is taken here" if sent else "Content-Type is missing"
    raise Problem(
        415,
        ProblemReason.UNSUPPORTED_MEDIA_TYPE,
        f"{said}; send {' or '.join(taken)}",
        details={"header": "Content-Type", "allowed": list(taken)},
        headers={"Accept-Post": ", ".join(taken)},
    )


def broken_schema(what: str, reason: ProblemReason, violations: Sequence[Violation]) -> Problem:
    """Return the problem of an input that breaks its schema.

    Parameters
    ----------
    what
        The input, for people.
    reason
        Why, as one word from the closed set.
    violations
        Every violation; the first few are told in the sentence.
    """
    said = "; ".join(f"{each.path}: {each.message}" for each in violations[:5])
    details = {"violations": [{"path": each.path, "message": each.message} for each in violations]}
    return Problem(400, reason, f"{what} breaks its schema: {said}", details=details)


def _depth(body: bytes) -> int:
    """Return how deep a JSON text nests at most, counting brackets inside strings only where there are many at all."""
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return 0
    depth = deepest = 0
    in_string = escaped = False
    for byte in body:
        if in_string:
            if escaped:
                escaped = False
            elif byte == 0x5C:  # noqa: PLR2004 - a backslash
                escaped = True
            elif byte == 0x22:  # noqa: PLR2004 - a quote
                in_string = False
        elif byte == 0x22:  # noqa: PLR2004 - a quote
            in_string = True
        elif byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
            if deepest > MAX_DEPTH:
                break
        elif byte in b"]}":
            depth -= 1
    return deepest
