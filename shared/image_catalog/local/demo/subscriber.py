"""Somebody who subscribes to every catalog event, as anybody may: a Trigger and an HTTP endpoint."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from image_catalog.events import PREFIX, RawEvent, parse_event
from image_catalog.local.serving import LoopbackServer

__all__ = ["EventSubscriber"]

_NAME = "subscriber"
_ENOUGH = timedelta(seconds=20)


class EventSubscriber(LoopbackServer):
    """Keeps every catalog event once, whatever the broker delivers twice.

    Attributes
    ----------
    events
        The events in the order in which they came.
    """

    def __init__(self) -> None:
        self.events: list[RawEvent] = []
        self._ids: set[str] = set()
        self._arrived = asyncio.Event()
        super().__init__(Starlette(routes=[Route("/", self._receive, methods=["POST"])]))

    @property
    def services(self) -> dict[str, str]:
        """The Service that the Trigger names, and where it listens."""
        return {_NAME: self.url}

    @property
    def documents(self) -> tuple[dict[str, Any], ...]:
        """The Trigger and Service, as a team would apply them."""
        metadata = {"name": _NAME, "namespace": "image-catalog"}
        reference = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": _NAME}
        service = {"template": {"spec": {"containers": [{"image": "example"}]}}}
        trigger = {
            "broker": "image-catalog",
            "filters": [{"prefix": {"type": PREFIX}}],
            "subscriber": {"ref": {**reference, "namespace": "image-catalog"}},
        }
        return (
            {"apiVersion": reference["apiVersion"], "kind": "Service", "metadata": metadata, "spec": service},
            {"apiVersion": "eventing.knative.dev/v1", "kind": "Trigger", "metadata": metadata, "spec": trigger},
        )

    def counts(self) -> Counter[str]:
        """Count the events by type, without the catalog's prefix."""
        return Counter(event.attributes["type"].removeprefix(PREFIX) for event in self.events)

    def find(self, short_type: str, subject: str | None = None, *, since: int = 0) -> list[RawEvent]:
        """Return events of a type.

        Parameters
        ----------
        short_type
            The type without the catalog's prefix.
        subject
            Only those about this ``namespace/name``.
        since
            Only those after so many events.
        """
        return [
            event
            for event in self.events[since:]
            if event.attributes["type"] == PREFIX + short_type and subject in {None, event.attributes.get("subject")}
        ]

    async def first(self, short_type: str, subject: str, *, since: int = 0) -> dict[str, Any]:
        """Wait for an event and return its data; empty when it does not come in time."""
        await self.wait_for(lambda: bool(self.find(short_type, subject, since=since)))
        found = self.find(short_type, subject, since=since)
        return dict(found[0].json()) if found else {}

    async def wait_for(self, ready: Callable[[], bool]) -> bool:
        """Wait until a condition on the events holds; false when it does not in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ENOUGH.total_seconds()):
                while not ready():
                    self._arrived.clear()
                    await self._arrived.wait()
        return ready()

    async def _receive(self, request: Request) -> Response:
        event = parse_event(dict(request.headers), await request.body())
        number = event.attributes["id"]
        if number not in self._ids:
            self._ids.add(number)
            self.events.append(event)
            self._arrived.set()
        return Response(status_code=204)
