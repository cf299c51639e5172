"""How long it takes from the write that completes a build to an Available entry, on the whole local stack."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial

from tests.bench.builds import Arrivals, complete, create_build, published, push_image, watching
from tests.bench.figures import Figure, quantile
from tests.bench.others import running_stack
from tests.bench.sharing import Shared

from image_catalog.local.stack import LocalStack

__all__ = ["measure_publishing"]

_WARM_UP = 5


async def measure_publishing(shared: Shared, *, builds: int, whole: bool) -> list[Figure]:
    """Complete builds one after another, then as many at once.

    Parameters
    ----------
    shared
        Starts the stack.
    builds
        How many of each.
    whole
        Whether every function runs; else those alone that builds cannot do without.
    """
    async with (
        shared.running("stack", partial(running_stack, whole=whole)) as (stack, _),
        watching(stack) as arrivals,
    ):
        names = {
            kind: [f"{kind}-{i}" for i in range(count)]
            for kind, count in (("warm", min(_WARM_UP, builds)), ("single", builds), ("burst", builds))
        }
        for name in (name for group in names.values() for name in group):
            push_image(stack, name)
            await create_build(stack, name)
        await _one_by_one(stack, arrivals, names["warm"])
        single = await _one_by_one(stack, arrivals, names["single"])
        await stack.knative.wait_idle()
        burst = await asyncio.gather(*(_publish(stack, arrivals, name) for name in names["burst"]))
    how = (
        "from the status write that completes the ImageBuild to the entry Available, seen by a watch; "
        "embedded API, broker and registry in one process, each function a functions-framework process of its own"
    )
    return [
        *_figures("publish_latency", single, f"{builds} builds one after another, {how}"),
        *_figures("publish_burst_latency", burst, f"{builds} builds at once, {how}"),
    ]


async def _one_by_one(stack: LocalStack, arrivals: Arrivals, names: Iterable[str]) -> list[float]:
    taken = []
    for name in names:
        taken.append(await _publish(stack, arrivals, name))
        # The next build meets a stack at rest: what this one still sets off is not the next one's to wait for.
        await stack.knative.wait_idle()
    return taken


async def _publish(stack: LocalStack, arrivals: Arrivals, name: str) -> float:
    return await published(arrivals, name, await complete(stack, name))


def _figures(name: str, taken: list[float], how: str) -> list[Figure]:
    note = f"{how}; {min(taken):.0f} to {max(taken):.0f} ms"
    return [
        Figure(name=f"{name}_ms_p50", value=quantile(taken, 0.5), unit="ms", better="lower", note=note),
        Figure(name=f"{name}_ms_p99", value=quantile(taken, 0.99), unit="ms", better="lower", note=note),
    ]
