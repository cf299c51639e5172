"""The order of blows, which a seed decides."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.chaos.blows import Kind, plan_blows

LASTING = timedelta(seconds=200)


def test_a_seed_repeats_its_blows_and_another_has_others() -> None:
    assert plan_blows(7, lasting=LASTING) == plan_blows(7, lasting=LASTING)
    assert plan_blows(7, lasting=LASTING) != plan_blows(8, lasting=LASTING)


@pytest.mark.parametrize("seed", range(20))
def test_in_a_whole_run_every_part_is_struck_in_every_way_and_all_is_over_in_time(seed: int) -> None:
    blows = plan_blows(seed, lasting=LASTING)
    assert {blow.kind for blow in blows} == set(Kind)
    assert {blow.part for blow in blows} >= {"publish", "verify", "broker", "sources", "kubernetes", "registry"}
    assert sorted(blows, key=lambda blow: blow.at) == blows
    assert all(blow.at + blow.lasts <= LASTING for blow in blows)
