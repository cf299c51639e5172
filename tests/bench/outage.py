"""What a registry that is down is still asked, with many entries standing on it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

from tests.bench.figures import Figure

from image_catalog.local.knative import CloudEvent
from image_catalog.local.registry import SampleImage
from image_catalog.models import Phase
from image_catalog.testing.pipeline import PipelineFunction
from image_catalog.testing.world import World, running_world
from image_catalog_functions.reverify import main as reverify
from image_catalog_functions.verify import main as verify

__all__ = ["measure_outage"]

_FUNCTIONS = tuple(PipelineFunction.of(module) for module in (verify, reverify))
_REPOSITORY = "bench/autosd"
_AT_ONCE = 50
"""Events that verify is handed at once, as its Service in the manifests allows."""
_UNLISTED_SHARE = 5
_BEFORE_DUE = timedelta(minutes=53)
"""Entries with the default interval are due between 54 and 60 minutes after their last check."""


async def measure_outage(folder: Path, *, entries: int, minutes: int) -> list[Figure]:
    """Let a registry die under its entries, and count what it is asked.

    Parameters
    ----------
    folder
        Where the registry keeps its content.
    entries
        How many entries stand on it.
    minutes
        How long it stays dead, by the clock of the functions.
    """
    listed = await _count(folder / "listed", entries, minutes, listed=True)
    few = max(entries // _UNLISTED_SHARE, 1)
    unlisted = await _count(folder / "unlisted", few, minutes, listed=False)
    return [
        Figure(
            name="outage_requests_per_minute",
            value=sum(listed) / minutes,
            unit="requests",
            better="lower",
            bar=2,
            note=f"{entries} Available entries of a registry with a CatalogRegistry, which refuses every connection "
            f"for {minutes} min: {sum(listed)} requests in all, {max(listed)} in the worst minute, {listed[-1]} in the "
            "last; counted where connections are made, through the real handlers of verify and reverify with a tick a "
            f"minute on a simulated clock, {_AT_ONCE} events at once. Without a CatalogRegistry ({few} entries): "
            f"{sum(unlisted) / minutes:.2f}",
        )
    ]


async def _count(folder: Path, entries: int, minutes: int, *, listed: bool) -> list[int]:
    """Return the requests of each minute of the outage."""
    async with running_world(_FUNCTIONS, folder) as world:
        if listed:
            world.add_registry()
        names = [f"image-{number}" for number in range(entries)]
        for name in names:
            world.push(SampleImage(), repository=_REPOSITORY, tag=name)
            world.pipeline.apply(world.entry_manifest(name, f"{world.registry.host}/{_REPOSITORY}:{name}"))
        await _settle(world)
        assert _phases(world) == {Phase.AVAILABLE}
        world.take_down()
        world.clock.advance(_BEFORE_DUE)
        counts = []
        for _ in range(minutes):
            before = len(world.network.requests)
            world.clock.advance(timedelta(minutes=1))
            world.pipeline.tick()
            await _settle(world)
            counts.append(len(world.network.requests) - before)
        assert _phases(world) == {Phase.UNAVAILABLE}
        return counts


async def _settle(world: World) -> None:
    """Deliver events side by side, as a broker does, until none is left."""
    turns = asyncio.Semaphore(_AT_ONCE)

    async def deliver(function: PipelineFunction, event: CloudEvent) -> None:
        async with turns:
            answer = await world.pipeline.deliver(function.name, event)
            assert answer.status_code < 300, bytes(answer.body)

    while events := world.pipeline.discard():
        await asyncio.gather(
            *(
                deliver(function, event)
                for event in events
                for function in _FUNCTIONS
                if any(trigger.matches(event.attributes) for trigger in function.triggers)
            )
        )


def _phases(world: World) -> set[Phase | None]:
    return {world.image(entry["metadata"]["name"]).status.phase for entry in world.all("catalogimages")}
