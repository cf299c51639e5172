"""One plan in, one outcome out."""

from __future__ import annotations

import gc
import logging
import shutil
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from image_catalog.testing.pipeline_functions import PipelineFunction
from image_catalog.testing.planted import MADE
from image_catalog.testing.simulation.invariants import DeliverySeen, Invariant, Violation, make_invariants
from image_catalog.testing.simulation.journal import Entry
from image_catalog.testing.simulation.plan import Plan
from image_catalog.testing.simulation.virtual_time import StandstillError, VirtualLoop, run_virtually
from image_catalog.testing.simulation.world import SimulatedWorld

__all__ = ["Outcome", "simulate"]


_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of an unguessable name is made in it
"""Where files cost no time: a seed makes and removes some fifty folders."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a plan.

    Attributes
    ----------
    plan
        The plan.
    violation
        The promise that was broken first; `None` if all were kept.
    steps
        How many things happened.
    seconds
        How long it took, by the world's own clock.
    trace
        A digest of everything that happened, in order.
    strikes
        How often each kind of fault took effect.
    entries
        Everything that happened, in order.
    crashes
        What functions logged of errors that nobody foresaw.
    """

    plan: Plan
    violation: Violation | None
    steps: int
    seconds: float
    trace: str
    strikes: Counter[str]
    entries: Sequence[Entry] = field(repr=False)
    crashes: Sequence[str] = ()


def simulate(
    plan: Plan,
    functions: Iterable[PipelineFunction],
    *,
    invariants: Callable[[], Iterable[Invariant]] = make_invariants,
) -> Outcome:
    """Put a world through a plan.

    Runs an event loop of its own, so nothing that calls it may be running in one.

    Parameters
    ----------
    plan
        What happens.
    functions
        What it happens to.
    invariants
        Makes what must hold, anew for each run.

    Raises
    ------
    Exception
        Whatever an invariant raises that is no `Violation`: its own mistake.
    """
    root = Path(tempfile.mkdtemp(prefix="simulation-", dir=_MEMORY if _MEMORY.is_dir() else None))
    worlds: list[SimulatedWorld] = []

    async def run(loop: VirtualLoop) -> float:
        world = SimulatedWorld(plan, functions=functions, invariants=invariants(), root=root, loop=loop)
        worlds.append(world)
        try:
            await world.run()
        except StandstillError as e:
            world.journal.fail("comes-to-rest", str(e))
        return loop.seconds

    try:
        with _only_crashes() as crashes:
            seconds = run_virtually(run)
    finally:
        shutil.rmtree(root, ignore_errors=True)
        MADE.forget()
    journal = worlds[0].journal
    if journal.trouble is not None:
        raise journal.trouble
    if journal.violation is None:
        crashed = next((e for e in journal.entries if isinstance(e, DeliverySeen) and e.status == 500), None)  # noqa: PLR2004 - what an unforeseen error becomes
        if crashed is not None:
            journal.fail(
                "no-function-crashes", f"{crashed.function} answered 500 to {crashed.event.id}: {crashes[-1:]}"
            )
    return Outcome(
        plan=plan,
        violation=journal.violation,
        steps=len(journal.entries) + sum(e.calls for e in journal.entries if isinstance(e, DeliverySeen)),
        seconds=seconds,
        trace=journal.trace,
        strikes=journal.strikes,
        entries=tuple(journal.entries),
        crashes=tuple(crashes),
    )


@contextmanager
def _only_crashes() -> Iterator[list[str]]:
    """Keep the functions' logs from being written, and keep the tracebacks in them; collect no garbage meanwhile."""
    crashes: list[str] = []

    def keep(_: Any, __: str, event: MutableMapping[str, Any]) -> str:
        error = event.get("exc_info")
        if isinstance(error, BaseException):
            crashes.append("".join(traceback.format_exception(error)))
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(
        processors=[keep],
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        cache_logger_on_first_use=False,
    )
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield crashes
    finally:
        structlog.configure(**before)
        if collecting:
            gc.enable()
