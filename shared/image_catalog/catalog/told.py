"""Removals that the world has just been told of, so that the deletion that follows is no news."""

from __future__ import annotations

__all__ = ["Told"]

_KEPT = 1024
"""The event of a deletion follows within seconds; a namespace with more entries tells of some twice, under one id."""


class Told:
    """Remembers the uids of removed entries for a while.

    The tombstone says as much, and outlives the process, but a terminating
    namespace takes none.
    """

    def __init__(self) -> None:
        self._uids: dict[str, None] = {}

    def add(self, uid: str) -> None:
        """Remember an entry of whose removal the world was told."""
        self._uids[uid] = None
        if len(self._uids) > _KEPT:
            del self._uids[next(iter(self._uids))]

    def __contains__(self, uid: str) -> bool:
        return uid in self._uids
