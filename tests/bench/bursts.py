"""What a burst of builds costs, in time and in memory of the functions, and what a registry that hangs costs others."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tests.bench.builds import Arrivals, complete, create_build, published, push_image, watching
from tests.bench.figures import Figure
from tests.bench.others import running_stack
from tests.bench.sharing import Shared
from tests.bench.slow_registry import measure_slow_registry

from image_catalog.local.stack import LocalStack

__all__ = ["measure_bursts"]

_AT_ONCE = 64
"""Completions on their way to the API server at once: as fast as it takes them."""
_PROC = Path("/proc")
_BAR = 48
"""MiB: what five processes differ by from run to run; one event of each build kept would be thrice that."""
_FUNCTIONS = ("publish", "verify", "cleanup", "reverify", "audit")


async def measure_bursts(
    shared: Shared, *, small: int, large: int, seconds: float, pairs: int, whole: bool
) -> list[Figure]:
    """Complete few builds at once and then many, in the same processes; then let a registry hang.

    Parameters
    ----------
    shared
        Starts the stacks.
    small, large
        Builds of each burst.
    seconds, pairs
        How long a turn lasts with the registry that hangs, and without it, and how many there are of each.
    whole
        Whether every function runs while the builds complete; else those alone that they cannot do without.
    """
    async with shared.running("stack", partial(running_stack, whole=whole)) as (stack, deliveries):
        figures = await _measure_burst(stack, small=small, large=large)
        if not whole:
            return figures + await measure_slow_registry(stack, deliveries, seconds=seconds, pairs=pairs)
    async with shared.running("second stack", partial(running_stack, whole=False)) as (stack, deliveries):
        return figures + await measure_slow_registry(stack, deliveries, seconds=seconds, pairs=pairs)


async def _measure_burst(stack: LocalStack, *, small: int, large: int) -> list[Figure]:
    async with watching(stack) as arrivals:
        await _burst(stack, arrivals, "first", max(small // 10, 1))
        await _burst(stack, arrivals, "small", small)
        before = await _peaks(stack)
        seconds, drained = await _burst(stack, arrivals, "large", large)
        after = await _peaks(stack)
    growth = {name: after[name] - before[name] for name in before}
    parts = ", ".join(f"{name} {after[name]:.0f} ({growth[name]:+.1f})" for name in growth)
    return [
        Figure(
            name="burst_5000_builds_seconds",
            value=seconds,
            unit="s",
            better="lower",
            note=f"{large} ImageBuilds completed over the API, {_AT_ONCE} writes at once, until every entry is "
            f"Available, seen by a watch; {large / seconds:.0f} a second; all events were done in {drained:.1f} s. "
            "Embedded API, broker and registry in one process, each function a functions-framework process of its own",
        ),
        Figure(
            name="burst_rss_growth_mb",
            value=max(sum(growth.values()), 0),
            unit="MiB",
            better="lower",
            bar=_BAR,
            note=f"peak resident memory (VmHWM) of the functions' processes after the burst of {large}, less that "
            f"after one of {small} before it: {parts}",
        ),
    ]


async def _burst(stack: LocalStack, arrivals: Arrivals, kind: str, count: int) -> tuple[float, float]:
    """Complete builds at once; return the seconds until all are published, and until nothing is under way."""
    names = [f"{kind}-{number}" for number in range(count)]
    for name in names:
        push_image(stack, name)
        await create_build(stack, name)
    await stack.knative.wait_idle()
    turns = asyncio.Semaphore(_AT_ONCE)

    async def publish(name: str) -> None:
        async with turns:
            begun = await complete(stack, name)
        await published(arrivals, name, begun)

    begun = time.perf_counter()
    await asyncio.gather(*(publish(name) for name in names))
    seconds = time.perf_counter() - begun
    await stack.knative.wait_idle()
    return seconds, time.perf_counter() - begun


async def _peaks(stack: LocalStack) -> dict[str, float]:
    """Return the peak resident memory of each function in MiB, its server and workers together."""
    # What reads the catalog page by page does so at ticks: each peak has one in it, whenever the clock has its own.
    await stack.knative.tick()
    await stack.knative.wait_idle()
    return {
        name: sum(_peak(pid) for pid in _group(process.pid)) / 1024
        for name, process in stack.functions.items()
        if name in _FUNCTIONS and process.pid is not None
    }


def _peak(pid: int) -> int:
    lines = (_PROC / str(pid) / "status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1])


def _group(leader: int) -> Sequence[int]:
    """Return the processes of a function: each is a group of its own."""
    return [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit() and _is_in(leader, int(entry.name))]


def _is_in(leader: int, pid: int) -> bool:
    try:
        return os.getpgid(pid) == leader
    except ProcessLookupError:
        return False
