"""What the embedded registry tells of pushes is what the distribution server tells, and the catalog's API reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from image_catalog.local.registry import EmbeddedRegistry, SampleImage
from image_catalog_functions.api.http.bodies import read_strictly
from image_catalog_functions.api.notifying.senders.distribution import DistributionEnvelope


@pytest.fixture
def registry(tmp_path: Path) -> EmbeddedRegistry:
    return EmbeddedRegistry(tmp_path / "registry")


async def test_a_push_and_its_deletions_are_told_once_each_and_nothing_else_is(registry: EmbeddedRegistry) -> None:
    sample, told = SampleImage(), list[dict[str, Any]]()
    registry.events.listeners.append(told.append)
    manifests = "http://registry.test/v2/acme/os/manifests"
    async with httpx.AsyncClient(transport=httpx.ASGITransport(registry.app)) as client:
        await sample.push("http://registry.test", "acme/os", "1", client=client)
        for method, reference in (
            ("GET", "1"),
            ("DELETE", "nobody"),
            ("PUT", "broken"),
            ("DELETE", "1"),
            ("DELETE", sample.digest),
        ):
            await client.request(method, f"{manifests}/{reference}")
    body = orjson.dumps({"events": told})
    pushes = read_strictly(DistributionEnvelope, body).pushes()
    assert [(push.repository, push.tag, push.digest) for push in pushes] == [
        ("acme/os", "1", sample.digest),
        ("acme/os", "1", None),
        ("acme/os", None, sample.digest),
    ]
    assert [event["action"] for event in told] == ["push", "delete", "delete"]
    assert len({push.mark for push in pushes}) == 3
