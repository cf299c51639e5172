"""Entries that went lately, so that a late message does not bring them back."""

from __future__ import annotations

from collections import OrderedDict

__all__ = ["Tombs"]

_KEPT = 4096
"""Late messages are late by seconds; thousands of removals in that time are a namespace that goes."""


class Tombs:
    """The revisions at which entries went, the last some thousand of them."""

    def __init__(self) -> None:
        self._revisions: OrderedDict[tuple[str, str], int] = OrderedDict()

    def bury(self, key: tuple[str, str], revision: int) -> None:
        """Remember that an entry was gone at a revision."""
        self._revisions[key] = max(revision, self._revisions.pop(key, revision))
        if len(self._revisions) > _KEPT:
            self._revisions.popitem(last=False)

    def hides(self, key: tuple[str, str], revision: int) -> bool:
        """Tell whether a revision of an entry is from before it went."""
        return revision <= self._revisions.get(key, -1)
