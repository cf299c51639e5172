"""A catalog API that answers what a test scripts, over real HTTP: for clients, without a catalog behind it."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

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


class ScriptedCatalog:
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
        self.answers: dict[tuple[str, str], Script] = {}
        self.requests: list[ScriptedRequest] = []
        catalog = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except (ConnectionError, ssl.SSLError):
                    self.close_connection = True

            def do_GET(self) -> None:
                catalog._answer(self)

            do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - the base class names its methods so

            def log_message(self, *_: object) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._scheme = "http" if tls is None else "https"
        if tls is not None:
            # The handshake is made by each connection's own thread, so that one that fails ends no other.
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Its address."""
        return f"{self._scheme}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        # It looks every poll_interval whether it is to end.
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
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


class _Server(ThreadingHTTPServer):
    # A client that keeps its connection must not keep the server from ending.
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Leave a broken connection, or a handshake that fails, to the client to tell."""


def _encoded(body: Any) -> bytes:
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()
