"""An event that no function can take ends where a person sees it, whichever function it is, and holds up no other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
from prometheus_client import REGISTRY
from typer.testing import CliRunner

from image_catalog.cli.operator import app
from image_catalog.events import EventType
from image_catalog.testing.cluster import Effect
from image_catalog.testing.registry_faults import server_error
from image_catalog.testing.world import NAMESPACE, World

pytestmark = pytest.mark.story

NAME = "poisoned"
WELL = "well"


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """One kind of database is enough here."""
    return f"sqlite:///{tmp_path / 'audit.db'}"


@pytest.fixture(autouse=True)
def logs() -> Iterator[None]:
    """Forget where the command logs to: that stream is gone when its test is."""
    yield
    structlog.reset_defaults()


async def publish(world: World) -> None:
    world.push(tag=NAME)
    world.registry.fail(server_error(), reference=NAME)
    world.pipeline.apply(world.build(NAME, url=f"quay.io/acme/autosd:{NAME}"))


async def verify(world: World) -> None:
    world.pipeline.cluster.fail(Effect.UNAVAILABLE, actor="verify", name=NAME, times=1000)
    world.pipeline.apply(world.entry_manifest(NAME, f"quay.io/acme/autosd:{NAME}"))


async def verify_request(world: World) -> None:
    await world.add(NAME, url=f"quay.io/acme/autosd:{NAME}")
    data = {"name": NAME, "namespace": NAMESPACE, "reason": "because"}
    subject = {"subject": f"{NAMESPACE}/{NAME}"}
    world.pipeline.request(EventType.VERIFICATION_REQUESTED, data, **subject)


async def cleanup(world: World) -> None:
    await world.add(NAME, url=f"quay.io/acme/autosd:{NAME}")
    world.pipeline.cluster.fail(Effect.UNAVAILABLE, actor="cleanup", name=NAME, times=1000)
    await world.remove(NAME)


async def reverify(world: World) -> None:
    world.pipeline.cluster.fail(Effect.UNAVAILABLE, actor="reverify", times=1000)
    world.pipeline.tick()


@dataclass(frozen=True, slots=True)
class Poison:
    """Whom it is given to, how, on what a person sees it, and what the letter says."""

    function: str
    give: Callable[[World], Awaitable[None]]
    kind: str | None
    why: str


POISONS = [
    pytest.param(Poison("publish", publish, "ImageBuild", "RegistryError"), id="publish"),
    pytest.param(Poison("verify", verify, "CatalogImage", "ClusterUnavailable"), id="verify"),
    pytest.param(Poison("verify", verify_request, "CatalogImage", "InvalidEvent"), id="verify, malformed"),
    pytest.param(Poison("cleanup", cleanup, "CatalogImage", "ClusterUnavailable"), id="cleanup"),
    pytest.param(Poison("reverify", reverify, None, "ClusterUnavailable"), id="reverify"),
]


def counted(function: str) -> float:
    name = "image_catalog_dead_letters_total"
    samples = (sample for metric in REGISTRY.collect() for sample in metric.samples)
    return sum(s.value for s in samples if s.name == name and s.labels["function"] == function)


async def listed(database_url: str) -> list[dict[str, Any]]:
    """Run the command that operators run."""
    arguments = ["dead-letters", "list", "-o", "json", "--database", database_url]
    ran = await asyncio.to_thread(CliRunner().invoke, app, arguments)
    assert ran.exit_code == 0, ran.output
    items: list[dict[str, Any]] = json.loads(ran.stdout)["items"]
    return items


@pytest.mark.parametrize("poison", POISONS)
async def test_what_a_function_cannot_take_is_seen_by_people(world: World, database_url: str, poison: Poison) -> None:
    before = counted(poison.function)
    with structlog.testing.capture_logs() as lines:
        await poison.give(world)
        world.push(tag=WELL)
        world.pipeline.apply(world.build(WELL, url=f"quay.io/acme/autosd:{WELL}"))
        await world.pipeline.drain()
    letters = world.pipeline.dead_letters
    assert letters
    assert {line["id"] for line in lines if line["event"] == "dead letter"} == {letter.id for letter in letters}
    assert counted(poison.function) == before + len(letters)
    items = await listed(database_url)
    assert len(items) == len(letters)
    assert all(poison.function in item["destination"] and poison.why in item["why"] for item in items)
    if poison.kind is not None:
        warnings = [note for note in world.notes(poison.kind) if note[:2] == ("Warning", "DeadLetter")]
        assert warnings
        assert all(poison.function in message for _, _, message in warnings)
    assert world.image(WELL).status.phase == "Available", "and nobody else has to wait"
