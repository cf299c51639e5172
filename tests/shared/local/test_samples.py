"""What the local stack begins with."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import yaml

from image_catalog.cluster import CATALOG_IMAGE, IMAGE_BUILD
from image_catalog.errors import PermanentError
from image_catalog.local.registry import EmbeddedRegistry
from image_catalog.local.samples import (
    PRIVATE_REFERENCE,
    PRIVATE_REPOSITORY,
    PRIVATE_USER,
    SAMPLE_BUILDS,
    create_builds,
    push_samples,
)
from image_catalog.testing.cluster import InProcessCluster
from image_catalog.testing.planted import Planted

BUILDS = list(yaml.safe_load_all(SAMPLE_BUILDS.read_text()))
PUBLISHED = ["autosd-cs9-rpi4", "autosd-cs9-qemu"]
MANIFEST = {"Accept": "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"}


async def test_the_registry_has_what_the_builds_pushed_and_each_image_is_another(tmp_path: Path) -> None:
    async with EmbeddedRegistry(tmp_path) as registry, httpx.AsyncClient(trust_env=False) as client:
        references = await push_samples(registry.url)
        digests = set()
        for reference in references:
            repository, _, tag = reference.removeprefix("quay.io/").partition(":")
            answer = await client.head(f"{registry.url}/v2/{repository}/manifests/{tag}", headers=MANIFEST)
            digests.add(answer.headers["docker-content-digest"])
    assert {build["spec"]["export"]["container"] for build in BUILDS} <= set(references)
    assert len(digests) == len(references)


async def test_the_private_image_is_shown_to_whoever_has_the_password(tmp_path: Path) -> None:
    password = Planted().secret("the password")
    tag = PRIVATE_REFERENCE.rpartition(":")[2]
    async with (
        EmbeddedRegistry(tmp_path, accounts={PRIVATE_USER: password}, private=(PRIVATE_REPOSITORY,)) as registry,
        httpx.AsyncClient(trust_env=False) as client,
    ):
        assert PRIVATE_REFERENCE not in await push_samples(registry.url, password=password)
        url = f"{registry.url}/v2/{PRIVATE_REPOSITORY}/manifests/{tag}"
        assert (await client.get(url, headers=MANIFEST)).status_code == 401
        assert (await client.get(url, headers=MANIFEST, auth=(PRIVATE_USER, password))).status_code == 200


async def test_builds_are_completed_and_those_that_publish_themselves_are_waited_for() -> None:
    async with InProcessCluster() as cluster:
        api = cluster.api()
        for name in PUBLISHED:
            spec = {"registryUrl": f"quay.io/acme/{name}:1"}
            await api.create(CATALOG_IMAGE, {"metadata": {"name": name}, "spec": spec}, "default")
            await api.patch_status(CATALOG_IMAGE, name, "default", {"phase": "Available"}, resource_version=None)
        assert await create_builds(api, patience=timedelta(0)) == PUBLISHED
        for build in BUILDS:
            made = await api.get(IMAGE_BUILD, build["metadata"]["name"], "default")
            assert made is not None
            assert made["status"] == build["status"]


async def test_a_build_that_nobody_publishes_is_told() -> None:
    async with InProcessCluster() as cluster:
        with pytest.raises(PermanentError, match=f'"{PUBLISHED[0]}" is not published after 0 s; the logs say why'):
            await create_builds(cluster.api(), patience=timedelta(0))
