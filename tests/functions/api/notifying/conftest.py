"""The API as registries see it, with the catalog's broker behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import pytest

from image_catalog.events import EventType
from image_catalog.local.knative import CloudEvent, read_event
from image_catalog.testing.world import World

PATH = "/api/v1alpha1/catalog/notifications"


@dataclass
class Listening:
    """The API, and what it asked for.

    Attributes
    ----------
    world
        The cluster, the functions and the registry.
    events
        What the API has given to the broker, in order.
    refusing
        Whether the broker takes nothing, or nothing about one entry.
    silent
        Whether it takes what it gets without a word.
    """

    world: World
    events: list[CloudEvent] = field(default_factory=list)
    refusing: bool | str = False
    silent: bool = False
    _api: httpx.AsyncClient = field(default_factory=httpx.AsyncClient)

    def broker(self, request: httpx.Request) -> httpx.Response:
        """Take an event for the catalog's functions."""
        event = read_event(dict(request.headers), request.content)
        if self.refusing is True or self.refusing == event.subject:
            return httpx.Response(503)
        self.events.append(event)
        self.world.pipeline.take(event)
        if self.silent:
            raise httpx.ReadTimeout("no answer", request=request)
        return httpx.Response(202)

    async def tell(self, body: Any, token: str | None = None, *, registry: str = "quay", **options: Any) -> Any:
        """Send a notification; bytes as they are, all else as JSON."""
        headers = options.pop("headers", {}) | ({} if token is None else {"authorization": f"Bearer {token}"})
        content = {"content": body} if isinstance(body, bytes) else {"json": body}
        return await self._api.post(f"{PATH}/{registry}", headers=headers, **content, **options)

    @property
    def checked(self) -> list[str]:
        """Entries that checks were asked for of, in order."""
        assert {event.type for event in self.events} <= {str(EventType.VERIFICATION_REQUESTED)}
        return [event.subject.partition("/")[2] for event in self.events if event.subject]


@pytest.fixture
def open_listening(
    world: World, open_api: Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]
) -> Callable[..., AbstractAsyncContextManager[Listening]]:
    """Return what runs the API with settings of its own."""

    @asynccontextmanager
    async def opened(**settings: Any) -> AsyncIterator[Listening]:
        listening = Listening(world)
        async with open_api(world, listening.broker, **settings) as api:
            listening._api = api
            yield listening

    return opened


@pytest.fixture
async def listening(open_listening: Callable[..., AbstractAsyncContextManager[Listening]]) -> AsyncIterator[Listening]:
    """Run the API; a test ends long before an entry may be asked for again."""
    async with open_listening(notification_interval=timedelta(hours=1)) as listening:
        yield listening
