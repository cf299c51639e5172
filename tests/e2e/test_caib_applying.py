"""``caib catalog get -o json | jq … | kubectl apply -f -``, with the installed ``caib`` and the real ``kubectl``."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from image_catalog.cluster import CATALOG_IMAGE, IMAGE_BUILD
from image_catalog.local.registry import SampleImage
from image_catalog.local.stack import LocalStack, StackOptions
from image_catalog.models import format_time
from image_catalog.models.names import ANNOTATION_PUBLICATION, FINALIZER, LABEL_DISTRO
from image_catalog.testing.kubectl import find_kubectl

URL = "quay.io/acme/cockpit:1"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("stack"),
    pytest.mark.timeout(120),
    pytest.mark.skipif(find_kubectl() is None, reason="kubectl is not installed"),
]


@dataclass(frozen=True)
class Desk:
    """A stack, and the two commands with its kubeconfig."""

    stack: LocalStack
    home: Path

    async def run(self, *command: str, stdin: str = "") -> str:
        """Run a command that must succeed; return its stdout."""
        process = await asyncio.create_subprocess_exec(
            *command,
            env={"HOME": str(self.home), "KUBECONFIG": str(self.stack.kubeconfig), "LANG": "C.UTF-8"},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(30):
            out, err = await process.communicate(stdin.encode())
        assert process.returncode == 0, err.decode()
        return out.decode()

    async def caib(self, *arguments: str) -> str:
        """Run ``caib catalog``."""
        return await self.run(str(Path(sys.executable).with_name("caib")), "catalog", *arguments)

    async def apply(self, manifest: dict[str, Any]) -> str:
        """Run ``kubectl apply -f -``."""
        return await self.run(find_kubectl() or "", "apply", "-f", "-", stdin=json.dumps(manifest))

    async def publish(self, build: str, *, content: str, completed: datetime) -> None:
        """Let a build push its image, and publish it as the entry ``panel``."""
        await SampleImage(name=content).push(self.stack.registry_url, "acme/cockpit", "1")
        annotations = {"automotive.sdv.cloud.redhat.com/publish": "false"}
        spec = {
            "architecture": "arm64",
            "aib": {"distro": "cs9", "target": "rpi4"},
            "export": {"format": "qcow2", "container": URL},
        }
        await self.stack.api.create(
            IMAGE_BUILD, {"metadata": {"name": build, "annotations": annotations}, "spec": spec}, "default"
        )
        status = {"phase": "Completed", "completionTime": format_time(completed)}
        await self.stack.api.patch_status(IMAGE_BUILD, build, "default", status, resource_version=None)
        await self.caib("publish", build, "--catalog-name", "panel")

    async def panel(self) -> dict[str, Any]:
        """Return the entry as the API server has it."""
        found = await self.stack.api.get(CATALOG_IMAGE, "panel", "default")
        assert found is not None
        return dict(found)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    folder = tmp_path_factory.mktemp("caib")
    async with LocalStack(StackOptions(folder=folder / "stack")) as stack:
        yield Desk(stack, folder)


async def test_an_edit_keeps_what_the_functions_wrote_and_an_old_copy_takes_no_publication_back(desk: Desk) -> None:
    now = datetime.now(UTC)
    await desk.publish("first", content="first", completed=now - timedelta(hours=1))
    before = await desk.panel()
    copy = json.loads(await desk.caib("get", "panel", "-o", "json"))

    copy["spec"]["tags"] = ["production"]
    assert await desk.apply(copy) == "catalogimage.automotive.sdv.cloud.redhat.com/panel configured\n"
    edited = await desk.panel()
    assert edited["spec"] == before["spec"] | {"tags": ["production"]}
    assert edited["metadata"]["finalizers"] == [FINALIZER]
    assert edited["metadata"]["labels"] == before["metadata"]["labels"]
    remembered = json.loads(edited["metadata"]["annotations"][LAST_APPLIED])
    assert set(remembered["metadata"]) == {"annotations", "name", "namespace"}

    await desk.publish("second", content="second", completed=now)
    newer = await desk.panel()
    assert newer["spec"]["digest"] != before["spec"]["digest"]
    copy["spec"]["tags"] = ["production", "tested"]
    await desk.apply(copy)
    edited = await desk.panel()
    assert edited["spec"] == newer["spec"] | {"tags": ["production", "tested"]}
    assert edited["status"]["sourceImageBuild"]["name"] == "second"
    assert edited["metadata"]["finalizers"] == [FINALIZER]
    assert edited["metadata"]["labels"][LABEL_DISTRO] == "cs9"
    annotations = edited["metadata"]["annotations"]
    assert annotations[ANNOTATION_PUBLICATION] == newer["metadata"]["annotations"][ANNOTATION_PUBLICATION]


async def test_an_edit_of_what_was_read_after_an_edit_changes_that_alone(desk: Desk) -> None:
    await desk.publish("third", content="third", completed=datetime.now(UTC) + timedelta(minutes=1))
    before = await desk.panel()
    copy = json.loads(await desk.caib("get", "panel", "-o", "json"))
    assert "annotations" not in copy["metadata"]
    copy["spec"]["driftPolicy"] = "quarantine"
    await desk.apply(copy)
    edited = await desk.panel()
    assert edited["spec"] == before["spec"] | {"driftPolicy": "quarantine"}
    assert edited["metadata"]["labels"] == before["metadata"]["labels"]
