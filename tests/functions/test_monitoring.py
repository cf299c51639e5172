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
from image_catalog.local.registry import SampleImage
from image_catalog.metrics import exposition
from image_catalog.testing.notifications import listen, quay_notification
from image_catalog.testing.promql import Prometheus, Vector, parse, selectors
from image_catalog.testing.registry import FakeRegistry
from image_catalog.testing.registry_faults import server_error
from image_catalog.testing.world import NAMESPACE, World

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


async def push(world: World, api: httpx.AsyncClient, limited: FakeRegistry, number: int) -> None:
    """Fill a registry that allows little, and let it tell of a push."""
    token = listen(world, "quay", registry="limited", host=limited.host, limits={"requests": 10, "period": "1h"})
    for tag in range(4):
        name = f"limited-{number}-{tag}"
        limited.put(SampleImage(name=name), "acme/autosd", name)
        await world.add(name, f"{limited.host}/acme/autosd:{name}")
    world.pipeline.sweep()
    await world.pass_time(minutes=1)
    told = quay_notification(tags=[f"limited-{number}-0"])
    answer = await api.post("/api/v1alpha1/catalog/notifications/limited", json=told, headers=bearer(token))
    assert answer.status_code == 202


def bearer(token: str) -> dict[str, str]:
    """Return the header that shows a token."""
    return {"Authorization": f"Bearer {token}"}


async def play(world: World, open_api: Open, limited: FakeRegistry, number: int) -> None:
    """Let builds complete, people ask, registries fail and time pass."""
    world.add_registry()
    for name in (f"early-{number}", f"late-{number}"):
        world.push(name, tag=name)
        await world.complete(name, url=f"quay.io/acme/autosd:{name}")
    async with open_api(world) as api:
        await push(world, api, limited, number)
        api.headers.update(bearer(world.pipeline.cluster.server.admin_token))
        await use(api, f"early-{number}")
    await fail(world, number)
    await world.pass_time(hours=2)


@pytest.fixture
async def prometheus(world: World, open_api: Open, tmp_path: Path) -> Prometheus:
    """Scrape what every process of the story shows, once after each of two rounds."""
    limited = FakeRegistry(tmp_path / "limited", host="limited.test")
    limited.scheme = "https"
    world.network.serve_app("https://limited.test", limited)
    kept = Prometheus.empty()
    for number, at in ((1, 0.0), (2, 240.0)):
        await play(world, open_api, limited, number)
        kept.scrape(exposition("")[0].decode(), at=at, **TARGET)
    return kept


async def test_panels_and_alerts_are_about_what_processes_show(prometheus: Prometheus) -> None:
    empty = [title for title, query in QUERIES.items() if not shows_anything(prometheus.query(query, at=240))]
    assert empty == []

    for name, rule in ALERTS.items():
        for selector in selectors(parse(rule["expr"])):
            shown = [dict(series) for series in prometheus.points if ("__name__", selector.name) in series]
            assert shown, f"{name} is about {selector.name}, which nobody shows"
            asked = {matcher.name for matcher in selector.matchers.matchers}
            assert asked <= shown[0].keys(), f"{name} asks for labels that {selector.name} does not have"

    fire = {name for name, rule in ALERTS.items() if prometheus.query(rule["expr"], at=240)}
    assert "ImageCatalogDeadLetters" in fire
    assert "ImageCatalogNoTicks" not in fire


def shows_anything(found: Vector) -> bool:
    """Tell whether there is a number to be drawn."""
    return any(math.isfinite(value) for value in found.values())
