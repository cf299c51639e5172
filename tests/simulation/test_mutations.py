"""Each rule that is taken away is noticed, by the short plan that a hunt has left for it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.simulation.hunt import caught, read_plans
from tests.simulation.mutations import MUTATIONS, plant
from tests.simulation.run import run_plan

from image_catalog.testing.simulation.invariants import INVARIANTS

pytestmark = pytest.mark.story

PLANS = read_plans()


def test_every_mutation_has_its_plan() -> None:
    assert PLANS.keys() == MUTATIONS.keys()
    assert len(MUTATIONS) >= 16


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_planted_mutation_is_caught(name: str) -> None:
    outcome = caught(name, PLANS[name])
    assert outcome is not None, f"nobody noticed that {MUTATIONS[name].what}"


@pytest.mark.parametrize("name", MUTATIONS)
def test_the_same_plan_breaks_no_promise_without_the_mutation(name: str) -> None:
    assert run_plan(PLANS[name]).violation is None


def test_the_sweep_alone_makes_up_for_names_that_lie() -> None:
    name = "names of later times are believed"
    lying = replace(MUTATIONS[name], swaps=MUTATIONS[name].swaps[:1])
    with plant(lying):
        assert run_plan(PLANS[name]).violation is None


def test_what_was_planted_is_taken_away_again() -> None:
    for mutation in MUTATIONS.values():
        before = [vars(swap.owner)[swap.name] for swap in mutation.swaps]
        with plant(mutation):
            assert all(vars(swap.owner)[swap.name] is not was for swap, was in zip(mutation.swaps, before, strict=True))
        assert [vars(swap.owner)[swap.name] for swap in mutation.swaps] == before


def test_mutations_break_what_is_promised() -> None:
    known = {kind.name for kind in INVARIANTS}
    for name, mutation in MUTATIONS.items():
        assert mutation.breaks <= known | {"comes-to-rest"}, name
