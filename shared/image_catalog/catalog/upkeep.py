"""What the audit function remembers between two events: what it has said, and when it last removed old records."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

__all__ = ["Upkeep"]

_EVERY: Final = timedelta(minutes=10)
"""Between two removals, each of a part: together they remove more in an hour than comes in."""

_KEPT: Final = 4096
"""Words that are remembered; the broker gives a dead letter up within minutes."""


class Upkeep:
    """Decides when old records go, and what has been said already.

    Parameters
    ----------
    retention
        How long records are kept; `None` for ever.
    clock
        Tells the time.
    """

    def __init__(self, *, retention: timedelta | None, clock: Callable[[], datetime]) -> None:
        self._retention = retention
        self._clock = clock
        self._last: datetime | None = None
        self._said: dict[str, None] = {}

    def due(self) -> timedelta | None:
        """Return how old records are that go now; `None` while it is not time, or where all are kept."""
        now = self._clock()
        if self._retention is None or (self._last is not None and now - self._last < _EVERY):
            return None
        self._last = now
        return self._retention

    def is_news(self, what: str) -> bool:
        """Return whether something is said for the first time, as far as is remembered."""
        if what in self._said:
            return False
        self._said[what] = None
        if len(self._said) > _KEPT:
            del self._said[next(iter(self._said))]
        return True
