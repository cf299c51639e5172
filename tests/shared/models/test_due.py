"""Names of times: what is not due has one that lies ahead, and what is due has none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_catalog.models import DueAt, LaterNames

NOW = datetime(2026, 11, 22, 1, 15, 30, tzinfo=UTC)
MOMENTS = st.timedeltas(timedelta(days=-3000), timedelta(days=3000)).map(lambda away: NOW + away)
AHEAD = st.timedeltas(timedelta(days=-400), timedelta(days=400))


@given(now=MOMENTS, ahead=AHEAD)
def test_whatever_is_due_has_no_name_that_lies_ahead(now: datetime, ahead: timedelta) -> None:
    left_out = LaterNames.after(now).have(DueAt.of(now + ahead))
    assert not (left_out and ahead <= timedelta())


@given(now=MOMENTS, ahead=st.timedeltas(timedelta(minutes=1), timedelta(days=30)))
def test_what_is_due_later_than_this_minute_has_one(now: datetime, ahead: timedelta) -> None:
    assert LaterNames.after(now).have(DueAt.of(now + ahead))


@pytest.mark.parametrize(
    "due",
    [
        None,
        DueAt(),
        DueAt(minute="soon", hour="2026", day="tomorrow"),
        DueAt(minute="2026-11-22T01:15", hour="2026-11-22T01", day="2026-11-22"),
        DueAt(minute="2025-11-22T01:59", hour="2025-11-22T02", day="2025-11-23"),
    ],
    ids=["none", "empty", "strange", "this minute", "last year"],
)
def test_nothing_is_left_out_by_another_name(due: DueAt | None) -> None:
    assert not LaterNames.after(NOW).have(due)


def test_names_are_in_utc_wherever_the_clock_stands() -> None:
    there = NOW.astimezone(timezone(timedelta(hours=5, minutes=45)))
    assert DueAt.of(there) == DueAt.of(NOW) == DueAt(minute="2026-11-22T01:15", hour="2026-11-22T01", day="2026-11-22")
    assert LaterNames.after(there) == LaterNames.after(NOW)


def test_soonest_names_come_first_and_are_few_enough_for_a_query() -> None:
    terms = [f"{path}!={name}" for path, name in LaterNames.after(NOW.replace(hour=0, minute=0)).terms()]
    assert terms[0] == "status.due.minute!=2026-11-22T00:01"
    assert len(terms) == 59 + 23 + 31
    # Proxies between cut a request's first line at 8 KiB; encoded, a term has twelve bytes more.
    assert sum(len(term) + 12 for term in terms) < 6 * 1024
