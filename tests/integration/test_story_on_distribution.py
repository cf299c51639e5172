"""The demo's story on the real distribution server, and what the catalog then says against what skopeo says."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from image_catalog.local.demo import play, staged
from image_catalog.local.registry import Sample
from image_catalog.models import CatalogImage, parse_time
from image_catalog.testing.distribution import DistributionServer, Skopeo

pytestmark = pytest.mark.timeout(240)


class DistributionControl:
    """A real registry that the story may do anything to, with images pushed by the real client."""

    can_stop = True
    asks_for_passwords = False

    def __init__(self, server: DistributionServer, skopeo: Skopeo) -> None:
        self._server = server
        self._skopeo = skopeo

    async def push(self, sample: Sample, repository: str, tag: str) -> None:
        await self._skopeo.push(sample, self._server.host, repository, tag)

    async def delete(self, repository: str, digest: str) -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            response = await client.delete(f"{self._server.url}/v2/{repository}/manifests/{digest}")
            response.raise_for_status()

    async def stop(self) -> None:
        await self._server.stop()

    async def start(self) -> None:
        await self._server.start()


async def test_the_story_holds_on_a_real_registry(
    docker_registry: DistributionServer, skopeo: Skopeo, tmp_path: Path
) -> None:
    control = DistributionControl(docker_registry, skopeo)
    told = Console(file=io.StringIO(), width=200)

    async with staged(tmp_path / "stack", registry_url=docker_registry.url, registry=control) as world:
        await play(world, told)
        images = {image.metadata.name: image async for page in world.images.pages() for image in page.images}
        available = {name: image for name, image in images.items() if image.status.phase == "Available"}
        assert {"autosd-rpi4", "autosd-multi", "reference-cs9", "popular-1.0"} <= available.keys()
        for image in available.values():
            await _compare(image, docker_registry, skopeo)

    assert isinstance(told.file, io.StringIO)
    assert "not played" not in told.file.getvalue()


async def _compare(image: CatalogImage, server: DistributionServer, skopeo: Skopeo) -> None:
    registry = image.status.registry_metadata
    assert registry is not None
    reference = f"{server.host}/{image.spec.registry_url.split('/', 1)[1]}"
    raw = await skopeo.inspect_raw(reference)
    manifest = json.loads(raw)

    assert registry.resolved_digest == f"sha256:{hashlib.sha256(raw).hexdigest()}"
    assert registry.media_type == manifest["mediaType"]
    if "manifests" not in manifest:
        assert registry.platform is not None
        architecture = registry.platform.architecture
        assert registry.size_bytes == _size(manifest)
        assert registry.layer_count == len(manifest["layers"])
        config = await skopeo.config(reference, architecture=architecture)
        assert (architecture, registry.platform.os) == (config["architecture"], config["os"])
        assert registry.created_at == parse_time(config["created"])
        return
    assert registry.is_multi_arch
    platforms = [child for child in manifest["manifests"] if child["platform"]["architecture"] != "unknown"]
    assert len(platforms) == len(registry.platform_variants) < len(manifest["manifests"])
    for child, variant in zip(platforms, registry.platform_variants, strict=True):
        child_manifest = json.loads(await skopeo.inspect_raw(f"{reference.rsplit(':', 1)[0]}@{child['digest']}"))
        config = await skopeo.config(reference, architecture=variant.architecture)
        assert variant.digest == child["digest"]
        assert (variant.architecture, variant.os) == (config["architecture"], config["os"])
        assert variant.size_bytes == _size(child_manifest)
        assert variant.layer_count == len(child_manifest["layers"])
    assert registry.size_bytes == sum(variant.size_bytes or 0 for variant in registry.platform_variants)


def _size(manifest: dict[str, object]) -> int:
    config, layers = manifest["config"], manifest["layers"]
    assert isinstance(config, dict)
    assert isinstance(layers, list)
    return int(config["size"]) + sum(int(layer["size"]) for layer in layers)
