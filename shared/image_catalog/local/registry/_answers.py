"""What every answer of the registry has in common.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["API_VERSION", "HeadWithoutBody", "empty", "error_answer", "is_unchanged", "json_answer", "page"]

API_VERSION = {"Docker-Distribution-Api-Version": "registry/2.0"}
_JSON = "application/json; charset=utf-8"


def json_answer(document: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer a JSON document as the distribution server writes it: compact, a line feed at the end."""
    body = json.dumps(document, separators=(",", ":")).encode() + b"\n"
    return Response(body, status, headers={**API_VERSION, **(headers or {}), "Content-Type": _JSON})


def empty(status: int, headers: Mapping[str, str] | None = None) -> Response:
    """Answer without a body."""
    return Response(None, status, headers={**API_VERSION, **(headers or {})})


def error_answer(
    status: int, code: str, message: str, detail: Any = None, *, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer the specification's error document.

    Parameters
    ----------
    status
        HTTP status code.
    code
        One of the specification's codes, ``MANIFEST_UNKNOWN`` for example.
    message
        One sentence for people.
    detail
        Anything that helps; left out when `None`.
    headers
        Further headers.
    """
    entry = {"code": code, "message": message} | ({} if detail is None else {"detail": detail})
    return json_answer({"errors": [entry]}, status=status, headers=headers)


def is_unchanged(request: Request, digest: str) -> bool:
    """Tell whether ``If-None-Match`` names the digest, quoted or not."""
    return request.headers.get("if-none-match", "").strip('"') == digest


def page(request: Request, names: list[str]) -> tuple[list[str], dict[str, str]] | None:
    """Cut one page out of a sorted list, as ``n`` and ``last`` ask.

    Returns
    -------
    tuple or None
        The names and the ``Link`` header where there is more; `None` when
        ``n`` is no number.
    """
    last, wanted = request.query_params.get("last"), request.query_params.get("n")
    rest = names if last is None else [name for name in names if name > last]
    if wanted is None:
        return rest, {}
    if not wanted.isascii() or not wanted.isdigit():
        return None
    count = int(wanted)
    if count == 0 or count >= len(rest):
        return rest[:count], {}
    query = urlencode({"last": rest[count - 1], "n": count})
    return rest[:count], {"Link": f'<{request.url.path}?{query}>; rel="next"'}


class HeadWithoutBody:
    """Send no body where HEAD was asked, and leave the headers as they are.

    A server does this too, but in process there is none.

    Parameters
    ----------
    app
        Answers HEAD as it answers GET.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and drop what follows the headers."""

        async def bare(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        await self._app(scope, receive, bare if scope.get("method") == "HEAD" else send)
