"""Hunts planted mutations: looks for a seed that catches each, and shrinks it to the plan that the tests keep.

::

    python tests/simulation/hunt.py                       # every mutation, and how soon it is caught
    python tests/simulation/hunt.py --keep "a tombstone"  # keep the plan of those whose name holds this
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
from functools import partial
from pathlib import Path

from image_catalog.testing.simulation import Outcome, Plan, make_plan, shrink

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # the mutations belong to the tests, and those are no installed package

from tests.simulation.mutations import MUTATIONS, plant  # noqa: E402 - the path comes first
from tests.simulation.run import run_plan  # noqa: E402 - the same

__all__ = ["KEPT", "MOST_SEEDS", "caught", "hunt", "read_plans"]

KEPT = Path(__file__).with_name("caught.json")
"""For each mutation the plan that catches it."""

MOST_SEEDS = 300
"""Seeds that are tried; what needs two things at one moment may take more, and has its plan."""


def caught(name: str, plan: Plan) -> Outcome | None:
    """Put a world with a mutation through a plan; return what came of it, `None` where nobody noticed."""
    mutation = MUTATIONS[name]
    with plant(mutation):
        outcome = run_plan(plan)
    violation = outcome.violation
    return outcome if violation is not None and violation.name in mutation.breaks else None


def hunt(name: str, seeds: range) -> Outcome | None:
    """Return what the first seed that catches a mutation has led to."""
    return next((found for seed in seeds if (found := caught(name, make_plan(seed))) is not None), None)


def read_plans() -> dict[str, Plan]:
    """Return the plans that are kept."""
    return {name: Plan.load(json.dumps(plan)) for name, plan in json.loads(KEPT.read_text()).items()}


def _hunted(name: str, *, keep: bool, seeds: range) -> tuple[str, str, str]:
    found = hunt(name, seeds)
    if found is None or found.violation is None:
        return name, f"NOT caught by {len(seeds)} seeds", ""
    told = f"seed {found.plan.seed}: {found.violation.name}"
    if not keep:
        return name, told, ""
    with plant(MUTATIONS[name]):
        shortest = shrink(found, run_plan)
    return name, f"{told}, kept with {len(shortest.plan.actions)} actions", shortest.plan.dump()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Hunt what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("words", nargs="?", default="", help="only mutations whose name holds this")
    parser.add_argument("--keep", action="store_true", help="shrink the plan of each and keep it for the tests")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seeds", type=int, default=MOST_SEEDS, help="how many seeds to try")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    asked = parser.parse_args()
    names = [name for name in MUTATIONS if asked.words in name]
    missed = 0
    work = partial(_hunted, keep=asked.keep, seeds=range(asked.first, asked.first + asked.seeds))
    with multiprocessing.get_context("fork").Pool(asked.jobs) as pool:
        for name, told, plan in pool.imap_unordered(work, names):
            _say(f"{name}: {told}")
            missed += not told.startswith("seed")
            if plan:
                kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
                kept[name] = json.loads(plan)
                KEPT.write_text(json.dumps(dict(sorted(kept.items())), indent=1) + "\n")
    _say(f"{len(names) - missed} of {len(names)} mutations caught within {asked.seeds} seeds")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
