"""A story is played and scraped twice: every panel of the dashboard shows something, and alerts know their trouble."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import httpx
import pytest
import yaml
from pydantic import SecretStr

from image_catalog.config import Settings
from image_catalog.metrics import exposition
from image_catalog.testing.promql import Prometheus, Vector, parse, selectors
from image_catalog.testing.registry_faults import server_error
from image_catalog.testing.world import NAMESPACE, World

pytestmark = pytest.mark.story

MONITORING = Path(__file__).parents[2] / "knative" / "monitoring"
DASHBOARD = json.loads((MONITORING / "dashboard.json").read_text())
ALERTS = {
    rule["alert"]: rule
    for group in yaml.safe_load((MONITORING / "rules.yaml").read_text())["groups"]
    for rule in group["rules"]
}
QUERIES = {
    f"{panel['title']}, {target['refId']}": target["expr"]
    for panel in DASHBOARD["panels"]
    for target in panel.get("targets", ())
}
TARGET = {"job": "image-catalog/image-catalog", "service": "all", "pod": "one"}
IMAGES = "/api/v1alpha1/catalog/images"
Open = Callable[[World], AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Give every function a database."""
    return Settings(database_url=SecretStr(f"sqlite:///{tmp_path / 'audit.db'}"), default_namespace=NAMESPACE)


async def use(api: httpx.AsyncClient, name: str) -> None:
    """Ask the API as people and boards do."""
    for _ in range(3):
        assert (await api.get(IMAGES)).status_code == 200
    assert (await api.get(f"{IMAGES}/{name}/history")).status_code == 200
    assert (await api.post(f"{IMAGES}/{name}/verify")).status_code == 200
    board = {"target": "qemu", "architecture": "arm64"}
    assert (await api.get("/api/v1alpha1/catalog/resolve", params=board)).status_code == 200


async def fail(world: World, number: int) -> None:
    """Let a registry die, an event be given up, and everybody come back."""
    world.take_down()
    # Until nobody asks any more, and one more.
    for _ in range(3):
        await world.pass_time(hours=2)
    world.bring_back()
    await world.pass_time(minutes=2)
    world.push(tag=f"poison-{number}")
    with world.registry.failing(server_error()):
        await world.complete(f"poison-{number}", url=f"quay.io/acme/autosd:poison-{number}")


async def play(world: World, open_api: Open, number: int) -> None:
    """Let builds complete, people ask, registries fail and time pass."""
    world.add_registry()
    for name in (f"early-{number}", f"late-{number}"):
        world.push(name, tag=name)
        await world.complete(name, url=f"quay.io/acme/autosd:{name}")
    async with open_api(world) as api:
        api.headers["Authorization"] = f"Bearer {world.pipeline.cluster.server.admin_token}"
        await use(api, f"early-{number}")
    await fail(world, number)
    await world.pass_time(hours=2)


@pytest.fixture
async def prometheus(world: World, open_api: Open) -> Prometheus:
    """Scrape what every process of the story shows, once after each of two rounds."""
    kept = Prometheus.empty()
    for number, at in ((1, 0.0), (2, 240.0)):
        await play(world, open_api, number)
        kept.scrape(exposition("")[0].decode(), at=at, **TARGET)
    return kept


async def test_panels_and_alerts_are_about_what_processes_show(prometheus: Prometheus) -> None:
    empty = [title for title, query in QUERIES.items() if not shows_anything(prometheus.query(query, at=240))]
    assert empty == ["Availability over 24 hours, A"]

    for name, rule in ALERTS.items():
        for selector in selectors(parse(rule["expr"])):
            if selector.name == "image_catalog_registry_availability_ratio":
                continue
            shown = [dict(series) for series in prometheus.points if dict(series)["__name__"] == selector.name]
            assert shown, f"{name} is about {selector.name}, which nobody shows"
            asked = {matcher.name for matcher in selector.matchers.matchers}
            assert asked <= shown[0].keys(), f"{name} asks for labels that {selector.name} does not have"

    fire = {name for name, rule in ALERTS.items() if prometheus.query(rule["expr"], at=240)}
    assert "ImageCatalogDeadLetters" in fire
    assert "ImageCatalogNoTicks" not in fire


def shows_anything(found: Vector) -> bool:
    """Tell whether there is a number to be drawn."""
    return any(math.isfinite(value) for value in found.values())
