"""Finds the shortest plan that still breaks the same promise."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

from image_catalog.testing.simulation.actions import Action
from image_catalog.testing.simulation.plan import Plan
from image_catalog.testing.simulation.simulating import Outcome

__all__ = ["shrink"]

_PATIENCE = timedelta(minutes=2)


def shrink(
    outcome: Outcome,
    run: Callable[[Plan], Outcome],
    *,
    patience: timedelta = _PATIENCE,
) -> Outcome:
    """Leave out and simplify actions for as long as the same promise is broken.

    Halves are left out first, then quarters, down to single actions; then each
    that is left is replaced by what is simpler. Everything begins anew after a
    success, until nothing helps any more.

    Parameters
    ----------
    outcome
        Of the failing plan.
    run
        Puts a world through a plan.
    patience
        Real time after which the shortest plan so far is good enough.

    Returns
    -------
    Outcome
        Of the shortest plan.
    """
    if outcome.violation is None:
        return outcome
    return _Shrinker(outcome, run, give_up_at=time.monotonic() + patience.total_seconds()).shrink()


class _Shrinker:
    def __init__(self, outcome: Outcome, run: Callable[[Plan], Outcome], *, give_up_at: float) -> None:
        self._best = outcome
        self._run = run
        self._give_up_at = give_up_at
        self._tried: set[str] = set()

    def shrink(self) -> Outcome:
        """Return the best of what was found."""
        while self._leave_out() or self._simplify():
            pass
        return self._best

    def _leave_out(self) -> bool:
        """Try to do without some actions, many at first."""
        found = False
        size = max(1, len(self._best.plan.actions) // 2)
        while True:
            start = 0
            while start < len(self._best.plan.actions):
                actions = self._best.plan.actions
                if self._still_fails((*actions[:start], *actions[start + size :])):
                    found = True
                else:
                    start += size
            if size == 1:
                return found
            size //= 2

    def _simplify(self) -> bool:
        """Try to replace single actions, and the length of the world, by simpler ones."""
        found = False
        for index, action in enumerate(self._best.plan.actions):
            for simpler in action.simpler():
                actions = self._best.plan.actions
                if self._still_fails((*actions[:index], simpler, *actions[index + 1 :])):
                    found = True
                    break
        last = max((at for action in self._best.plan.actions if (at := getattr(action, "at", None))), default=0.0)
        for lasts in (last + 60, last + 600):
            if lasts < self._best.plan.lasts and self._still_fails(self._best.plan.actions, lasts=lasts):
                return True
        return found

    def _still_fails(self, actions: Sequence[Action], **changes: float) -> bool:
        plan = replace(self._best.plan, actions=tuple(actions), **changes)  # type: ignore[arg-type]  # times are numbers
        written = plan.dump()
        if written in self._tried or time.monotonic() > self._give_up_at:
            return False
        self._tried.add(written)
        outcome = self._run(plan)
        broken = self._best.violation
        if outcome.violation is None or broken is None or outcome.violation.name != broken.name:
            return False
        self._best = outcome
        return True
