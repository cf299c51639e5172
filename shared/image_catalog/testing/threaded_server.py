"""An HTTP server in threads of its own, for clients that block: on a free port, ended with the ``with`` block."""

from __future__ import annotations

import ssl
import threading
from abc import ABC, abstractmethod
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

__all__ = ["ThreadedServer"]


class ThreadedServer(ABC):
    """The server; a class of it says in `answer` what is answered.

    Parameters
    ----------
    tls
        What it proves itself with; plain HTTP when absent.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        served = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except (ConnectionError, ssl.SSLError):
                    self.close_connection = True

            def do_GET(self) -> None:
                served.answer(self)

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

    @abstractmethod
    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""

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


class _Server(ThreadingHTTPServer):
    # A client that keeps its connection must not keep the server from ending.
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Leave a broken connection, or a handshake that fails, to the client to tell."""
