"""The server: one process, one event loop, from the first request to the last."""

from __future__ import annotations

import asyncio
import signal
import socket
from datetime import timedelta
from typing import Final

import structlog
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from image_catalog_functions.api.http.asgi import ASGIApp

__all__ = ["serve"]

logger = structlog.get_logger(__name__)

_BACKLOG: Final = 2048
"""Connections that the kernel holds while we are busy; it caps this at net.core.somaxconn."""

_CONNECTIONS: Final = 4096
"""Connections that are served at once: what comes beyond waits in the backlog, and costs no memory of ours."""

_DRAIN: Final = timedelta(seconds=20)
"""How long requests in flight may last after the signal to stop; Kubernetes kills 30 s after it, if not later."""

_HEADERS: Final = timedelta(seconds=15)
"""How long a client may take for its header fields, and may stay silent between two requests."""

_HEADER_BYTES: Final = 64 * 1024
"""Room for the header fields: a token is 16 KiB at most."""


async def serve(
    app: ASGIApp, *, host: str, port: int, drain: timedelta = _DRAIN, stopping: asyncio.Event | None = None
) -> None:
    """Serve an application until the process is told to stop.

    After SIGTERM or SIGINT no connection is taken any more, and the requests in
    flight may end. One whose client does not read its answer is cut off in the
    end: what is left to be written must not be lost for it.

    Parameters
    ----------
    app
        What is served; its life is the caller's.
    host
        Name or address to listen on.
    port
        Where to listen; 0 takes a free port.
    drain
        How long requests in flight may last after the signal.
    stopping
        Set at the signal, for requests that would last until their clients leave.
    """
    address, number = _resolved(host, port)
    server = Server(
        app,
        address=address,
        port=number,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        websockets=False,
        backlog=_BACKLOG,
        backpressure=_CONNECTIONS,
        log_enabled=False,
        http1_settings=HTTP1Settings(
            header_read_timeout=int(_HEADERS.total_seconds() * 1000), max_buffer_size=_HEADER_BYTES
        ),
    )
    stopping, loop = stopping or asyncio.Event(), asyncio.get_running_loop()
    for number_of_signal in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number_of_signal, stopping.set)
    serving = asyncio.ensure_future(server.serve())
    told = asyncio.ensure_future(stopping.wait())
    logger.info("API listening", host=address, port=number)
    await asyncio.wait((serving, told), return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    server.stop()  # type: ignore[no-untyped-call]  # granian leaves it without types
    await asyncio.wait((serving,), timeout=drain.total_seconds())
    if not serving.done():
        logger.warning("requests cut off", after_seconds=drain.total_seconds())
        serving.cancel()
        await asyncio.wait((serving,))
    else:
        serving.result()
    logger.info("API stopped")


def _resolved(host: str, port: int) -> tuple[str, int]:
    """Return the numeric address: the server takes no names, and cannot say which free port it found."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    if port:
        return str(address[0]), port
    with socket.socket(family) as probe:
        probe.bind(address)
        return str(address[0]), int(probe.getsockname()[1])
