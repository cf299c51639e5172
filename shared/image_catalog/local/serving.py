"""The server of every part of the local stack: it starts and stops in the middle of an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, cast

import trustme
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from image_catalog.errors import PermanentError

__all__ = ["CLOSE_CONNECTION", "LoopbackServer", "close_connection"]

CLOSE_CONNECTION = "image_catalog.close_connection"
"""Key in ``scope["state"]`` under which `LoopbackServer` gives the call that drops the connection."""

_GRACE = timedelta(milliseconds=200)
"""What requests under way get at a stop; together with uvicorn's own ticks it stays under a second."""

_IDLE = timedelta(seconds=90)
"""How long a connection may stay idle. Longer than clients keep theirs: who sends on one that is being closed has to
send again, and may not where that would do something twice."""


def close_connection(scope: Scope) -> Callable[[], None] | None:
    """Return what drops the connection of a request, `None` where there is no connection."""
    return cast("Callable[[], None] | None", scope.get("state", {}).get(CLOSE_CONNECTION))


def _expected(record: logging.LogRecord) -> bool:
    return record.msg != "Invalid HTTP request received."


_LOGGER = logging.getLogger(__name__)
# Registry clients try TLS first; what a plain listener makes of it is no news.
_LOGGER.addFilter(_expected)


class _Protocol(H11Protocol):
    """HTTP/1.1 that lets the application drop its connection, which is how tests cut an answer short."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        self.logger = _LOGGER
        self.app_state = {**self.app_state, CLOSE_CONNECTION: transport.close}


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Signals belong to the program around us, which may run several servers.
        yield


class LoopbackServer:
    """Serve an ASGI application on a socket of this process, in the running event loop.

    Parameters
    ----------
    app
        The application; its lifespan is not run.
    host
        The address to listen on, and the name in `url`.
    port
        0 takes a free one at the first start and keeps it, so that a server
        that was stopped comes back at the same address.
    certificate
        TLS with a certificate for `host` and ``localhost`` that this authority
        issues; plain HTTP without.
    grace
        How long requests under way may go on at a stop.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        certificate: trustme.CA | None = None,
        grace: timedelta = _GRACE,
    ) -> None:
        self._app = app
        self._address = host
        self._port = port
        self._authority = certificate
        self._grace = grace
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self._thawed = asyncio.Event()
        self._thawed.set()

    @property
    def host(self) -> str:
        """``host:port``, as it stands in an image reference.

        Raises
        ------
        RuntimeError
            Before the first start with a free port.
        """
        if self._port == 0:
            raise RuntimeError("the port is known once the server has started")
        return f"{self._address}:{self._port}"

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"{'https' if self._authority is not None else 'http'}://{self.host}"

    @property
    def running(self) -> bool:
        """Whether it listens."""
        return self._serving is not None

    async def start(self) -> None:
        """Listen; when this returns a client can connect.

        Raises
        ------
        PermanentError
            When the port is taken.
        """
        listener = self._listen()
        # asyncio sets this only on sockets that name their protocol, which this one does not; without it an answer
        # in two segments waits some 40 ms for the client's acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._port = listener.getsockname()[1]
        config = uvicorn.Config(
            self._answer,
            interface="asgi3",
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=int(_IDLE.total_seconds()),
        )
        config.load()
        config.ssl = self._tls_context()
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        # The socket listens already: a client that connects before uvicorn looks waits in its queue.

    async def stop(self) -> None:
        """Stop listening, let requests under way end, and drop every connection."""
        if self._server is None or self._serving is None:
            return
        self._server.should_exit = True
        await asyncio.wait({self._serving}, timeout=self._grace.total_seconds())
        state = self._server.server_state
        self.drop_connections()
        await asyncio.sleep(0)
        for request in list(state.tasks):
            request.cancel()
        await self._serving
        self._server = self._serving = None

    def freeze(self) -> None:
        """Take requests and do nothing about them, as a process that hangs, until `thaw`."""
        self._thawed.clear()

    def thaw(self) -> None:
        """Go on, with the requests that came meanwhile too."""
        self._thawed.set()

    def drop_connections(self) -> int:
        """Break every connection, as a network does; whoever connects anew is served.

        Returns
        -------
        int
            How many there were.
        """
        connections = list(self._server.server_state.connections) if self._server is not None else []
        for connection in connections:
            cast("Any", connection).transport.abort()
        return len(connections)

    def _listen(self) -> socket.socket:
        try:
            return socket.create_server((self._address, self._port), reuse_port=False)
        except OSError as e:
            raise PermanentError(
                f"port {self._port} of {self._address} is taken: choose another one, or 0 for a free one ({e.strerror})"
            ) from e

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._thawed.wait()
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            # `stop` cancels requests whose client is already cut off; uvicorn would log each as a fault.
            if self._server is None or not self._server.should_exit:
                raise

    def _tls_context(self) -> ssl.SSLContext | None:
        if self._authority is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(self._address, "localhost").configure_cert(context)
        return context

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
