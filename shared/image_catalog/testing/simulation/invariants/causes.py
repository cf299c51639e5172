"""Which events were given to functions, and what they asked for."""

from __future__ import annotations

from typing import Any

import orjson

from image_catalog.events import EventType
from image_catalog.testing.simulation.invariants.records import AttemptSeen

__all__ = ["Causes"]


class Causes:
    """Remembers every event that was given to a function, under its id."""

    def __init__(self) -> None:
        self._given: dict[str, AttemptSeen] = {}

    def add(self, attempt: AttemptSeen) -> None:
        """Remember an event."""
        self._given.setdefault(attempt.event.id, attempt)

    def request(self, cause: str | None) -> dict[str, Any] | None:
        """Return the data of a request by which somebody asked for a publication; `None` for any other cause."""
        given = self._given.get(cause or "")
        if given is None or given.event.type != EventType.PUBLISH_REQUESTED:
            return None
        data = orjson.loads(given.event.data)
        return None if data.get("automatic") else dict(data)

    def is_known(self, cause: str | None) -> bool:
        """Whether a function was given an event of this id."""
        return cause in self._given

    def requests(self) -> list[dict[str, Any]]:
        """Return the data of every request by which somebody asked for a publication."""
        return [data for cause in self._given if (data := self.request(cause)) is not None]
