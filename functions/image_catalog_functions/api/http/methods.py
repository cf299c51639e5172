"""What the framework itself refuses: paths that are not there, methods that a path does not take."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from image_catalog_functions.api.http.asgi import Scope
from image_catalog_functions.api.http.problems import Problem, ProblemReason, respond

__all__ = ["answer"]

_ALL = ("GET", "POST", "PUT", "PATCH", "DELETE")


async def answer(request: Request, error: Exception) -> Response:
    """Answer 404 and 405 as problems, and OPTIONS with what a path takes (RFC 9110, section 9.3.7)."""
    assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for nothing else
    path = request.url.path
    taken = _methods(request.app.router.routes, request.scope)
    if not taken:
        detail = f"there is nothing at {path[:200]}; /openapi.json and /docs say what there is"
        return respond(Problem(404, ProblemReason.NOT_FOUND, detail, details={"path": path[:200]}), path)
    allow = ", ".join(taken)
    if request.method == "OPTIONS":
        return Response(status_code=204, headers={"Allow": allow})
    return respond(
        Problem(
            405,
            ProblemReason.METHOD_NOT_ALLOWED,
            f"{request.method} is not taken here; allowed are {allow}",
            details={"method": request.method, "allowed": taken},
            headers={"Allow": allow},
        ),
        path,
    )


def _methods(routes: Iterable[Any], scope: Scope) -> list[str]:
    """Return the methods that a path takes."""
    taken = [
        method
        for method in _ALL
        if any(route.matches({**scope, "method": method})[0] is Match.FULL for route in routes)
    ]
    return [*taken, *(["HEAD"] if "GET" in taken else []), "OPTIONS"] if taken else []
