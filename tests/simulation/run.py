"""Runs many seeds, on every core; or one, with its story.

::

    python tests/simulation/run.py --seeds 20000
    python tests/simulation/run.py --seed 123
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from image_catalog.testing.pipeline import PipelineFunction
from image_catalog.testing.simulation import FAULTS, Outcome, Plan, make_plan, shrink, simulate, tell
from image_catalog_functions.audit import main as audit
from image_catalog_functions.cleanup import main as cleanup
from image_catalog_functions.publish import main as publish
from image_catalog_functions.reverify import main as reverify
from image_catalog_functions.verify import main as verify

__all__ = ["FUNCTIONS", "run_plan", "run_seed"]

FUNCTIONS = tuple(PipelineFunction.of(module) for module in (publish, verify, reverify, cleanup, audit))
"""Every function, as the simulation runs it."""

_LEAST = 0.01
"""The share of the seeds in which each kind of fault has to strike, once there are enough of them to tell."""

_ENOUGH = 2000

_COLLECT_EVERY = 25
"""Seeds between two collections of garbage, of which a loop that is given up leaves much."""

_TOLD_EVERY = 1000
"""Seeds between two words of how far it is."""

_TOLD = 3
"""Failing seeds that are shrunk and told; more would say the same."""


@dataclass(frozen=True, slots=True)
class _Result:
    """What one process sends back of a seed."""

    seed: int
    broken: str
    steps: int
    cpu: float
    strikes: Counter[str]


def run_plan(plan: Plan) -> Outcome:
    """Put a world through a plan."""
    return simulate(plan, FUNCTIONS)


def run_seed(seed: int) -> Outcome:
    """Put a world through the plan of a seed."""
    return run_plan(make_plan(seed))


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def _measure(seed: int) -> _Result:
    started = time.process_time()
    outcome = run_seed(seed)
    if seed % _COLLECT_EVERY == 0:
        gc.collect()
    broken = f"{outcome.violation.name}: {outcome.violation.text}" if outcome.violation else ""
    return _Result(seed, broken, outcome.steps, time.process_time() - started, outcome.strikes)


def _measured(seeds: range, jobs: int) -> Iterator[_Result]:
    if jobs == 1:
        yield from map(_measure, seeds)
        return
    # What is imported late is imported before the processes part: they share it, whatever becomes of the files.
    run_seed(seeds[0])
    gc.collect()
    gc.freeze()
    gc.disable()  # What a world leaves behind is collected every so often, and not what all of them share.
    with multiprocessing.get_context("fork").Pool(jobs, maxtasksperchild=2000) as pool:
        yield from pool.imap_unordered(_measure, seeds, chunksize=10)


def _replay(plan: Plan, *, full: bool) -> int:
    outcome = run_plan(plan)
    if outcome.violation is None:
        _say(*tell(outcome, every=full))
        _say(f"\nseed {plan.seed} keeps every promise: {outcome.steps} steps in {outcome.seconds:.0f} virtual seconds")
        return 0
    shortest = shrink(outcome, run_plan)
    _say(*tell(shortest, every=full))
    before, after = len(plan.actions), len(shortest.plan.actions)
    _say(f"\nshrunk from {before} to {after} actions; replay with: make simulate SEED={plan.seed}")
    return 1


def _many(seeds: range, jobs: int) -> int:
    started = time.perf_counter()
    count = steps = 0
    cpu = 0.0
    struck: Counter[str] = Counter()
    broken: dict[int, str] = {}
    for result in _measured(seeds, jobs):
        count, steps, cpu = count + 1, steps + result.steps, cpu + result.cpu
        struck.update(set(result.strikes))
        if result.broken:
            broken[result.seed] = result.broken
            _say(f"seed {result.seed} breaks {result.broken[:300]}")
        if count % _TOLD_EVERY == 0 and count < len(seeds):
            _say(f"{count} of {len(seeds)} seeds, {len(broken)} broken promises")
    wall = time.perf_counter() - started
    _say(f"\n{count} seeds, {steps} steps, {len(broken)} broken promises; {cpu:.0f} s of CPU in {wall:.0f} s")
    _say(
        f"{count / wall:.1f} seeds/s, {steps / wall:.0f} steps/s; "
        f"{count / cpu:.1f} seeds and {steps / cpu:.0f} steps per second of CPU\n"
    )
    rare = []
    for fault in FAULTS:
        share = struck[fault] / count
        mark = " "
        if share < _LEAST and count >= _ENOUGH:
            rare.append(fault)
            mark = "!"
        _say(f" {mark} {fault:<24} struck in {share:7.2%} of the seeds")
    if rare:
        _say(f"\ntoo rare to say anything: {', '.join(rare)}")
    for seed in sorted(broken)[:_TOLD]:
        _say(f"\n{'=' * 100}")
        _replay(make_plan(seed), full=False)
    return 1 if broken or rare else 0


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seed", type=int, help="replay one seed and tell its story")
    parser.add_argument("--plan", type=Path, help="replay a plan that was written down")
    parser.add_argument("--seeds", type=int, default=3000, help="how many seeds to run")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--full", action="store_true", help="tell also what led to nothing")
    asked = parser.parse_args()
    if asked.plan is not None:
        return _replay(Plan.load(asked.plan.read_text()), full=asked.full)
    if asked.seed is not None:
        return _replay(make_plan(asked.seed), full=asked.full)
    return _many(range(asked.first, asked.first + asked.seeds), asked.jobs)


if __name__ == "__main__":
    sys.exit(main())
