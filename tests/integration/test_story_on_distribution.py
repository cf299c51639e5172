"""On the real distribution server: the demo's story, against what skopeo says; and tags that move."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from image_catalog.cluster import CatalogImages
from image_catalog.config import Settings
from image_catalog.events import EventType
from image_catalog.local.clients import IN_CLEAR
from image_catalog.local.demo import play, staged
from image_catalog.local.registry import Sample, SampleImage
from image_catalog.models import CatalogImage, format_time, parse_time
from image_catalog.models.names import API_VERSION
from image_catalog.testing.distribution import DistributionServer, Skopeo
from image_catalog.testing.pipeline import Pipeline, PipelineFunction
from image_catalog.testing.world import NAMESPACE
from image_catalog_functions.audit import main as audit
from image_catalog_functions.cleanup import main as cleanup
from image_catalog_functions.publish import main as publish
from image_catalog_functions.reverify import main as reverify
from image_catalog_functions.verify import main as verify

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
        async with httpx.AsyncClient(verify=IN_CLEAR, trust_env=False) as client:
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


OLD, NEW = (SampleImage(name=name) for name in ("old", "new"))
FUNCTIONS = tuple(PipelineFunction.of(module) for module in (publish, verify, reverify, cleanup, audit))
POLICIES = ("alert", "follow", "quarantine")
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Catalog:
    """Every function on an embedded cluster, before a real registry."""

    pipeline: Pipeline
    server: DistributionServer

    async def push(self, sample: Sample, repository: str) -> None:
        async with httpx.AsyncClient(verify=IN_CLEAR, trust_env=False) as client:
            await sample.push(self.server.url, repository, "cs9", client=client)

    def apply(self, kind: str, name: str, spec: dict[str, Any], status: dict[str, Any] | None = None) -> None:
        metadata = {"name": name, "namespace": NAMESPACE}
        manifest = {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
        self.pipeline.apply(manifest | ({"status": status} if status else {}))

    def build(self, name: str) -> None:
        spec = {"architecture": "arm64", "export": {"container": f"{self.server.host}/acme/built:cs9"}}
        aib = {"distro": "autosd", "target": "rpi4", "mode": "image"}
        completed = {"phase": "Completed", "completionTime": format_time(self.pipeline.clock.now())}
        self.apply("ImageBuild", name, spec | {"aib": aib}, completed)

    async def pass_time(self) -> None:
        self.pipeline.clock.advance(HOUR)
        self.pipeline.tick()
        await self.pipeline.drain()

    async def found(self, name: str) -> CatalogImage:
        image = await CatalogImages(api=self.pipeline.cluster.api("person")).get(NAMESPACE, name)
        assert image is not None
        return image

    async def says(self, name: str) -> tuple[str, str, str | None, list[str]]:
        image = await self.found(name)
        available, digests = image.status.condition("Available"), {OLD.digest: "old", NEW.digest: "new"}
        assert available is not None
        versions = [digests[version.digest] for version in image.status.history]
        return str(image.status.phase), available.reason, digests.get(image.spec.digest or ""), versions


@pytest.fixture
async def catalog(docker_registry: DistributionServer) -> AsyncIterator[Catalog]:
    """Run every function, allowed to ask the registry on this machine."""
    async with Pipeline(FUNCTIONS, settings=Settings(allow_private_networks=True)) as pipeline:
        spec = {"host": docker_registry.host, "tls": {"plainHTTP": True}}
        manifest = {"apiVersion": API_VERSION, "kind": "CatalogRegistry", "metadata": {"name": "real"}, "spec": spec}
        pipeline.apply(manifest)
        yield Catalog(pipeline, docker_registry)


async def test_the_same_tag_with_other_content_is_what_each_policy_makes_of_it(catalog: Catalog) -> None:
    for policy in (*POLICIES, "unpinned"):
        await catalog.push(OLD, f"acme/{policy}")
        pin = {} if policy == "unpinned" else {"digest": OLD.digest, "driftPolicy": policy}
        catalog.apply("CatalogImage", policy, {"registryUrl": f"{catalog.server.host}/acme/{policy}:cs9", **pin})
    await catalog.pipeline.drain()
    for policy in (*POLICIES, "unpinned"):
        assert (await catalog.says(policy))[:2] == ("Available", "RegistryAccessible")
        await catalog.push(NEW, f"acme/{policy}")
    await catalog.pass_time()

    expected = {
        "alert": ("Available", "RegistryAccessible", "old", []),
        "follow": ("Available", "RegistryAccessible", "new", ["old"]),
        "quarantine": ("Unavailable", "Quarantined", "old", []),
        "unpinned": ("Available", "RegistryAccessible", None, ["old"]),
    }
    assert {policy: await catalog.says(policy) for policy in expected} == expected
    assert catalog.pipeline.emitted_types().count("image.drifted") == 2

    await catalog.server.stop()
    await catalog.pass_time()
    assert {(await catalog.says(policy))[1] for policy in expected} == {"RegistryUnreachable"}
    await catalog.server.start()
    await catalog.pass_time()
    assert {policy: await catalog.says(policy) for policy in expected} == expected
    assert catalog.pipeline.emitted_types().count("image.drifted") == 2, "of a drift that is known nobody is told again"


async def test_a_build_that_pushes_the_same_tag_makes_a_version_and_an_older_one_none(catalog: Catalog) -> None:
    await catalog.push(OLD, "acme/built")
    catalog.build("first")
    await catalog.pipeline.drain()
    data = {"name": "first", "namespace": NAMESPACE, "target": "rpi4", "result": "passed"}
    catalog.build("late")
    late = catalog.pipeline.discard()
    catalog.pipeline.clock.advance(HOUR)
    await catalog.push(NEW, "acme/built")
    catalog.build("second")
    await catalog.pipeline.drain()
    moved = ("Available", "RegistryAccessible", "new", ["old"])
    assert await catalog.says("first") == moved

    for event in late:
        await catalog.pipeline.deliver("publish", event)
    assert await catalog.says("first") == moved
    source = (await catalog.found("first")).status.source_image_build
    assert source is not None
    assert source.name == "second"
    for digest in (OLD.digest, NEW.digest):
        catalog.pipeline.request(EventType.TEST_REPORTED, {**data, "digest": digest})
    await catalog.pipeline.drain()
    image = await catalog.found("first")
    assert [item.digest for item in image.status.evidence] == [NEW.digest, OLD.digest]
    assert [(target.name, target.verified) for target in image.status.targets] == [("rpi4", False)]
