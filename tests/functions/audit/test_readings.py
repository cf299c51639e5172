"""What the history says of events that read as something else at first sight."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from image_catalog.events import EventType
from image_catalog.testing.world import World

BOARD = "rpi4"


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """One kind of database is enough here."""
    return f"sqlite:///{tmp_path / 'audit.db'}"


@pytest.mark.parametrize("result", ["passed", "failed", "skipped"])
async def test_a_report_succeeded_whatever_the_test_found(world: World, told: Any, result: str) -> None:
    digest = world.push().digest
    await world.add(metadata={"architecture": "amd64", "distro": "autosd", "targets": [{"name": BOARD}]})
    report = {"name": "autosd", "namespace": "team-a", "digest": digest, "target": BOARD, "result": result}
    world.pipeline.request(EventType.TEST_REPORTED, report, id="run-1")
    await world.pipeline.drain()
    (record,) = await told.records(kinds=("test.reported",))
    assert (record.outcome, record.message, record.confirmed) == ("succeeded", f"reported: {result} on {BOARD}", True)


async def test_what_the_sweep_asks_for_is_asked_by_the_function(world: World, told: Any) -> None:
    world.push()
    build = world.build()
    world.pipeline.sources_run = False
    world.pipeline.apply(build)
    world.pipeline.sources_run = True
    await world.pass_time(hours=1)
    world.pipeline.sweep()
    await world.pipeline.drain()
    by_itself = ("publish.requested", "image-catalog-reverify", "succeeded", False)
    assert (await told.lines())[:2] == [by_itself, ("image.published", "ImageBuild team-a/autosd", "succeeded", True)]


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param({"registryUrl": "quay.io/acme/autosd:cs9"}, id="an image"),
        pytest.param({"imageBuild": {"name": "autosd", "namespace": "team-a"}}, id="a build"),
        pytest.param({"registryUrl": "quay.io/acme/autosd:cs9", "automatic": True}, id="an image as if by itself"),
    ],
)
async def test_what_a_stranger_asks_for_is_asked_by_nobody_who_is_known(
    world: World, told: Any, asked: dict[str, Any]
) -> None:
    world.pipeline.request(EventType.PUBLISH_REQUESTED, {"namespace": "team-a", **asked}, id="stranger")
    await world.pipeline.drain()
    assert [record.actor for record in await told.records(kinds=("publish.requested",))] == ["unauthenticated"]
