"""When an entry is due, in names that the API server can tell apart: field selectors know equal and unequal alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Self

from image_catalog.models.kubernetes import KubernetesModel

__all__ = ["DUE_FIELDS", "DueAt", "LaterNames"]

DUE_FIELDS: Final = ("status.due.minute", "status.due.hour", "status.due.day")
"""Paths of the names, as a field selector has them."""

_DAYS: Final = 31
"""Days ahead that are named. What is due later is looked at, and found to be due later, by every tick."""

_HOUR: Final = len("2026-11-22T01")
_DAY: Final = len("2026-11-22")


class DueAt(KubernetesModel):
    """The minute, the hour and the day of ``nextVerificationTime`` in UTC: selectable, and written with it.

    Anything may stand here: what is no name of a later time counts as due.
    """

    minute: str = ""
    """The minute, ``2026-11-22T01:15`` for example."""
    hour: str = ""
    """The hour, ``2026-11-22T01`` for example."""
    day: str = ""
    """The day, ``2026-11-22`` for example."""

    @classmethod
    def of(cls, time: datetime) -> Self:
        """Name a time."""
        minute = time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="minutes")
        return cls(minute=minute, hour=minute[:_HOUR], day=minute[:_DAY])


@dataclass(frozen=True, slots=True)
class LaterNames:
    """The names of times that have not come: the other minutes of this hour, the other hours of today, and days.

    An entry that has one of them is not due. Whatever has none may be: it is
    past, was written before there were names, or by somebody who did not know
    of them. So nothing is to be remembered from one look to the next.

    Attributes
    ----------
    minutes, hours, days
        The names, soonest first.
    """

    minutes: tuple[str, ...]
    hours: tuple[str, ...]
    days: tuple[str, ...]

    @classmethod
    def after(cls, now: datetime) -> Self:
        """Return the names of what is later than this minute."""
        utc = now.astimezone(UTC)
        today = utc.date()
        return cls(
            minutes=tuple(f"{today}T{utc.hour:02}:{minute:02}" for minute in range(utc.minute + 1, 60)),
            hours=tuple(f"{today}T{hour:02}" for hour in range(utc.hour + 1, 24)),
            days=tuple(str(today + timedelta(days=ahead)) for ahead in range(1, _DAYS + 1)),
        )

    def terms(self) -> Iterator[tuple[str, str]]:
        """Yield each name with the path of its field, what most entries have first: who compares stops there."""
        for path, names in zip(DUE_FIELDS, (self.minutes, self.hours, self.days), strict=True):
            yield from ((path, name) for name in names)

    def have(self, due: DueAt | None) -> bool:
        """Tell whether an entry of these names is left out."""
        return due is not None and (due.minute in self.minutes or due.hour in self.hours or due.day in self.days)
