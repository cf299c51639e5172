"""Functions under the real functions-framework, in this process, and a broker's ingress for what they emit."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
from functions_framework.aio import create_asgi_app

from image_catalog.events import EventSink, EventType, TokenReviewer

__all__ = ["BrokerIngress", "SampleContext", "SampleFunction", "load_function"]


@dataclass
class BrokerIngress:
    """Takes events as a broker does; the handler of an `httpx.MockTransport`.

    Attributes
    ----------
    status
        What it answers.
    refusals
        Raised, one per request, before anything is taken.
    received
        What it has taken.
    """

    status: int = 202
    refusals: list[Exception] = field(default_factory=list)
    received: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Take a request, or fail as the connection would."""
        if self.refusals:
            raise self.refusals.pop(0)
        self.received.append(request)
        return httpx.Response(self.status)

    @property
    def types(self) -> list[str]:
        """Types of what it has taken, in order."""
        return [request.headers["ce-type"] for request in self.received]


@dataclass
class SampleContext:
    """A context whose life can be watched."""

    sink: EventSink | None
    reviewer: TokenReviewer | None = None
    closed: bool = False
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    async def ready(self) -> None:
        """Be ready."""

    async def aclose(self) -> None:
        """Close the sink."""
        self.closed = True
        if self.sink is not None:
            await self.sink.aclose()


@dataclass
class SampleFunction:
    """A function whose handler and context a test supplies.

    Attributes
    ----------
    client
        Asks the function over ASGI.
    module
        The module that the framework loaded.
    context
        What the function is given, unless `build` says otherwise.
    ingress
        What the sink of `context` talks to.
    handle, build
        Stand for the handler and for the factory of the context.
    """

    client: httpx.AsyncClient
    module: ModuleType
    context: SampleContext
    ingress: BrokerIngress
    handle: Callable[[Any, Any], Awaitable[Any]] | None = None
    build: Callable[[], Awaitable[SampleContext]] | None = None
    builds: int = 0
    events: list[Any] = field(default_factory=list)

    async def on_build(self) -> SampleContext:
        """Give the function its context, and count how often."""
        self.builds += 1
        return await self.build() if self.build else self.context

    async def on_event(self, event: Any, context: Any) -> Any:
        """Handle an event, and keep it."""
        self.events.append(event)
        return await self.handle(event, context) if self.handle else []

    async def post(self, data: Any, *, event_type: str = EventType.PUBLISH_REQUESTED, **headers: str) -> httpx.Response:
        """Send an event in binary mode; the keyword ``ce_kind`` is the header ``ce-kind``."""
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        fields = {
            "ce-specversion": "1.0",
            "ce-id": "cause-1",
            "ce-source": "/tests",
            "ce-type": str(event_type),
            "content-type": "application/json",
        }
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post("/", content=body, headers=fields)


@asynccontextmanager
async def load_function(source: Path) -> AsyncIterator[tuple[httpx.AsyncClient, ModuleType]]:
    """Load a function as the framework does, and give a client for it and its module.

    Parameters
    ----------
    source
        The function's ``main.py``.
    """
    # The framework adds the folder to the path and the module to the modules, for good.
    path, name = list(sys.path), source.stem
    before = sys.modules.get(name)
    try:
        app = create_asgi_app(target="main", source=str(source))
        module = sys.modules[name]
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://function.test") as client:
            yield client, module
        await module.main.aclose()
    finally:
        sys.path[:] = path
        sys.modules.pop(name, None)
        if before is not None:
            sys.modules[name] = before
