"""How many requests to the API server one more verification takes."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path

from tests.bench.figures import Figure

from image_catalog.config import Settings
from image_catalog.models import Phase
from image_catalog.testing.pipeline import PipelineFunction
from image_catalog.testing.registry import BearerAuth
from image_catalog.testing.world import World, running_world
from image_catalog_functions.audit import main as audit
from image_catalog_functions.cleanup import main as cleanup
from image_catalog_functions.publish import main as publish
from image_catalog_functions.reverify import main as reverify
from image_catalog_functions.verify import main as verify

__all__ = ["measure_verification_requests"]

_FUNCTIONS = tuple(PipelineFunction.of(module) for module in (publish, verify, reverify, cleanup, audit))


async def measure_verification_requests(folder: Path, *, few: int, many: int) -> list[Figure]:
    """Have few entries checked at a tick, and then many, and count what everybody asks of the API server.

    Parameters
    ----------
    folder
        Where the registry keeps its content.
    few, many
        How many entries are due at once.
    """
    settings = Settings(reverify_batch=many)
    async with running_world(_FUNCTIONS, folder, auth=BearerAuth(), settings=settings) as world:
        account = world.registry.account("robot")
        world.registry.restrict("acme", account)
        world.allow_secrets()
        world.add_secret("pull", account)
        first = await _round(world, few)
        second = await _round(world, many)
    more = second - first
    each = more.total() / (many - few)
    listed = ", ".join(f"{count / (many - few):.3g} × {call}" for call, count in more.most_common())
    constant = ", ".join(
        f"{first[call] - few * more[call] / (many - few):.0f} × {call}"
        for call in first
        if first[call] * (many - few) > few * more[call]
    )
    return [
        Figure(
            name="kubernetes_requests_per_verification",
            value=each,
            unit="requests",
            better="lower",
            bar=2,
            note=f"of all functions together, for one more of the entries that are due at a tick and unchanged, each "
            f"with an authSecretRef: {many} entries less {few}: {listed}; whatever the number of entries, a tick takes "
            f"{constant}",
        )
    ]


async def _round(world: World, entries: int) -> Counter[str]:
    """Add entries up to a number, let an hour pass, and count what their check takes."""
    present = len(world.all("catalogimages"))
    for number in range(present, entries):
        world.push(tag=f"v{number}")
        await world.add(f"v{number}", url=f"quay.io/acme/autosd:v{number}", authSecretRef={"name": "pull"})
    world.clock.advance(timedelta(hours=2))
    await _check(world, entries)  # Of those that were added last, the first regular check.
    world.clock.advance(timedelta(hours=2))
    world.pipeline.cluster.calls.clear()
    await _check(world, entries)
    calls = world.pipeline.cluster.calls
    return Counter(f"{call.actor} {call.verb} {call.resource} {call.subresource}".strip() for call in calls)


async def _check(world: World, entries: int) -> None:
    begun = world.clock.now()
    world.pipeline.tick()
    await world.pipeline.drain()
    for number in range(entries):
        status = world.image(f"v{number}").status
        assert status.phase is Phase.AVAILABLE, status
        assert status.last_verification_time is not None
        assert status.last_verification_time >= begun.replace(microsecond=0), "it was not due"
