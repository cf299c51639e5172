"""A catalog API that answers what a test scripts, over real HTTP: for clients, without a catalog behind it."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from image_catalog.testing.threaded_server import ThreadedServer

__all__ = ["BASE", "ScriptedAnswer", "ScriptedCatalog", "ScriptedRequest", "problem"]

BASE = "/api/v1alpha1/catalog"
"""What every path of the API starts with; scripts leave it out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedRequest:
    """A request that came.

    Attributes
    ----------
    method, path
        The call; the path without `BASE`.
    parameters
        Its query parameters; of one that is given more than once the last.
    query
        The same as they came.
    headers
        Its header fields; names in lower case.
    body
        Its JSON; `None` if it has no body.
    """

    method: str
    path: str
    parameters: Mapping[str, str]
    query: str
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True, slots=True)
class ScriptedAnswer:
    """What is answered.

    Attributes
    ----------
    status
        HTTP status.
    body
        JSON, or text as it is.
    headers
        More header fields, or others than usual.
    """

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


Script = ScriptedAnswer | list[ScriptedAnswer] | Callable[[ScriptedRequest], ScriptedAnswer]


def problem(status: int, reason: str, detail: str, **details: Any) -> ScriptedAnswer:
    """Return a refusal as the API gives it."""
    body = {"type": "about:blank", "title": reason, "status": status, "detail": detail, "reason": reason}
    return ScriptedAnswer(
        status,
        {**body, "error": reason, "message": detail, "details": details},
        {"Content-Type": "application/problem+json"},
    )


class ScriptedCatalog(ThreadedServer):
    """The server; it runs in a ``with`` block, on a free port of this machine.

    Parameters
    ----------
    tls
        What it proves itself with; plain HTTP when absent.

    Attributes
    ----------
    answers
        By method and path: an answer, a list of answers (the last one is given again and again), or a function.
    requests
        Those that came, in order.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls=tls)
        self.answers: dict[tuple[str, str], Script] = {}
        self.requests: list[ScriptedRequest] = []

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        length = int(handler.headers.get("content-length") or 0)
        content = handler.rfile.read(length)
        parts = urlsplit(handler.path)
        request = ScriptedRequest(
            method=handler.command,
            path=parts.path.removeprefix(BASE),
            parameters=dict(parse_qsl(parts.query)),
            query=parts.query,
            headers={name.lower(): value for name, value in handler.headers.items()},
            body=json.loads(content) if content else None,
        )
        self.requests.append(request)
        answer = self._scripted(request)
        body = b"" if answer.body is None else _encoded(answer.body)
        handler.send_response(answer.status)
        fields = {"Content-Type": "application/json", "Content-Length": str(len(body)), **answer.headers}
        for name, value in fields.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    def _scripted(self, request: ScriptedRequest) -> ScriptedAnswer:
        script = self.answers.get((request.method, request.path))
        if script is None:
            return problem(404, "NotFound", f"nothing is scripted for {request.method} {request.path}")
        if isinstance(script, list):
            return script.pop(0) if len(script) > 1 else script[0]
        return script if isinstance(script, ScriptedAnswer) else script(request)


def _encoded(body: Any) -> bytes:
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()
