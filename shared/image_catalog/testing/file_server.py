"""A server of files that does what a test says with each request: whole, from the middle, cut, changed, refused."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from image_catalog.testing.threaded_server import ThreadedServer

__all__ = ["FileAnswer", "FileServer", "ServedRequest"]

_RANGE = re.compile(r"bytes=(\d+)-")


@dataclass(frozen=True, slots=True)
class ServedRequest:
    """A request that came.

    Attributes
    ----------
    path
        With its query.
    start
        First byte that was asked for.
    headers
        Names in lower case.
    """

    path: str
    start: int
    headers: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileAnswer:
    """What is done with a request.

    Attributes
    ----------
    cut_after
        Bytes after which the connection ends; `None` for all.
    status
        Another status than the right one, without a body.
    headers
        Other header fields than usual; an empty value leaves one out.
    change
        Makes other bytes of those that are sent.
    ignore_range
        Whether everything is sent, whatever was asked for.
    chunked
        Whether the length is not told.
    wait
        Waited for before the body goes on after `cut_after`, in place of a cut.
    """

    cut_after: int | None = None
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    change: Callable[[bytes], bytes] = bytes
    ignore_range: bool = False
    chunked: bool = False
    wait: threading.Event | None = None


class FileServer(ThreadedServer):
    """The server; it runs in a ``with`` block, on a free port of this machine.

    Attributes
    ----------
    files
        Content by path.
    script
        What is done with the next requests, one each; then they are answered as they should be.
    requests
        Those that came, in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, bytes] = {}
        self.script: list[FileAnswer] = []
        self.requests: list[ServedRequest] = []

    def put(self, path: str, content: bytes) -> str:
        """Serve a file, and return its digest."""
        self.files[path] = content
        return f"sha256:{hashlib.sha256(content).hexdigest()}"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        headers = {name.lower(): value for name, value in handler.headers.items()}
        asked = _RANGE.fullmatch(headers.get("range", ""))
        start = int(asked[1]) if asked else 0
        self.requests.append(ServedRequest(handler.path, start, headers))
        answer = self.script.pop(0) if self.script else FileAnswer()
        content = self.files.get(handler.path.partition("?")[0])
        etag = f'"{hashlib.md5(content or b"", usedforsecurity=False).hexdigest()}"'
        if headers.get("if-range", etag) != etag or answer.ignore_range:
            start = 0
        status = self._status(content, start, answer)
        body = b"" if content is None or status not in {200, 206} else answer.change(content[start:])
        told = {"ETag": etag, "Content-Length": str(len(body))}
        if status == 206:  # noqa: PLR2004 - partial content, in a server's own words
            told["Content-Range"] = f"bytes {start}-{start + len(body) - 1}/{len(content or b'')}"
        if answer.chunked:
            told |= {"Content-Length": "", "Connection": "close"}
        handler.send_response(status)
        for name, value in (told | answer.headers).items():
            if value:
                handler.send_header(name, value)
        handler.end_headers()
        self._send(handler, body, answer)

    def _status(self, content: bytes | None, start: int, answer: FileAnswer) -> int:
        if answer.status is not None:
            return answer.status
        if content is None:
            return 404
        return 416 if start and start >= len(content) else 206 if start else 200

    def _send(self, handler: BaseHTTPRequestHandler, body: bytes, answer: FileAnswer) -> None:
        cut = answer.cut_after
        handler.wfile.write(body if cut is None else body[:cut])
        handler.close_connection = handler.close_connection or cut is not None or answer.chunked
        if answer.wait is not None and cut is not None:
            handler.wfile.flush()
            answer.wait.wait(timeout=30)
            handler.wfile.write(body[cut:])
