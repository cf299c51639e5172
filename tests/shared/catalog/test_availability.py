"""For which share of time an image was there, against an account that knows every check."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_catalog.catalog.availability import NOTHING, Tally, counted, held_for, read_tallies, state_of, tally
from image_catalog.catalog.conditions import Finding
from image_catalog.catalog.verdict import Verdict
from image_catalog.models import Availability, AvailabilityState, AvailabilityWindow, Phase
from image_catalog.models.events import PhaseReason

pytestmark = pytest.mark.story

START = datetime(2026, 3, 28, 21, 17, 43, tzinfo=UTC)
AVAILABLE, MISSING, UNREACHABLE, UNKNOWN = AvailabilityState
DAY, MONTH = AvailabilityWindow
HELD = timedelta(hours=2)
LONGEST_HOURS, LONGEST_DAYS = 512, 768
ENTRY_BYTES = 200

Check = tuple[int, AvailabilityState, int]
"""Seconds since the one before, what it found, and for how many seconds that holds."""


def after(checks: Sequence[Check], *, restart: bool = False) -> Availability:
    found, at = None, START
    for wait, state, held in checks:
        at += timedelta(seconds=wait)
        found = counted(found, state, at=at, held=timedelta(seconds=held))
        if restart:
            found = Availability.model_validate(orjson.loads(orjson.dumps(found.to_dict())))
    assert found is not None
    return found


def account(checks: Sequence[Check], window: AvailabilityWindow) -> Tally:
    """Add up every stretch between two checks, from the checks themselves."""
    unit = timedelta(hours=1) if window is DAY else timedelta(days=1)
    times = [START + timedelta(seconds=sum(wait for wait, _, _ in checks[: n + 1])) for n in range(len(checks))]
    end = times[-1]
    midnight = end.replace(hour=end.hour if window is DAY else 0, minute=0, second=0)
    begin = midnight - (24 if window is DAY else 30) * unit
    seconds = dict.fromkeys(AvailabilityState, timedelta())
    for (_, state, held), since, until in zip(checks, times, times[1:], strict=False):
        turn = min(until, since + timedelta(seconds=held))
        for what, first, last in ((state, since, turn), (UNKNOWN, turn, until)):
            seconds[what] += max(last - max(first, begin), timedelta())
    length = end - begin
    seconds[UNKNOWN] = length - sum((seconds[state] for state in (AVAILABLE, MISSING, UNREACHABLE)), timedelta())
    return Tally(*(seconds[state] // timedelta(seconds=1) for state in AvailabilityState))


WAITS = st.one_of(st.integers(0, 90), st.integers(0, 9_000), st.integers(0, 400_000))
CHECKS = st.lists(
    st.tuples(WAITS, st.sampled_from(AvailabilityState), st.integers(0, 100_000)), min_size=1, max_size=15
)


@given(checks=CHECKS)
@pytest.mark.parametrize("window", AvailabilityWindow)
def test_the_figures_are_those_of_an_account_of_every_check(checks: list[Check], window: AvailabilityWindow) -> None:
    assert tally(after(checks), window) == account(checks, window)


@given(checks=CHECKS)
def test_a_process_that_starts_anew_before_every_check_counts_the_same(checks: list[Check]) -> None:
    assert after(checks, restart=True) == after(checks)


@given(checks=CHECKS)
def test_every_share_is_one_of_a_whole_and_is_read_from_json_as_from_the_model(checks: list[Check]) -> None:
    found = after(checks)
    at = START.timestamp() + sum(wait for wait, _, _ in checks)
    for window, ratio, known in ((DAY, found.last24h, found.known24h), (MONTH, found.last30d, found.known30d)):
        counts = tally(found, window)
        assert min(counts) >= 0
        assert ratio == counts.ratio
        assert (ratio is None) == (counts.known == 0)
        assert known == pytest.approx(counts.known_ratio, abs=1e-4)
        assert (known == 1) == (counts.unknown == 0)
        assert read_tallies(found.to_dict()) == (at, {DAY: tally(found, DAY), MONTH: tally(found, MONTH)})


@given(checks=CHECKS, data=st.data())
def test_a_check_that_found_the_image_lowers_no_figure(checks: list[Check], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(checks) - 1))
    better = [*checks[:at], (checks[at][0], AVAILABLE, checks[at][2]), *checks[at + 1 :]]
    for window in AvailabilityWindow:
        before, now = tally(after(checks), window), tally(after(better), window)
        assert now.available >= before.available
        assert now.unknown <= before.unknown
        assert (now.ratio or 0) >= (before.ratio or 0)


@given(checks=CHECKS, again=st.integers(0, 86_400))
def test_a_check_that_is_told_of_again_adds_no_time(checks: list[Check], again: int) -> None:
    found = after(checks)
    assert found.as_of is not None
    told = counted(found, UNKNOWN, at=found.as_of - timedelta(seconds=again))
    for window in AvailabilityWindow:
        assert tally(told, window) == tally(found, window)


def test_an_image_that_comes_and_goes_for_weeks_takes_no_more_room() -> None:
    states = (UNREACHABLE, MISSING, UNKNOWN, AVAILABLE)
    found = after([(3_001, states[n % 4], 2_000) for n in range(900)])
    assert found.days is not None
    assert len(found.days.split()) == 31
    assert len(found.hours or "") <= LONGEST_HOURS
    assert len(found.days) <= LONGEST_DAYS


def test_an_entry_that_is_checked_every_hour_keeps_little() -> None:
    found = after([(3_600, AVAILABLE, 7_200)] * 1_000)
    assert len(orjson.dumps({"availability": found.to_dict()})) < ENTRY_BYTES
    assert (found.last24h, found.last30d, found.known24h, found.known30d) == (1, 1, 1, 1)
    assert (found.hours, found.days) == (None, None)


def test_of_the_first_check_nothing_is_known_but_what_it_found() -> None:
    found = after([(0, AVAILABLE, 7_200)])
    assert found.to_dict() == {
        "known24h": 0,
        "known30d": 0,
        "since": "2026-03-28T21:17:43Z",
        "asOf": "2026-03-28T21:17:43Z",
        "state": "Available",
        "heldUntil": "2026-03-28T23:17:43Z",
    }


def test_what_was_lost_is_told_by_how_long_ago_it_was() -> None:
    hour = 3_600
    checks = [(0, AVAILABLE, 2 * hour), (hour, UNREACHABLE, 2 * hour), (600, AVAILABLE, 2 * hour)]
    found = after([*checks, (2 * hour, MISSING, 2 * hour), (5 * hour, AVAILABLE, 2 * hour)])
    # From 21:17:43 on: there, unreachable from 22:17:43 for ten minutes, gone from 00:27:43, unknown from 02:27:43.
    assert found.hours == "0:1663? 1-2:3600? 3:1663M1937? 4:3600M 5:1937M 7:600U"
    assert found.days == "0:7200M10800? 1:600U"
    assert found.last24h == (2 * hour + hour) / (2 * hour + hour + 600 + 2 * hour)


def test_a_finding_counts_for_twice_the_wait_and_then_nothing_is_known() -> None:
    assert held_for(AVAILABLE, timedelta(hours=1)) == timedelta(hours=2)
    assert held_for(AVAILABLE, timedelta(seconds=1)) == timedelta(minutes=10)
    assert held_for(UNREACHABLE, timedelta(seconds=1)) == timedelta(hours=2)
    found = after([(0, AVAILABLE, 7_200), (10_000, AVAILABLE, 0)])
    assert tally(found, DAY).available == 7_200
    assert found.hours == "0:263? 1:2537?"


def test_a_clock_that_goes_back_a_little_counts_nothing_twice() -> None:
    found = after([(0, AVAILABLE, 7_200), (3_600, AVAILABLE, 7_200)])
    back = counted(found, UNREACHABLE, at=START + timedelta(minutes=30), held=HELD)
    assert back.as_of == found.as_of
    later = counted(back, AVAILABLE, at=START + timedelta(hours=2), held=HELD)
    assert tally(later, DAY)[:3] == (3_600, 0, 3_600)


def test_a_check_of_a_clock_that_was_days_ahead_is_not_believed_for_days() -> None:
    ahead = counted(after([(0, AVAILABLE, 7_200)]), AVAILABLE, at=START + timedelta(days=300), held=HELD)
    anew = counted(ahead, AVAILABLE, at=START + timedelta(hours=1), held=HELD)
    assert anew == after([(3_600, AVAILABLE, 7_200)])


def test_counting_begins_where_a_status_of_an_older_version_has_no_times() -> None:
    old = Availability(last24h=0.5)
    assert counted(old, MISSING, at=START, held=HELD) == after([(0, MISSING, 7_200)])
    assert tally(old, DAY) == NOTHING
    assert (NOTHING.ratio, NOTHING.answered_ratio, NOTHING.known_ratio) == (None, None, None)


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"since": "yesterday", "asOf": "today"},
        {"since": "2026-01-01T00:00:00Z", "asOf": "2026-01-02T00:00:00Z", "hours": "0:x"},
        {"since": "2026-01-01T00:00:00Z", "asOf": "2026-01-02T00:00:00Z", "hours": 7},
    ],
    ids=["nothing", "no times", "no seconds", "no text"],
)
def test_what_makes_no_sense_tells_of_nothing(told: dict[str, object]) -> None:
    assert read_tallies(told) is None


def test_tallies_add_up() -> None:
    one, other = Tally(10, 5, 3, 2), Tally(1, 1, 1, 1)
    assert one.plus(other) == (11, 6, 4, 3)
    assert one.plus(other, -1) == (9, 4, 2, 1)
    assert one.answered_ratio == 15 / 18


def verdicts() -> Iterator[tuple[PhaseReason, Phase, AvailabilityState]]:
    for reason in PhaseReason:
        match reason:
            case PhaseReason.REGISTRY_ACCESSIBLE:
                yield reason, Phase.AVAILABLE, AVAILABLE
            case PhaseReason.QUARANTINED:
                yield reason, Phase.UNAVAILABLE, AVAILABLE
            case PhaseReason.IMAGE_NOT_FOUND | PhaseReason.PINNED_DIGEST_MISSING | PhaseReason.BLOB_MISSING:
                yield reason, Phase.UNAVAILABLE, MISSING
            case PhaseReason.DIGEST_MISMATCH:
                yield reason, Phase.FAILED, MISSING
            case PhaseReason.REGISTRY_UNREACHABLE | PhaseReason.REGISTRY_ERROR:
                yield reason, Phase.UNAVAILABLE, UNREACHABLE
            case PhaseReason.RATE_LIMITED:
                yield reason, Phase.UNAVAILABLE, UNKNOWN
            case _:
                yield reason, Phase.FAILED, UNKNOWN


NONE = Finding("Unknown", "None", "")
VERDICT = Verdict(Phase.PENDING, PhaseReason.RATE_LIMITED, "", NONE, NONE, failed=False)


@pytest.mark.parametrize(("reason", "phase", "state"), [*verdicts()], ids=str)
def test_each_verdict_says_one_thing_of_the_content(
    reason: PhaseReason, phase: Phase, state: AvailabilityState
) -> None:
    assert state_of(replace(VERDICT, reason=reason, phase=phase)) is state
