from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from image_catalog.local.registry import SampleIndex
from image_catalog.testing.registry import FakeRegistry
from image_catalog.testing.registry_content import (
    SCHEMA_1,
    deeply_nested,
    manifest_and_index,
    nested_index,
    schema_1,
    self_naming_index,
    twice_said,
)

DIGEST = f"sha256:{'ab' * 32}"
INDEX = SampleIndex().media_type


@pytest.fixture
def registry(tmp_path: Path) -> FakeRegistry:
    return FakeRegistry(tmp_path)


async def get(registry: FakeRegistry, reference: str, method: str = "GET") -> httpx.Response:
    async with registry.client() as client:
        return await client.request(method, f"/v2/team/os/manifests/{reference}", headers={"Accept": INDEX})


async def test_schema_1_is_served_under_its_tag(registry: FakeRegistry) -> None:
    assert registry.put_raw(schema_1(), "team/os", "1.0", media_type=SCHEMA_1) == "registry.test/team/os:1.0"
    response = await get(registry, "1.0")
    assert response.json()["schemaVersion"] == 1
    assert response.headers["content-type"] == SCHEMA_1


@pytest.mark.parametrize(("method", "length"), [("GET", None), ("HEAD", 0)])
async def test_an_index_names_itself_under_a_digest_that_it_has_not(
    registry: FakeRegistry, method: str, length: int | None
) -> None:
    content = self_naming_index(DIGEST)
    assert registry.put_raw(content, "team/os", DIGEST, media_type=INDEX) == f"registry.test/team/os@{DIGEST}"
    response = await get(registry, DIGEST, method)
    assert len(response.content) == (len(content) if length is None else length)
    assert response.headers["content-length"] == str(len(content))
    assert response.headers["docker-content-digest"] == DIGEST
    assert json.loads(content)["manifests"][0]["digest"] == DIGEST


async def test_an_index_holds_an_index(registry: FakeRegistry) -> None:
    outer = nested_index(3)
    registry.put(outer, "team/os", "1.0")
    inner = (await get(registry, "1.0")).json()["manifests"][0]
    assert inner["mediaType"] == INDEX
    assert len(list(outer.walk())) == 4


def test_one_body_is_an_image_and_an_index() -> None:
    assert {"config", "layers", "manifests"} <= set(json.loads(manifest_and_index()))


def test_a_key_comes_twice() -> None:
    keys = [key for key, _ in json.loads(twice_said(), object_pairs_hook=lambda pairs: pairs)]
    assert keys.count("config") == 2


def test_nesting_is_as_deep_as_asked() -> None:
    assert deeply_nested(3) == b"[[[]]]"
