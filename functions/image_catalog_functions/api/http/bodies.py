"""Bodies of requests, read within limits."""

from __future__ import annotations

import asyncio
from typing import Any, Final, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from image_catalog_functions.api.http.problems import Problem, ProblemReason

__all__ = ["MAX_BODY_BYTES", "MAX_DEPTH", "parse_json", "read_body", "read_json"]

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
    _check_media_type(request)
    body = await read_body(request, seconds=seconds)
    data = parse_json(body)
    try:
        return model.model_validate(data)
    except ValidationError as e:
        raise _refused(e) from e


async def read_body(request: Request, *, limit: int = MAX_BODY_BYTES, seconds: float = _SECONDS) -> bytes:
    """Read a request's body, and stop where it grows too large.

    Parameters
    ----------
    request
        The request; its body has not been read.
    limit
        Largest body, in bytes.
    seconds
        Longest time that the body may take.

    Raises
    ------
    Problem
        413 ``BodyTooLarge``; 408 ``BodyTooSlow``, also for a client that breaks off.
    """
    too_large = Problem(
        413,
        ProblemReason.BODY_TOO_LARGE,
        f"the body is larger than {limit} bytes",
        details={"allowed": {"maxBytes": limit}},
        headers={"Connection": "close"},
    )
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise too_large
    except (ClientDisconnect, TimeoutError) as e:
        detail = f"the body did not come whole within {seconds:g} seconds"
        raise Problem(408, ProblemReason.BODY_TOO_SLOW, detail, headers={"Connection": "close"}) from e
    return bytes(body)


def parse_json(body: bytes) -> Any:
    """Return what a body says.

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
        return orjson.loads(body)
    except orjson.JSONDecodeError as e:
        raise Problem(400, ProblemReason.INVALID_BODY, f"the body is not JSON: {e}") from e


def _check_media_type(request: Request) -> None:
    sent = request.headers.get("content-type", "")
    essence = sent.partition(";")[0].strip().lower()
    if essence in _JSON_TYPES or (essence.startswith("application/") and essence.endswith("+json")):
        return
    said = f"Content-Type {sent[:100]!r} is not" if sent else "no Content-Type is not"
    raise Problem(
        415,
        ProblemReason.UNSUPPORTED_MEDIA_TYPE,
        f"{said} application/json",
        details={"header": "Content-Type", "allowed": list(_JSON_TYPES)},
        headers={"Accept-Post": ", ".join(_JSON_TYPES)},
    )


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


def _refused(error: ValidationError) -> Problem:
    # Neither input nor context is told: a value that was put into the wrong field may be a secret.
    errors = error.errors(include_url=False, include_input=False, include_context=False)
    violations = [{"path": _path(each["loc"]), "message": each["msg"].removeprefix("Value error, ")} for each in errors]
    said = "; ".join(f"{v['path']}: {v['message']}" for v in violations[:5])
    return Problem(
        400, ProblemReason.INVALID_BODY, f"the body breaks its schema: {said}", details={"violations": violations}
    )


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path or "body"
