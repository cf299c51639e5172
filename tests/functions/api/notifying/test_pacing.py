"""How often an entry and a registry are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from image_catalog_functions.api.notifying.pacing import Pacer

INTERVAL = timedelta(seconds=10)


@dataclass
class Clock:
    """Seconds that go by when a test says so."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def make(rate: float = 100.0) -> tuple[Pacer[str, int], Clock]:
    clock = Clock()
    return Pacer(interval=INTERVAL, rate=rate, clock=clock), clock


def test_the_first_goes_at_once_and_the_last_of_those_that_follow_when_the_interval_is_over() -> None:
    pacer, clock = make()
    assert [pacer.admit("quay", "a", number) for number in range(4)] == [True, False, False, False]
    assert (len(pacer), pacer.wait()) == (1, 10.0)
    clock.now += 9
    assert pacer.release(10) == []
    clock.now += 1
    assert (pacer.wait(), pacer.release(10)) == (0.0, [("quay", "a", 3)])
    assert (len(pacer), pacer.wait()) == (0, None)
    assert not pacer.admit("quay", "a", 4), "what was released has its interval, too"


def test_what_waits_takes_later_ones_in_even_when_its_time_has_come() -> None:
    pacer, clock = make()
    for number in range(2):
        pacer.admit("quay", "a", number)
    clock.now += 20
    assert not pacer.admit("quay", "a", 2)
    assert pacer.release(10) == [("quay", "a", 2)]


def test_a_registry_is_asked_for_no_faster_than_its_rate_and_in_turn() -> None:
    pacer, clock = make(rate=2)
    assert [pacer.admit("quay", key, 0) for key in "abcde"] == [True, True, False, False, False]
    assert pacer.admit("hub", "z", 0), "another registry has a rate of its own"
    assert pacer.release(10) == []
    assert pacer.wait() == 0.5
    clock.now += 0.5
    assert [key for _, key, _ in pacer.release(10)] == ["c"]
    clock.now += 60
    assert [key for _, key, _ in pacer.release(1)] == ["d"]
    assert [key for _, key, _ in pacer.release(10)] == ["e"]


def test_less_than_one_a_second_is_a_rate_too() -> None:
    pacer, clock = make(rate=0.1)
    assert [pacer.admit("quay", key, 0) for key in "ab"] == [True, False]
    assert pacer.wait() == 10.0
    clock.now += 10
    assert [key for _, key, _ in pacer.release(10)] == ["b"]


def test_what_did_not_arrive_comes_again_at_once_unless_a_newer_one_waits() -> None:
    pacer, _ = make()
    for key in "ab":
        assert pacer.admit("quay", key, 1)
    assert not pacer.admit("quay", "b", 2)
    pacer.keep("quay", "a", 1)
    pacer.keep("quay", "b", 1)
    assert sorted(pacer.release(10)) == [("quay", "a", 1), ("quay", "b", 2)]


def test_at_the_end_everything_goes() -> None:
    pacer, _ = make(rate=1)
    for lane in ("quay", "hub"):
        for key in "abc":
            pacer.admit(lane, key, 0)
    assert sorted(pacer.take_all()) == [("hub", "b", 0), ("hub", "c", 0), ("quay", "b", 0), ("quay", "c", 0)]
    assert len(pacer) == 0


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 4)), max_size=60),
    st.sampled_from([0.3, 1.0, 5.0]),
)
def test_nothing_is_lost_and_nothing_too_fast(pushes: list[tuple[str, float]], rate: float) -> None:
    pacer, clock = make(rate)
    sent: list[tuple[float, str, int]] = []
    for number, (key, pause) in enumerate(pushes):
        clock.now += pause
        sent += [(clock.now, key, wish) for _, key, wish in pacer.release(10)]
        if pacer.admit("quay", key, number):
            sent.append((clock.now, key, number))
    while (wait := pacer.wait()) is not None:
        clock.now += wait + 1e-6
        sent += [(clock.now, key, wish) for _, key, wish in pacer.release(10)]
    for key in "abc":
        last = max((number for number, (pushed, _) in enumerate(pushes) if pushed == key), default=None)
        times = [at for at, of, _ in sent if of == key]
        assert (last is None) == (not times)
        assert last is None or [wish for _, of, wish in sent if of == key][-1] == last
        assert all(later - at >= INTERVAL.total_seconds() - 1e-6 for at, later in pairwise(times))
    for count, (at, _, _) in enumerate(sent):
        first = sent[0][0]
        assert count + 1 <= max(1.0, rate) + (at - first) * rate + 1e-6
