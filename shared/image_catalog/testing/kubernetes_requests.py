"""Plain requests to the embedded Kubernetes API in process: no socket, no client library in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, MutableMapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import httpx
import orjson
from starlette.applications import Starlette

from image_catalog.local.kubernetes import Cluster, create_app

__all__ = ["KubernetesRequests", "OpenWatch"]

_PATIENCE = timedelta(seconds=5)
"""How long an event may take; what takes longer hangs."""


class OpenWatch:
    """A watch that is under way.

    Attributes
    ----------
    status
        HTTP status code of the answer.
    patience
        How long an event may take.
    """

    def __init__(self) -> None:
        self.status = 0
        self.patience = _PATIENCE
        self.lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.started = asyncio.Event()
        self.left = asyncio.Event()

    async def event(self) -> dict[str, Any]:
        """Return the next event; EOFError when the watch has ended."""
        async with asyncio.timeout(self.patience.total_seconds()):
            line = await self.lines.get()
        if line is None:
            raise EOFError("the watch has ended")
        event: dict[str, Any] = orjson.loads(line)
        return event

    async def events(self, count: int) -> list[tuple[str, str]]:
        """Return the type and the object's name of the next events."""
        found = [await self.event() for _ in range(count)]
        return [(event["type"], event["object"]["metadata"].get("name", "")) for event in found]


class KubernetesRequests:
    """Asks an embedded cluster as one user.

    Parameters
    ----------
    cluster
        Who is asked.
    token
        Bearer token; the administrator's when it is not given, none when it is empty.
    """

    def __init__(self, cluster: Cluster, *, token: str | None = None) -> None:
        self.cluster = cluster
        self._app: Starlette = create_app(cluster)
        self._token = cluster.admin_token if token is None else token

    def as_account(self, namespace: str, name: str) -> KubernetesRequests:
        """Ask the same cluster as a service account."""
        return KubernetesRequests(self.cluster, token=self.cluster.service_account_token(namespace, name))

    async def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
    ) -> httpx.Response:
        """Send one request.

        Parameters
        ----------
        body
            Sent as JSON; as a merge patch by PATCH, unless the headers say otherwise.
        raw
            Sent as it is, in place of `body`.
        """
        content = orjson.dumps(body) if body is not None else raw
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        sent = {"Content-Type": kind, **self._credentials(), **(headers or {})}
        transport = httpx.ASGITransport(self._app)
        async with httpx.AsyncClient(transport=transport, base_url="https://embedded") as client:
            return await client.request(method, path, content=content, headers=sent)

    @asynccontextmanager
    async def watch(self, path: str, *, accept: str = "application/json") -> AsyncIterator[OpenWatch]:
        """Watch, and leave as a client that closes its connection does."""
        watch = OpenWatch()
        task = asyncio.create_task(self._serve(watch, path, accept))
        try:
            async with asyncio.timeout(_PATIENCE.total_seconds()):
                await watch.started.wait()
            yield watch
        finally:
            watch.left.set()
            await task

    def _credentials(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    async def _serve(self, watch: OpenWatch, path: str, accept: str) -> None:
        plain, _, query = path.partition("?")
        headers = {**self._credentials(), "Accept": accept}
        scope: MutableMapping[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "https",
            "path": unquote(plain),
            "raw_path": plain.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        }
        asked = False

        async def receive() -> MutableMapping[str, Any]:
            nonlocal asked
            if not asked:
                asked = True
                return {"type": "http.request", "body": b"", "more_body": False}
            await watch.left.wait()
            return {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                watch.status = message["status"]
                watch.started.set()
            elif message.get("body"):
                watch.lines.put_nowait(message["body"])
            elif not message.get("more_body"):
                watch.lines.put_nowait(None)

        await self._app(scope, receive, send)
