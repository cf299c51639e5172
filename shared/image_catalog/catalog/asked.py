"""When to offer a build again that nothing has come of: ever more rarely."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice

__all__ = ["FRESH_FOR", "Asked"]

FRESH_FOR = timedelta(minutes=1)
"""A build that completed later has an event under way, which needs seconds."""


class Asked:
    """Remembers which runs of builds have been offered, and when.

    A build that is refused for good looks like one that was forgotten. It is
    offered at once, and again each time its age has doubled: a dozen times in
    a month. Whoever starts anew offers it once more, under the id of before.
    """

    def __init__(self) -> None:
        self._asked: dict[str, datetime] = {}

    def due(self, completed: dict[str, datetime], *, now: datetime, limit: int) -> set[str]:
        """Return the runs to offer now; what is not named any more is forgotten.

        Parameters
        ----------
        completed
            When each run without an entry completed.
        now
            The time.
        limit
            So many at most, the newest first; the others stay due.
        """
        newest = sorted(completed, key=completed.__getitem__, reverse=True)
        due = set(islice((run for run in newest if self._is_due(run, completed[run], now)), limit))
        self._asked = {run: now if run in due else self._asked.get(run, at) for run, at in completed.items()}
        return due

    def _is_due(self, run: str, completed: datetime, now: datetime) -> bool:
        asked = self._asked.get(run, completed)
        return now - completed >= max(FRESH_FOR, 2 * (asked - completed))
