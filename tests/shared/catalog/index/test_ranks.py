"""An order answers what a sorted list would, however its blocks and spans were cut and joined."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from image_catalog.catalog.index.ranks import Bound, Rank, Ranks

SLOTS = 160
BOUNDS = st.none() | st.tuples(st.integers(0, 9), st.just("n"), st.integers(0, SLOTS).map(lambda slot: f"{slot:03}"))
MATCHES = st.none() | st.sampled_from((1, 2, 5, 30)).map(lambda step: BitMap(range(0, SLOTS, step)))


def small_ranks(values: list[int]) -> tuple[Ranks, dict[int, Rank]]:
    """Return an order of many small blocks, and the ranks that it holds."""
    ranks, held = Ranks(block=2, spans=6), dict[int, Rank]()
    for slot, value in enumerate(values):
        held[slot] = (value, "n", f"{slot:03}", slot)
        ranks.put(held[slot])
    return ranks, held


def between(held: dict[int, Rank], matches: BitMap | None, low: Bound | None, high: Bound | None) -> list[int]:
    return [
        rank[3]
        for rank in sorted(held.values())
        if (matches is None or rank[3] in matches) and (low is None or rank >= low) and (high is None or rank < high)
    ]


@settings(max_examples=60)
@given(data=st.data())
def test_pages_and_counts_are_those_of_a_sorted_list(data: st.DataObject) -> None:
    chance = data.draw(st.randoms(use_true_random=False))
    values = [chance.randrange(10) for _ in range(data.draw(st.integers(1, SLOTS)))]
    ranks, held = small_ranks(values)
    for slot in chance.sample(range(len(values)), chance.randint(0, len(values))):
        ranks.remove(slot)
        del held[slot]
    for slot in chance.sample(range(len(values)), chance.randint(0, len(values))):
        held[slot] = (chance.randrange(10), "n", f"{slot:03}", slot)
        ranks.put(held[slot])

    assert len(ranks) == len(held)
    for _ in range(5):
        matches, low, high = data.draw(MATCHES), data.draw(BOUNDS), data.draw(BOUNDS)
        matches = None if matches is None else matches & BitMap(held)
        limit = data.draw(st.sampled_from((0, 1, 7)))
        expected = between(held, matches, low, high)
        backwards = expected[::-1]
        assert ranks.count(matches, low, high) == len(expected)
        assert ranks.page(matches, low, high, backwards=False, limit=limit) == expected[: limit or None]
        assert ranks.page(matches, low, high, backwards=True, limit=limit) == backwards[: limit or None]
        if matches is not None:
            assert ranks.sort(matches, low, high, backwards=True) == backwards


@pytest.mark.parametrize("held", [range(5), range(70, 75), range(155, SLOTS), range(0, SLOTS, 40)])
@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
def test_matches_that_lie_together_are_found_from_either_end(held: range, *, backwards: bool) -> None:
    ranks, _ = small_ranks([slot // 16 for slot in range(SLOTS)])
    expected = [*reversed(held)] if backwards else [*held]

    for limit in (1, 3, 0):
        found = ranks.page(BitMap(held), None, None, backwards=backwards, limit=limit)
        assert found == expected[: limit or None]


def test_an_order_that_was_emptied_takes_new_ranks() -> None:
    ranks, held = small_ranks([number % 5 for number in range(SLOTS)])
    for slot in held:
        ranks.remove(slot)
    assert len(ranks) == ranks.blocks == 0
    assert ranks.page(None, None, (inf,), backwards=False, limit=0) == []

    ranks.put((1, "n", "again", 7))

    assert ranks.page(None, None, None, backwards=False, limit=0) == [7]
    assert ranks[7] == (1, "n", "again", 7)


def test_a_bound_that_was_asked_for_before_stands_elsewhere_once_ranks_came_and_went() -> None:
    ranks, held = small_ranks([2] * 40)
    bound: Bound = (2, "n", "020")
    assert ranks.count(None, None, bound) == 20

    # Right before it, so that its block is another one then.
    for slot in range(40, 60):
        ranks.put((2, "n", f"019-{slot}", slot))
        assert ranks.count(None, None, bound) == slot - 19
    assert ranks.page(None, bound, None, backwards=False, limit=1) == [20]

    for slot in held:
        ranks.remove(slot)
        assert ranks.count(None, bound, None) == min(20, 39 - slot)


def test_steps_over_an_order_stay_in_proportion_when_it_moves_on() -> None:
    ranks, _ = small_ranks([0] * SLOTS)

    for moment in range(1, 9):
        for slot in range(SLOTS):
            ranks.put((moment, "n", f"{slot:03}", slot))

    assert ranks.blocks <= SLOTS
