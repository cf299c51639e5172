"""A limit is never exceeded, whoever takes of it, in whatever order and from however many processes."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from image_catalog.catalog.budget import PARTS, Limit, Urgency, cost_of_check, give, left, remaining_wait, slice_start
from image_catalog.catalog.pace import Demand, Pace, budget_ratio, status_budgeted, stretched
from image_catalog.catalog.schedule import own_moment
from image_catalog.models import BudgetSlice, CatalogRegistry, RegistryBudget
from image_catalog.models.durations import format_duration, parse_duration

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
HUNDRED = Limit(100, HOUR)

LIMITS = st.builds(
    Limit,
    st.integers(min_value=10, max_value=5_000),
    st.integers(min_value=60, max_value=86_400).map(lambda seconds: timedelta(seconds=seconds)),
)
ASKING = st.lists(
    st.tuples(
        st.floats(min_value=0, max_value=0.6),
        st.sampled_from(Urgency),
        st.integers(min_value=1, max_value=40),
    ),
    max_size=80,
)
"""After which part of a window somebody asks, who, and for how many requests."""


def registry(**fields: Any) -> CatalogRegistry:
    spec = {"host": "quay.io", "limits": fields.pop("limits", {"requests": 100})}
    metadata = {"name": "quay", "generation": 1}
    return CatalogRegistry.model_validate({"metadata": metadata, "spec": spec, "status": fields})


def taken(*requests: int, checks: int = 1) -> RegistryBudget:
    """Make a budget of which so much was taken in the present part and those before it, latest first."""
    start = slice_start(HUNDRED, NOW)
    parts = [
        BudgetSlice(since=start - number * HUNDRED.part, requests=count, checks=checks)
        for number, count in enumerate(requests)
    ]
    return RegistryBudget(taken=parts)


class TestTaking:
    @given(limit=LIMITS, asking=ASKING, start=st.floats(min_value=0, max_value=86_400))
    @settings(max_examples=100, deadline=None)
    def test_no_window_ever_has_more_than_the_limit(
        self, limit: Limit, asking: list[tuple[float, Urgency, int]], start: float
    ) -> None:
        now, budget = NOW + timedelta(seconds=start), RegistryBudget()
        used: list[tuple[datetime, int]] = []
        for after, urgency, wanted in asking:
            now += limit.window * after
            found = give(limit, budget, urgency, wanted=wanted, now=now)
            if isinstance(found, timedelta):
                assert found > timedelta()
                continue
            budget, given_requests = found
            # As late as it may be used: at the end of the part that it was taken in.
            used.append((slice_start(limit, now) + limit.part, given_requests))
        for end, _ in used:
            window = [count for at, count in used if end - limit.window < at <= end]
            assert sum(window) <= limit.requests

    @given(limit=LIMITS, asking=ASKING)
    @settings(max_examples=100, deadline=None)
    def test_who_waits_as_long_as_he_is_told_gets_what_he_wanted(
        self, limit: Limit, asking: list[tuple[float, Urgency, int]]
    ) -> None:
        now, budget = NOW, RegistryBudget()
        for after, urgency, wanted in asking:
            now += limit.window * after
            found = give(limit, budget, urgency, wanted=wanted, now=now)
            if isinstance(found, timedelta):
                now += found
                found = give(limit, budget, urgency, wanted=wanted, now=now)
            assert not isinstance(found, timedelta)
            budget, count = found
            assert count >= min(wanted, limit.share(urgency))

    def test_people_are_heard_when_what_comes_by_itself_must_wait(self) -> None:
        budget = taken(*[7] * 11, 3)
        assert left(HUNDRED, budget, Urgency.ROUTINE, now=NOW) == 0
        assert left(HUNDRED, budget, Urgency.SEEN, now=NOW) == 7
        assert left(HUNDRED, budget, Urgency.ASKED, now=NOW) == 14

    def test_what_comes_by_itself_works_a_backlog_off_evenly(self) -> None:
        assert left(HUNDRED, RegistryBudget(), Urgency.ROUTINE, now=NOW) == 7
        assert left(HUNDRED, taken(7), Urgency.ROUTINE, now=NOW) == 0
        assert left(HUNDRED, taken(0, 7), Urgency.ROUTINE, now=NOW) == 7
        assert left(HUNDRED, taken(7), Urgency.ASKED, now=NOW) == 87

    def test_parts_that_are_shorter_than_a_tick_are_not_waited_for(self) -> None:
        assert left(Limit(100, timedelta(minutes=1)), RegistryBudget(), Urgency.ROUTINE, now=NOW) == 80

    def test_what_was_taken_counts_until_all_of_it_is_a_period_ago(self) -> None:
        budget = taken(80)
        gone = slice_start(HUNDRED, NOW) + HUNDRED.part + HUNDRED.window + timedelta(seconds=1)
        assert left(HUNDRED, budget, Urgency.ROUTINE, now=gone - timedelta(seconds=2)) == 0
        assert left(HUNDRED, budget, Urgency.ROUTINE, now=gone) == 7

    def test_a_busy_process_takes_a_hundredth_at_once(self) -> None:
        large = Limit(10_000, HOUR)
        found = give(large, None, Urgency.ROUTINE, wanted=2, now=NOW)
        assert not isinstance(found, timedelta)
        assert found[1] == 100

    def test_a_status_stays_small(self) -> None:
        budget = RegistryBudget()
        for minute in range(600):
            found = give(HUNDRED, budget, Urgency.ASKED, wanted=1, now=NOW + timedelta(minutes=minute))
            if not isinstance(found, timedelta):
                budget = found[0]
        assert len(budget.taken) <= PARTS + 2


class TestWhatChecksCost:
    def test_a_few_checks_tell_nothing_yet(self) -> None:
        assert cost_of_check(None) == cost_of_check(taken(40, checks=2)) == 2

    def test_many_tell_their_average(self) -> None:
        assert cost_of_check(taken(24, 12, checks=6)) == 3


class TestWhatTheRegistrySays:
    def test_it_is_believed_for_as_long_as_it_says(self) -> None:
        budget = RegistryBudget(remaining=3, remaining_until=NOW + HOUR)
        assert remaining_wait(budget, now=NOW) == HOUR
        assert remaining_wait(budget, now=NOW + HOUR) is None
        assert remaining_wait(None, now=NOW) is None


class TestPace:
    @staticmethod
    def demand(entries: int, interval: timedelta = HOUR) -> Demand:
        found = Demand()
        for _ in range(entries):
            found.add(interval)
        return found

    @settings(deadline=None, max_examples=50)
    @given(limit=LIMITS, entries=st.integers(min_value=1, max_value=1_000), cost=st.floats(min_value=1, max_value=8))
    def test_what_is_allowed_is_within_the_limit_and_not_far_below(
        self, limit: Limit, entries: int, cost: float
    ) -> None:
        interval = stretched(limit, self.demand(entries), cost)
        asked = entries * cost / interval.total_seconds()
        assert asked <= limit.sustained * 1.001
        if interval > timedelta(minutes=1):
            assert asked >= limit.sustained / 1.3

    def test_it_stays_the_same_while_little_changes(self) -> None:
        assert stretched(HUNDRED, self.demand(300), 2) == stretched(HUNDRED, self.demand(305), 2)

    def test_a_limit_that_suffices_changes_nothing(self) -> None:
        found = status_budgeted(registry(), self.demand(10), now=NOW)
        assert found is not None
        assert found.budget is not None
        assert (found.budget.entries, found.budget.interval) == (10, None)
        assert found.budget.ratio is not None
        assert found.budget.ratio > 1
        condition = found.condition("LimitsSuffice")
        assert condition is not None
        assert (condition.status, condition.reason) == ("True", "Sufficient")
        assert Pace.of(registry().model_copy(update={"status": found})) is None

    def test_one_that_does_not_is_shared_alike_and_says_so(self) -> None:
        found = status_budgeted(registry(), self.demand(300), now=NOW)
        assert found is not None
        assert found.budget is not None
        counted = registry().model_copy(update={"status": found})
        pace = Pace.of(counted)
        assert pace is not None
        assert pace.interval == parse_duration(found.budget.interval or "")
        assert pace.interval >= timedelta(hours=7)
        assert pace.why == "quay.io allows 100 requests in any 1h, and 300 entries share them"
        condition = found.condition("LimitsSuffice")
        assert condition is not None
        assert (condition.status, condition.reason) == ("False", "Insufficient")
        assert status_budgeted(counted, self.demand(300), now=NOW) is None, "it says so already"

    def test_a_limit_that_is_taken_away_leaves_nothing_behind(self) -> None:
        counted = status_budgeted(registry(), self.demand(300), now=NOW)
        free = registry(limits={"maxConcurrentRequests": 4}).model_copy(update={"status": counted})
        found = status_budgeted(free, Demand(), now=NOW)
        assert found is not None
        assert found.budget is None
        assert found.condition("LimitsSuffice") is None
        assert status_budgeted(free.model_copy(update={"status": found}), Demand(), now=NOW) is None

    def test_no_entries_ask_for_nothing(self) -> None:
        assert budget_ratio(HUNDRED, Demand(), 2) is None

    def test_an_interval_that_somebody_has_broken_counts_for_nothing(self) -> None:
        assert Pace.of(registry(budget={"interval": "soon"})) is None


class TestOwnMoment:
    KEYS = st.text(min_size=1, max_size=40)
    INTERVALS = st.integers(min_value=60, max_value=31_536_000).map(lambda seconds: timedelta(seconds=seconds))

    @given(key=KEYS, interval=INTERVALS, late=st.floats(min_value=0, max_value=0.2))
    def test_it_is_reached_in_a_few_steps_and_kept(self, key: str, interval: timedelta, late: float) -> None:
        moments, since = [], NOW
        for _ in range(9):
            following = own_moment(key, interval, since=since)
            assert interval / 2 - timedelta(seconds=1) <= following - since <= interval
            moments.append(following)
            since = following + interval * late
        assert {later - at for at, later in itertools.pairwise(moments[5:])} == {interval}

    def test_what_was_made_together_comes_back_spread_out(self) -> None:
        second = [own_moment(f"team-a/v{n}", HOUR, since=NOW) for n in range(1200)]
        third = [own_moment(f"team-a/v{n}", HOUR, since=at) for n, at in enumerate(second)]
        places = [int((at - NOW) % HOUR / timedelta(minutes=5)) for at in third]
        counts = [places.count(part) for part in range(12)]
        assert min(counts) >= 70
        assert max(counts) <= 130


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59.6, "1m"), (90, "1m30s"), (3600, "1h"), (14_400, "4h"), (5_430, "1h30m30s"), (-5, "0s")],
)
def test_durations_are_written_as_people_do(seconds: float, text: str) -> None:
    assert format_duration(timedelta(seconds=seconds)) == text
