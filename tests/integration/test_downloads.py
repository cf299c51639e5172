"""`caib catalog download` from the real distribution server: resumed, and behind passwords over TLS."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from image_catalog.cli.tree import run
from image_catalog.local.registry import Blob, SampleArtifact
from image_catalog.testing.catalog_api import ScriptedAnswer, ScriptedCatalog
from image_catalog.testing.distribution import DistributionServer, find_docker_registry, htpasswd
from image_catalog.testing.looking import NotYetError, look
from image_catalog.testing.registry import Account

CONTENT = os.urandom(1_500_000)
DISK = Blob(content=CONTENT, media_type="application/vnd.automotive.disk.raw")
REPOSITORY = "acme/disks"


@pytest.fixture
def catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedCatalog]:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("KUBECONFIG", "CAIB_TOKEN", "XDG_CONFIG_HOME", "DOCKER_CONFIG", "REGISTRY_AUTH_FILE"):
        monkeypatch.delenv(name, raising=False)
    with ScriptedCatalog() as served:
        monkeypatch.setenv("CAIB_SERVER", served.url)
        yield served


def offer(catalog: ScriptedCatalog, server: DistributionServer) -> None:
    url = f"{server.url.rstrip('/')}/v2/{REPOSITORY}/blobs/{DISK.digest}"
    item = {"type": "oci", "name": "disk.raw", "url": url, "downloadUrl": url, "checksum": DISK.digest}
    body: dict[str, Any] = {"items": [{**item, "sizeBytes": len(CONTENT)}], "metadata": {"registryUrl": "quay.io/a/b"}}
    catalog.answers["GET", "/images/autosd/artifacts"] = ScriptedAnswer(200, body)


async def download(folder: Path, *options: str) -> int:
    return await asyncio.to_thread(run, ["catalog", "download", "autosd", "-o", str(folder), *options])


async def test_what_an_earlier_run_left_is_gone_on_with(
    docker_registry: DistributionServer, catalog: ScriptedCatalog, tmp_path: Path
) -> None:
    await SampleArtifact(layers=[DISK]).push(docker_registry.url, REPOSITORY, "cs9")
    offer(catalog, docker_registry)
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "disk.raw.part").write_bytes(CONTENT[:1_000_000])
    note = {"digest": DISK.digest, "etag": f'"{DISK.digest}"'}
    (folder / ".disk.raw.part.json").write_text(json.dumps(note))
    assert await download(folder) == 0
    assert (folder / "disk.raw").read_bytes() == CONTENT
    async for attempt in look(every=timedelta(milliseconds=20), limit=timedelta(seconds=20)):
        with attempt:  # its log comes through a pipe, after its answer
            if not any("status=206" in line for line in docker_registry.log):
                raise NotYetError("\n".join(docker_registry.log))


async def test_a_private_one_takes_the_users_own_password(catalog: ScriptedCatalog, tmp_path: Path) -> None:
    binary = find_docker_registry()
    if binary is None:
        pytest.skip("docker-registry is not installed")
    if shutil.which("htpasswd") is None:
        pytest.skip("htpasswd is not installed")
    authority, account, content = trustme.CA(), Account("builder"), tmp_path / "registry"
    async with DistributionServer(binary=binary, folder=content) as server:
        await SampleArtifact(layers=[DISK]).push(server.url, REPOSITORY, "cs9")
    auth = htpasswd(account.user, account.password, tmp_path / "auth")
    async with DistributionServer(binary=binary, folder=content, authority=authority, auth=auth) as server:
        offer(catalog, server)
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        trusted = ("--certificate-authority", str(tmp_path / "ca.pem"))
        assert await download(tmp_path / "refused", *trusted) == 1
        pair = base64.b64encode(f"{account.user}:{account.password}".encode()).decode()
        (tmp_path / ".docker").mkdir()
        (tmp_path / ".docker" / "config.json").write_text(json.dumps({"auths": {server.host: {"auth": pair}}}))
        assert await download(tmp_path / "images", *trusted) == 0
    assert (tmp_path / "images" / "disk.raw").read_bytes() == CONTENT
