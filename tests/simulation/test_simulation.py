"""A few hundred seeds of the simulator, and what makes its answers worth anything."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import pytest

from image_catalog.testing.simulation import FAULTS, Outcome, Plan, make_plan, shrink, simulate, tell
from image_catalog.testing.simulation.actions import BuildCompleted, BuildStarted, Crowd, EntryRemoved
from image_catalog.testing.simulation.invariants import EventSeen, Invariant, Violation
from image_catalog.testing.simulation.troubles import CallTrouble, EventTrouble, Killed, RegistryTrouble

_SEEDS = 200
_GROUPS = 8
"""So that the seeds can be shared out among test processes."""


class _NothingIsRemoved(Invariant):
    """A promise that nobody made, to be broken."""

    name = "nothing-is-removed"

    def on_event(self, event: EventSeen) -> None:
        """Complain of the first removal."""
        if event.event.type.endswith("image.removed"):
            self.broken(f"{event.event.subject} was removed")


@pytest.fixture(scope="module")
def run_plan(runner: ModuleType) -> Callable[[Plan], Outcome]:
    """Return what puts the real functions through a plan."""
    return lambda plan: simulate(plan, runner.FUNCTIONS)


@pytest.fixture(scope="module")
def run_removals(runner: ModuleType) -> Callable[[Plan], Outcome]:
    """Return what lets a plan fail whose world removes an entry."""
    return lambda plan: simulate(plan, runner.FUNCTIONS, invariants=lambda: [_NothingIsRemoved()])


def _removal(seed: int = 1) -> Plan:
    return Plan(
        seed=seed,
        lasts=1200,
        actions=(
            BuildStarted(at=10.0, namespace="team-a", build="other", image=1),
            BuildStarted(at=12.3, namespace="team-a", build="one", image=0),
            BuildCompleted(at=61.7, namespace="team-a", build="one", content=1),
            RegistryTrouble(at=100.0, host="quay.io", kind="slow", lasts=60.0),
            Crowd(at=130.0, namespace="team-b", image=2, count=4),
            EntryRemoved(at=402.9, namespace="team-a", image=0),
            CallTrouble(effect="CONFLICT", actor="publish", verb="patch", resource="catalogimages"),
            EventTrouble(event="CatalogImage update", nth=2, kind="twice", delay=3.0),
        ),
    )


@pytest.mark.story
@pytest.mark.parametrize("group", range(_GROUPS))
def test_every_promise_is_kept_in_worlds_in_which_everything_goes_wrong(
    run_plan: Callable[[Plan], Outcome], group: int
) -> None:
    for seed in range(group, _SEEDS, _GROUPS):
        outcome = run_plan(make_plan(seed))
        assert outcome.violation is None, f"{outcome.violation}\nreplay with: make simulate SEED={seed}"


@pytest.mark.story
def test_a_plan_always_runs_the_same_here_and_in_other_processes(run_plan: Callable[[Plan], Outcome]) -> None:
    """Neither the order of sets nor anything else of a process gets into a world, this one's past included."""
    seeds = (3, 29, 31)
    script = f"import run; print(*(run.run_seed(seed).trace for seed in {seeds}))"
    # This process draws its own, unless it was given one.
    hashing = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parent,
        env={**os.environ, "PYTHONHASHSEED": hashing},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    outcomes = [run_plan(make_plan(seed)) for seed in seeds]
    again = [run_plan(make_plan(seed)) for seed in seeds[:2]]
    traces = [outcome.trace for outcome in outcomes]
    assert done.stdout.split() == traces
    assert [outcome.trace for outcome in again] == traces[:2]
    assert [outcome.strikes for outcome in again] == [outcome.strikes for outcome in outcomes[:2]]
    assert len(set(traces)) == len(seeds), "another plan runs differently"


def test_shrinking_leaves_what_breaks_the_promise_and_nothing_else() -> None:
    needed = {BuildStarted, BuildCompleted, EntryRemoved}

    def run(plan: Plan) -> Outcome:
        kinds = {type(action) for action in plan.actions}
        broken = Violation("nothing-is-removed", "an entry was") if needed <= kinds else None
        return Outcome(plan=plan, violation=broken, steps=0, seconds=0.0, trace="", strikes=Counter(), entries=())

    shortest = shrink(run(_removal()), run)
    assert [type(action) for action in shortest.plan.actions] == [BuildStarted, BuildCompleted, EntryRemoved]
    assert shortest.plan.lasts < _removal().lasts
    kept = shrink(run(_removal()), run, patience=timedelta())
    assert kept.plan == _removal(), "nobody waits any longer"


@pytest.mark.story
def test_a_failing_plan_is_shrunk_to_what_it_takes(run_removals: Callable[[Plan], Outcome]) -> None:
    outcome = run_removals(_removal())
    assert outcome.violation is not None
    shortest = shrink(outcome, run_removals)
    assert [type(action) for action in shortest.plan.actions] == [BuildStarted, BuildCompleted, EntryRemoved]
    assert shortest.violation is not None
    assert shortest.violation.name == "nothing-is-removed"
    assert all(getattr(action, "at", 0.0) % 1 == 0 for action in shortest.plan.actions), "the times are round"


def test_a_story_tells_who_did_what_and_what_broke(run_removals: Callable[[Plan], Outcome]) -> None:
    story = "\n".join(tell(run_removals(_removal())))
    for words in (
        "** build team-a/one has pushed content 1 to quay.io/acme/autosd:cs9",
        "publish gets ImageBuild update of team-a/imagebuilds/one",
        "asks GET quay.io/v2/acme/autosd/manifests/cs9: 200",
        "emits image.published of team-a/one",
        "** kubectl delete team-a/one",
        "!! publish: patch catalogimages/team-a/one/status meets conflict",
        "BROKEN: nothing-is-removed",
    ):
        assert words in story


def test_a_function_that_is_killed_gets_its_event_again(run_plan: Callable[[Plan], Outcome]) -> None:
    killed = Killed(function="publish", delivery=1, request=7, after=True)
    plan = _removal()
    outcome = run_plan(Plan(seed=1, lasts=300, actions=(*plan.actions[1:3], killed)))
    assert outcome.violation is None
    assert outcome.strikes == {"function killed": 1}
    assert any("publish is killed after request 7" in line for line in tell(outcome))


@pytest.mark.parametrize("seed", range(0, 200, 20))
def test_a_plan_can_be_written_down(seed: int) -> None:
    plan = make_plan(seed)
    assert Plan.load(plan.dump()) == plan


def test_plans_have_faults_of_every_kind() -> None:
    planned = {action.fault for seed in range(1000) for action in make_plan(seed).actions} - {None}
    assert planned == set(FAULTS)
