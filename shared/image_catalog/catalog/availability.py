"""For which share of time an image was there: counted from its checks, in constant space.

What a check found holds until the next one, but at most for twice the time in
which that was to come: then nothing is known. Time is counted to the second,
in rings of whole hours and whole days (UTC), and of these only what was *not*
available is kept. So every figure is exact, and depends on nothing but the
checks, whichever process made them. docs/availability.md tells it to users.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import floor
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from image_catalog.models import Availability, AvailabilityState, AvailabilityWindow, Phase
from image_catalog.models.events import PhaseReason

if TYPE_CHECKING:
    # Verdicts know the registry client, which the API never loads.
    from image_catalog.catalog.verdict import Verdict

__all__ = ["NOTHING", "Tally", "counted", "held_for", "read_tallies", "state_of", "tally"]

_BRIDGED: Final = 2
"""Waits for the next check that one finding holds for: a check that got lost leaves no gap, two of them do."""

_SHORTEST_HOLD: Final = timedelta(minutes=10)
"""Where the wait is short, a broker that delivers again takes longer than it."""

_SHORTEST_OUTAGE: Final = timedelta(hours=2)
"""Entries of a registry that is known to be down are checked once an hour, whatever they ask for."""

_CLOCK_ERROR: Final = timedelta(days=1)
"""By how much a check may come before a counted one: past it, the clock of that one was wrong, not this one's."""

_MISSING: Final = frozenset(
    {
        PhaseReason.IMAGE_NOT_FOUND,
        PhaseReason.PINNED_DIGEST_MISSING,
        PhaseReason.BLOB_MISSING,
        PhaseReason.DIGEST_MISMATCH,
    }
)
"""The registry answered, and did not have the content whole."""

_UNREACHABLE: Final = frozenset({PhaseReason.REGISTRY_UNREACHABLE, PhaseReason.REGISTRY_ERROR})
"""The registry did not answer, or only that it is in trouble."""

_LETTERS: Final = "MU?"
"""What lost seconds are written with: missing, unreachable, unknown; the places of `_Lost`."""
_UNKNOWN: Final = 2
_PLACES: Final = {AvailabilityState.MISSING: 0, AvailabilityState.UNREACHABLE: 1, AvailabilityState.UNKNOWN: _UNKNOWN}

_Lost = tuple[int, int, int]
"""Seconds that were missing, unreachable and unknown."""
_Losses = dict[int, _Lost]
"""The same by the number of the hour or day since 1970."""


@dataclass(frozen=True, slots=True)
class _Ring:
    """Hours or days.

    Attributes
    ----------
    seconds
        Length of each.
    whole
        How many are kept besides the one under way.
    """

    seconds: int
    whole: int

    def first(self, as_of: int) -> int:
        """Return the number of the oldest that is kept."""
        return as_of // self.seconds - self.whole


_HOURS: Final = _Ring(seconds=3_600, whole=24)
_DAYS: Final = _Ring(seconds=86_400, whole=30)
_RINGS: Final = {AvailabilityWindow.DAY: (_HOURS, "hours"), AvailabilityWindow.MONTH: (_DAYS, "days")}


class _Times(NamedTuple):
    """Seconds since 1970: when counting began, up to when it went, and up to when what was found holds."""

    since: int
    as_of: int
    held_until: int


class Tally(NamedTuple):
    """Seconds of a window, by what they were.

    Attributes
    ----------
    available
        The registry had the content.
    missing
        It answered, and did not have it.
    unreachable
        It did not answer.
    unknown
        Nobody looked, or could tell.
    """

    available: int
    missing: int
    unreachable: int
    unknown: int

    @property
    def known(self) -> int:
        """Seconds of which something is known."""
        return self.available + self.missing + self.unreachable

    @property
    def ratio(self) -> float | None:
        """The share of known time in which the image was there; `None` while nothing is known."""
        return self.available / self.known if self.known else None

    @property
    def answered_ratio(self) -> float | None:
        """The share of known time in which the registry answered, whether it had the image or not."""
        return (self.available + self.missing) / self.known if self.known else None

    @property
    def known_ratio(self) -> float | None:
        """The share of the window that is known; `None` for a window without length."""
        length = self.known + self.unknown
        return self.known / length if length else None

    def plus(self, other: Tally, times: int = 1) -> Tally:
        """Return the sum with another one, or with `times` ``-1`` the difference."""
        return Tally(*(mine + times * theirs for mine, theirs in zip(self, other, strict=True)))


NOTHING: Final = Tally(0, 0, 0, 0)
"""A window without length."""


def state_of(verdict: Verdict) -> AvailabilityState:
    """Return what a verdict says of the content: whether it was there, not whether it may be used.

    What was refused for a credential, a certificate or too many requests says
    nothing of it, and a quarantined image is there.

    Parameters
    ----------
    verdict
        What a check means.
    """
    if verdict.phase is Phase.AVAILABLE or verdict.reason is PhaseReason.QUARANTINED:
        return AvailabilityState.AVAILABLE
    if verdict.reason in _MISSING:
        return AvailabilityState.MISSING
    return AvailabilityState.UNREACHABLE if verdict.reason in _UNREACHABLE else AvailabilityState.UNKNOWN


def held_for(state: AvailabilityState, wait: timedelta) -> timedelta:
    """Return how long a finding counts for, at most.

    Parameters
    ----------
    state
        What was found.
    wait
        How long the next check may be in coming.
    """
    return max(_BRIDGED * wait, _SHORTEST_OUTAGE if state is AvailabilityState.UNREACHABLE else _SHORTEST_HOLD)


def counted(
    before: Availability | None, state: AvailabilityState, *, at: datetime, held: timedelta = timedelta()
) -> Availability:
    """Count the time up to a check, and take note of what it found.

    A check that is counted already, or that a clock puts before one that is,
    adds no time; what it found counts from the last counted moment on.

    Parameters
    ----------
    before
        What was counted so far; `None` before the first check.
    state
        What the check found.
    at
        When the registry was asked.
    held
        How long that counts for, at most.
    """
    moment = _second(at)
    held_until = moment + held // timedelta(seconds=1)
    if before is None or before.since is None or before.as_of is None or before.as_of - at > _CLOCK_ERROR:
        return _written(state, _Times(moment, moment, held_until), {}, {})
    as_of = _second(before.as_of)
    upto = max(as_of, moment)
    hours, days = (_read(text, ring, as_of) for text, ring in ((before.hours, _HOURS), (before.days, _DAYS)))
    for start, end, place in _losses_between(before, as_of, upto):
        for losses, ring in ((hours, _HOURS), (days, _DAYS)):
            _lose(losses, ring, start, end, place)
    return _written(state, _Times(_second(before.since), upto, held_until), hours, days)


def tally(availability: Availability, window: AvailabilityWindow) -> Tally:
    """Return what a window is made of, as of the last check.

    Parameters
    ----------
    availability
        What was counted.
    window
        Which of the two.
    """
    ring, field = _RINGS[window]
    if availability.since is None or availability.as_of is None:
        return NOTHING
    since, as_of = _second(availability.since), _second(availability.as_of)
    return _tally(_read(getattr(availability, field), ring, as_of), ring, since=since, as_of=as_of)


def read_tallies(availability: Mapping[str, Any]) -> tuple[int, Mapping[AvailabilityWindow, Tally]] | None:
    """Return of what JSON gave when it was counted, and what the windows are made of; `None` where it makes no sense.

    Parameters
    ----------
    availability
        ``status.availability`` of an entry.

    Returns
    -------
    tuple
        Seconds since 1970, and the tallies.
    """
    try:
        since, as_of = (_second(datetime.fromisoformat(availability[field])) for field in ("since", "asOf"))
        return as_of, {
            window: _tally(_read(availability.get(field), ring, as_of), ring, since=since, as_of=as_of)
            for window, (ring, field) in _RINGS.items()
        }
    except (KeyError, ValueError, TypeError, AttributeError):
        return None


def _tally(losses: _Losses, ring: _Ring, *, since: int, as_of: int) -> Tally:
    start = ring.first(as_of) * ring.seconds
    watched = min(as_of - max(start, since), as_of - start)
    missing, unreachable, unknown = map(sum, zip(*losses.values(), strict=True)) if losses else (0, 0, 0)
    # Never negative, whatever somebody has written into a status by hand.
    available = max(watched - missing - unreachable - unknown, 0)
    return Tally(available, missing, unreachable, max(as_of - start - available - missing - unreachable, 0))


def _losses_between(before: Availability, as_of: int, upto: int) -> Iterator[tuple[int, int, int]]:
    """Return from when to when time was lost since the last check, and as what."""
    held = as_of if before.held_until is None else min(max(_second(before.held_until), as_of), upto)
    if before.state in _PLACES:
        yield as_of, held, _PLACES[before.state]
    yield held, upto, _UNKNOWN


def _lose(losses: _Losses, ring: _Ring, start: int, end: int, place: int) -> None:
    start = max(start, ring.first(end) * ring.seconds)
    while start < end:
        number = start // ring.seconds
        until = min(end, (number + 1) * ring.seconds)
        lost = list(losses.get(number, (0, 0, 0)))
        lost[place] += until - start
        losses[number] = (lost[0], lost[1], lost[2])
        start = until


def _written(state: AvailabilityState, times: _Times, hours: _Losses, days: _Losses) -> Availability:
    since, as_of = times.since, times.as_of
    hours, days = _kept(hours, _HOURS, as_of), _kept(days, _DAYS, as_of)
    of_hours = _tally(hours, _HOURS, since=since, as_of=as_of)
    of_days = _tally(days, _DAYS, since=since, as_of=as_of)
    return Availability(
        last24h=of_hours.ratio,
        last30d=of_days.ratio,
        known24h=_down(of_hours.known_ratio),
        known30d=_down(of_days.known_ratio),
        since=_time(since),
        as_of=_time(as_of),
        state=state,
        held_until=None if state is AvailabilityState.UNKNOWN else _time(times.held_until),
        hours=_text(hours, _HOURS, as_of),
        days=_text(days, _DAYS, as_of),
    )


def _down(share: float | None) -> float | None:
    """Cut a share after four digits: these are for people, and 1 is only what is whole."""
    return None if share is None else floor(share * 10_000) / 10_000


def _kept(losses: _Losses, ring: _Ring, as_of: int) -> _Losses:
    first = ring.first(as_of)
    return {number: lost for number, lost in losses.items() if number >= first}


def _read(text: str | None, ring: _Ring, as_of: int) -> _Losses:
    """Read what `_text` wrote.

    Raises
    ------
    ValueError
        Raised for what it never writes.
    """
    losses: _Losses = {}
    now = as_of // ring.seconds
    for span in (text or "").split():
        ago, _, lost = span.partition(":")
        nearest, _, farthest = ago.partition("-")
        seconds = _read_lost(lost)
        for number in range(int(nearest), min(int(farthest or nearest), ring.whole) + 1):
            losses[now - number] = seconds
    return losses


def _read_lost(text: str) -> _Lost:
    lost, digits = [0, 0, 0], ""
    for letter in text:
        if letter in _LETTERS:
            lost[_LETTERS.index(letter)], digits = int(digits), ""
        else:
            digits += letter
    if digits:
        raise ValueError(f"{text!r} ends without saying what was lost")
    return lost[0], lost[1], lost[2]


def _text(losses: _Losses, ring: _Ring, as_of: int) -> str | None:
    """Write losses, the nearest first; neighbours that are equal stand together: ``0:300U 4-7:3600M``."""
    now = as_of // ring.seconds
    spans: list[tuple[int, int, _Lost]] = []
    for number in sorted(losses, reverse=True):
        ago, lost = now - number, losses[number]
        if spans and spans[-1][1] == ago - 1 and spans[-1][2] == lost:
            spans[-1] = (spans[-1][0], ago, lost)
        elif any(lost):
            spans.append((ago, ago, lost))
    return " ".join(_span(*span) for span in spans) or None


def _span(nearest: int, farthest: int, lost: _Lost) -> str:
    seconds = "".join(f"{count}{letter}" for count, letter in zip(lost, _LETTERS, strict=True) if count)
    return f"{nearest}:{seconds}" if nearest == farthest else f"{nearest}-{farthest}:{seconds}"


def _second(at: datetime) -> int:
    return int(at.timestamp())


def _time(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)
