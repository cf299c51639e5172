"""A clock that stands still, for code that is given one as a function."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

__all__ = ["StillClock"]


class StillClock:
    """Tells the time that it was set to, until a test moves it.

    Parameters
    ----------
    now
        What time it is at first; whole seconds, as Kubernetes keeps them.
    """

    def __init__(self, now: datetime | None = None) -> None:
        self.now = now or datetime.now(UTC).replace(microsecond=0)

    def __call__(self) -> datetime:
        """Tell the time."""
        return self.now

    def advance(self, **time: float) -> None:
        """Move on by so many ``seconds``, ``hours`` and the like, as `timedelta` names them."""
        self.now += timedelta(**time)
