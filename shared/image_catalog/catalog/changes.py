"""The events that a status write owes, kept in the status itself.

A function may die after its write and before it has emitted; the broker then
delivers the cause again. What the write owed is found under the cause's id.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from image_catalog.models import CatalogImageStatus, Change, ChangeEvent

__all__ = ["RECENT_CHANGES", "find_change", "remember", "without_marks"]

RECENT_CHANGES = 8
"""Writes that are remembered: a redelivery comes within seconds, eight writes take hours."""


def find_change(status: CatalogImageStatus, cause: str) -> Change | None:
    """Return what a cause has written, or `None` if it has written nothing that is remembered."""
    return next((change for change in status.recent_changes if change.cause == cause), None)


def remember(
    status: CatalogImageStatus,
    cause: str,
    events: Iterable[tuple[str, str]],
    *,
    now: datetime,
    actor: str | None = None,
) -> list[Change]:
    """Return the remembered changes with one more, newest first.

    Parameters
    ----------
    status
        The status as it is.
    cause
        Id of the event that caused the write.
    events
        Short type and id of each event that is owed.
    now
        When it is written.
    actor
        Who caused it, so that the audit knows even where an event is lost.
    """
    owed = [ChangeEvent(type=kind, id=number) for kind, number in events]
    change = Change(cause=cause, events=owed, actor=actor, time=now)
    others = [known for known in without_marks(status) if known.cause != cause]
    # A mark takes nobody's place: it owes nothing, and goes when the check has ended.
    return [change, *others[: RECENT_CHANGES - 1 if change.events else RECENT_CHANGES]]


def without_marks(status: CatalogImageStatus) -> list[Change]:
    """Return the remembered changes that owe events, without the marks of checks that have begun."""
    return [change for change in status.recent_changes if change.events]
