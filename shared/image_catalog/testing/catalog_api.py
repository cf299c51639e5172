"""The catalog's API by script: a server over loopback that answers what a test says, and keeps what it was asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

__all__ = ["Asked", "ScriptedAnswer", "ScriptedCatalog", "problem", "scripted_catalog"]

BASE = "/api/v1alpha1/catalog"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came.

    Attributes
    ----------
    method
        HTTP method.
    path
        Behind the API's base path, without its query.
    query
        Query parameters.
    headers
        Header fields by lower-case name.
    document
        Body; `None` where there was none.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    document: Any


@dataclass(frozen=True, slots=True)
class ScriptedAnswer:
    """An answer.

    Attributes
    ----------
    document
        Body; `None` for none.
    status
        HTTP status.
    headers
        Header fields beside ``Content-Type``.
    before
        Is called before the answer is sent, in the server's thread.
    """

    document: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    before: Callable[[], object] = lambda: None


def problem(
    status: int, reason: str, detail: str, *, headers: Mapping[str, str] | None = None, **details: Any
) -> ScriptedAnswer:
    """Return a refusal as the API makes them (RFC 9457).

    Parameters
    ----------
    status, reason, detail
        What is refused, and why.
    headers
        ``Retry-After`` for example.
    **details
        The extension member ``details``.
    """
    document = {"type": "about:blank", "status": status, "detail": detail, "reason": reason, "details": details}
    document |= {"error": reason, "message": detail}
    return ScriptedAnswer(document, status, {"Content-Type": "application/problem+json", **(headers or {})})


class ScriptedCatalog:
    """What is answered to whom; what nobody has written an answer for is 404.

    Parameters
    ----------
    url
        Where it listens.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[Asked] = []
        self._script: dict[tuple[str, str], list[ScriptedAnswer]] = {}

    def answer(self, method: str, path: str, *answers: ScriptedAnswer | Mapping[str, Any]) -> None:
        """Say what is answered; the last answer is given again and again.

        Parameters
        ----------
        method, path
            The request; the path behind the API's base path.
        *answers
            Whole answers, or documents that are answered with 200.
        """
        self._script[method, path] = [a if isinstance(a, ScriptedAnswer) else ScriptedAnswer(a) for a in answers]

    def take(self, asked: Asked) -> ScriptedAnswer:
        """Return the next answer to a request, and keep the request."""
        self.requests.append(asked)
        answers = self._script.get((asked.method, asked.path))
        if not answers:
            return problem(404, "NotFound", f"nothing is scripted for {asked.method} {asked.path}")
        return answers.pop(0) if len(answers) > 1 else answers[0]


@contextmanager
def scripted_catalog() -> Iterator[ScriptedCatalog]:
    """Serve a script on a free port of the loopback interface."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            document = json.loads(body) if body else None
            path = parts.path.removeprefix(BASE)
            answer = catalog.take(Asked(self.command, path, dict(parse_qsl(parts.query)), headers, document))
            answer.before()
            content = b"" if answer.document is None else json.dumps(answer.document).encode()
            self.send_response(answer.status)
            for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            if answer.status not in {204, 304}:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - the names that http.server calls

        def log_message(self, *_: object) -> None:
            """Keep silent: what was asked is in `ScriptedCatalog.requests`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    catalog = ScriptedCatalog(f"http://127.0.0.1:{server.server_address[1]}")
    # A client that is gone before its answer is part of what is tested, and no news.
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield catalog
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
