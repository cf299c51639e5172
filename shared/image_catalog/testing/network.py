"""A small internet in process: a server for each origin, and a list of who was asked for what.

A client that may follow a redirect or a realm anywhere is only tested by a net
in which "anywhere" exists, and tells who came.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import httpx
from starlette.types import ASGIApp, Message

from image_catalog.registry.hosts import Security

__all__ = ["Handler", "Network", "ask_app"]

Handler = Callable[[httpx.Request], httpx.Response | Awaitable[httpx.Response]]
"""A server as a function of one request."""


class Network(httpx.AsyncBaseTransport):
    """Servers by origin; any other host cannot be reached.

    Attributes
    ----------
    requests
        Every request that was sent, in order.
    kinds
        The kinds of connection that were asked for: what they must be like,
        and through which proxy.
    """

    def __init__(self) -> None:
        self._servers: dict[str, Handler] = {}
        self.requests: list[httpx.Request] = []
        self.kinds: list[tuple[Security, str | None]] = []

    def serve(self, origin: str, handler: Handler) -> None:
        """Put a function behind an origin.

        Parameters
        ----------
        origin
            ``scheme://host[:port]``, without the scheme's default port.
        handler
            Answers its requests.
        """
        self._servers[origin] = handler

    def serve_app(self, origin: str, app: ASGIApp) -> None:
        """Put an application behind an origin.

        Parameters
        ----------
        origin
            ``scheme://host[:port]``, without the scheme's default port.
        app
            Answers its requests.
        """
        self._servers[origin] = partial(ask_app, app)

    def connect(self, security: Security, proxy: str | None) -> httpx.AsyncBaseTransport:
        """Stand in for `image_catalog.registry.connect`.

        Parameters
        ----------
        security
            What the connections must be like.
        proxy
            URL of the egress proxy.
        """
        self.kinds.append((security, proxy))
        return self

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Write a request down and let its server answer.

        Parameters
        ----------
        request
            The request.

        Raises
        ------
        httpx.ConnectError
            Raised if nobody serves its origin.
        """
        self.requests.append(request)
        server = self._servers.get(f"{request.url.scheme}://{request.url.netloc.decode()}")
        if server is None:
            raise httpx.ConnectError(f"nobody serves {request.url.host}")
        answer: Any = server(request)
        return answer if isinstance(answer, httpx.Response) else await answer

    def asked(self) -> list[str]:
        """Return ``METHOD host/path`` of every request."""
        return [f"{request.method} {request.url.host}{request.url.path}" for request in self.requests]

    def shown(self, host: str) -> set[str]:
        """Return every ``Authorization`` header that a host has seen.

        Parameters
        ----------
        host
            The host, without a port.
        """
        return {
            value
            for request in self.requests
            if request.url.host == host and (value := request.headers.get("authorization"))
        }


async def ask_app(app: ASGIApp, request: httpx.Request) -> httpx.Response:
    """Call an application with one request, as httpx's own transport does, which costs three times as much.

    Parameters
    ----------
    app
        The application; what it raises is raised.
    request
        The request.
    """
    body, url = await request.aread(), request.url
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "scheme": url.scheme,
        "path": url.path,
        "raw_path": url.raw_path.split(b"?")[0],
        "query_string": url.query,
        "server": (url.host, url.port),
        "client": ("127.0.0.1", 123),
        "root_path": "",
    }
    status, headers, chunks = 500, list[tuple[bytes, bytes]](), list[bytes]()
    asked = False
    answered = asyncio.Event()

    async def receive() -> Message:
        nonlocal asked
        if asked:
            await answered.wait()
            return {"type": "http.disconnect"}
        asked = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status, headers = message["status"], list(message.get("headers", ()))
            return
        if request.method != "HEAD":
            chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            answered.set()

    await app(scope, receive, send)
    return httpx.Response(status, headers=headers, stream=httpx.ByteStream(b"".join(chunks)))
