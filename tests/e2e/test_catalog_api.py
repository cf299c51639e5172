"""The API on the local stack, with kubectl and caib beside each other: one catalog, seen and changed by both."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import stamina
import yaml

from image_catalog.cluster import CATALOG_IMAGE, IMAGE_BUILD
from image_catalog.local.demo import Caib
from image_catalog.local.registry import SampleImage
from image_catalog.local.samples import push_samples
from image_catalog.local.stack import LocalStack, StackOptions
from image_catalog.models import format_time
from image_catalog.models.names import ANNOTATION_PUBLICATION, FINALIZER, LABEL_DISTRO
from image_catalog.testing.kubectl import Kubectl, find_kubectl

IMAGES = "/api/v1alpha1/catalog/images"
PATIENCE = timedelta(seconds=20)
URL = "quay.io/acme/cockpit:1"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(120),
]


class Desk:
    """A stack, and what somebody has open beside it: a shell with kubectl and caib, and an HTTP client."""

    def __init__(self, stack: LocalStack, client: httpx.AsyncClient, folder: Path) -> None:
        self.stack = stack
        self.client = client
        self.folder = folder
        self.caib = Caib(server=stack.catalog_url, kubeconfig=stack.kubeconfig)
        binary = find_kubectl()
        self._kubectl = Kubectl(binary=binary, kubeconfig=stack.kubeconfig, folder=folder) if binary else None

    @property
    def token(self) -> str:
        """The administrator's token."""
        return str(yaml.safe_load(self.stack.kubeconfig.read_text())["users"][0]["user"]["token"])

    async def kubectl(self, command: str) -> str:
        """Run a command that must succeed and return what it prints."""
        if self._kubectl is None:
            pytest.skip("kubectl is not installed")
        done = await self._kubectl.run(f"kubectl {command}")
        assert done.exit == 0, done.stderr
        return done.stdout

    async def get(self, path: str = IMAGES, **query: str) -> httpx.Response:
        """Ask the API as the administrator."""
        return await self.client.get(path, params=query, headers={"Authorization": f"Bearer {self.token}"})

    async def add(self, name: str, url: str) -> None:
        """Add an entry, checked against the registry."""
        await self.caib("add", name, url, "--architecture", "arm64", "--distro", "autosd", "--target", "rpi4")


@dataclass(frozen=True)
class Panel:
    """The entry ``panel``, which builds publish, and a shell with caib and kubectl."""

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

    async def object(self) -> dict[str, Any]:
        """Return the entry as the API server has it."""
        found = await self.stack.api.get(CATALOG_IMAGE, "panel", "default")
        assert found is not None
        return dict(found)


async def until(looks: Callable[[], Awaitable[Any]]) -> Any:
    """Look until there is something to see, and return it."""
    seen = None
    async for attempt in stamina.retry_context(
        on=AssertionError, attempts=None, timeout=PATIENCE, wait_initial=0.01, wait_max=0.1
    ):
        with attempt:
            seen = await looks()
            assert seen
    return seen


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    folder = tmp_path_factory.mktemp("desk")
    async with LocalStack(StackOptions(folder=folder / "stack", notify=True)) as stack:
        await push_samples(stack.registry_url)
        async with httpx.AsyncClient(base_url=stack.catalog_url, trust_env=False, timeout=30) as client:
            yield Desk(stack, client, folder)


@pytest.fixture
def panel(desk: Desk) -> Panel:
    if find_kubectl() is None:
        pytest.skip("kubectl is not installed")
    return Panel(desk.stack, desk.folder)


async def test_who_shows_no_token_is_told_how_to_get_one(desk: Desk) -> None:
    refused = await desk.client.get(IMAGES)
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Bearer")
    assert refused.json()["error"] == "Unauthenticated"
    assert (await desk.get()).status_code == 200


async def test_what_is_pushed_again_is_a_version_although_nothing_is_due(desk: Desk) -> None:
    old, new = SampleImage(name="old"), SampleImage(name="new")
    await old.push(desk.stack.registry_url, "acme/pushed", "1")
    # Made by hand, and so without a pin: it follows its tag.
    entry = {"metadata": {"name": "pushed"}, "spec": {"registryUrl": "quay.io/acme/pushed:1"}}
    await desk.stack.api.create(CATALOG_IMAGE, entry, "default")

    async def holds(sample: SampleImage) -> bool:
        found = await desk.stack.api.get(CATALOG_IMAGE, "pushed", "default")
        assert found is not None
        metadata = found.get("status", {}).get("registryMetadata", {})
        return bool(metadata.get("resolvedDigest") == sample.digest)

    assert await until(lambda: holds(old))
    await new.push(desk.stack.registry_url, "acme/pushed", "1")
    assert await until(lambda: holds(new))


async def test_an_account_may_do_what_its_roles_say_and_no_more(desk: Desk) -> None:
    await desk.kubectl("create namespace team-a")
    await desk.kubectl("-n team-a create serviceaccount ci")
    token = (await desk.kubectl("-n team-a create token ci")).strip()

    async def status(namespace: str) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return (await desk.client.get(IMAGES, params={"namespace": namespace}, headers=headers)).status_code

    assert await status("team-a") == 403
    await desk.kubectl(
        "-n team-a create rolebinding ci --clusterrole=image-catalog-publisher --serviceaccount=team-a:ci"
    )

    async def is_let_in() -> bool:
        return await status("team-a") == 200

    # The refusal is believed for some seconds.
    assert await until(is_let_in)
    assert await status("default") == 403


async def test_kubectl_and_caib_show_the_same_of_every_entry(desk: Desk) -> None:
    await desk.add("single", "quay.io/centos-automotive/autosd:cs9-rpi4")
    await desk.add("multi", "quay.io/centos-automotive/autosd:cs9-multi")
    shown = []
    for table in (await desk.kubectl("get catimg"), await desk.caib("list")):
        head, *rows = (line.split() for line in table.splitlines())
        # Between the two a second may pass.
        shown.append((head, {row[0]: row[1:-1] for row in rows}))
    assert shown[0] == shown[1]
    assert {"single", "multi"} <= shown[0][1].keys()

    for name in ("single", "multi"):
        stored = json.loads(await desk.kubectl(f"get catimg {name} -o json"))
        told = yaml.safe_load(await desk.caib("get", name))
        stored["status"].pop("accessCount", None)
        told["status"].pop("accessCount")
        assert (told["spec"], told["status"]) == (stored["spec"], stored["status"])


async def test_what_kubectl_changes_caib_shows(desk: Desk) -> None:
    await desk.add("watched", "quay.io/centos-automotive/autosd:cs9-qemu")
    await desk.kubectl("""patch catimg watched --type=merge -p '{"spec":{"tags":["golden"]}}'""")

    async def is_found() -> bool:
        return [item["metadata"]["name"] for item in (await desk.get(tags="golden")).json()["items"]] == ["watched"]

    assert await until(is_found)
    assert (await desk.caib("list", "--tags", "golden", "--output", "name")).split("/")[-1] == "watched\n"
    await desk.kubectl("delete catimg watched")

    async def is_gone() -> bool:
        return (await desk.get(f"{IMAGES}/watched")).status_code == 404

    assert await until(is_gone)


async def test_what_caib_changes_kubectl_shows_without_waiting(desk: Desk) -> None:
    await desk.add("mine", "quay.io/centos-automotive/autosd:cs9-qemu")
    assert (await desk.kubectl("get catimg mine -o jsonpath='{.status.phase}'")).strip("'") == "Available"
    await desk.caib("remove", "mine", "--force")
    await desk.kubectl("wait --for=delete catimg/mine --timeout=20s")


async def test_who_did_what_is_told_with_the_tool_and_outlives_the_entry(desk: Desk) -> None:
    await SampleImage(name="told").push(desk.stack.registry_url, "acme/told", "1")
    await desk.add("told", "quay.io/acme/told:1")

    async def record(kind: str) -> dict[str, Any]:
        async def look() -> list[dict[str, Any]]:
            shown = await desk.caib("audit", "--name", "told", "--kind", kind, "--output", "json")
            return list(json.loads(shown)["items"])

        (found,) = await until(look)
        return dict(found)

    await record("image.published")
    tag = """--type=merge -p '{"spec":{"tags":["golden"]}}'"""
    await desk.kubectl(f"patch catimg told --field-manager=kubectl-edit {tag}")
    changed = await record("image.changed")
    assert (changed["actor"], changed["message"]) == ("unknown (kubectl-edit)", "spec.tags changed")
    await desk.kubectl("delete catimg told")
    await record("image.removed")
    published = await record("image.published")
    assert (published["actor"], published["confirmed"]) == ("admin", True)
    everything = await desk.caib("history", "told", "--all")
    assert [kind in everything for kind in ("image.published", "image.changed", "image.removed")] == [True] * 3
    assert "admin" in await desk.caib("history", "told")
    assert "told" in await desk.caib("list", "--as-of", changed["recordedAt"], "--all")

    async def was_gone() -> bool:
        return "told" not in await desk.caib("list", "--as-of", "1s", "--all")

    assert await until(was_gone)


async def test_what_was_read_is_still_counted_when_the_api_has_been_replaced(desk: Desk) -> None:
    await SampleImage(name="read").push(desk.stack.registry_url, "acme/read", "1")
    await desk.add("read", "quay.io/acme/read:1")
    counts = [(await desk.get(f"{IMAGES}/read")).json()["status"]["accessCount"] for _ in range(3)]
    assert counts == [1, 2, 3]
    process = desk.stack.functions["api"]
    first = process.pid
    assert first is not None
    os.kill(first, signal.SIGTERM)

    async def is_back() -> bool:
        with contextlib.suppress(httpx.TransportError):
            return process.pid != first and (await desk.client.get("/readyz")).status_code == 200
        return False

    assert await until(is_back)
    assert (await desk.get(f"{IMAGES}/read")).json()["status"]["accessCount"] == 4


async def test_an_edit_keeps_what_the_functions_wrote_and_an_old_copy_takes_no_publication_back(panel: Panel) -> None:
    now = datetime.now(UTC)
    await panel.publish("first", content="first", completed=now - timedelta(hours=1))
    before = await panel.object()
    copy = json.loads(await panel.caib("get", "panel", "-o", "json"))

    copy["spec"]["tags"] = ["production"]
    assert await panel.apply(copy) == "catalogimage.automotive.sdv.cloud.redhat.com/panel configured\n"
    edited = await panel.object()
    assert edited["spec"] == before["spec"] | {"tags": ["production"]}
    assert edited["metadata"]["finalizers"] == [FINALIZER]
    assert edited["metadata"]["labels"] == before["metadata"]["labels"]
    remembered = json.loads(edited["metadata"]["annotations"][LAST_APPLIED])
    assert set(remembered["metadata"]) == {"annotations", "name", "namespace"}

    await panel.publish("second", content="second", completed=now)
    newer = await panel.object()
    assert newer["spec"]["digest"] != before["spec"]["digest"]
    copy["spec"]["tags"] = ["production", "tested"]
    await panel.apply(copy)
    edited = await panel.object()
    assert edited["spec"] == newer["spec"] | {"tags": ["production", "tested"]}
    assert edited["status"]["sourceImageBuild"]["name"] == "second"
    assert edited["metadata"]["finalizers"] == [FINALIZER]
    assert edited["metadata"]["labels"][LABEL_DISTRO] == "cs9"
    annotations = edited["metadata"]["annotations"]
    assert annotations[ANNOTATION_PUBLICATION] == newer["metadata"]["annotations"][ANNOTATION_PUBLICATION]


async def test_an_edit_of_what_was_read_after_an_edit_changes_that_alone(panel: Panel) -> None:
    await panel.publish("third", content="third", completed=datetime.now(UTC) + timedelta(minutes=1))
    before = await panel.object()
    copy = json.loads(await panel.caib("get", "panel", "-o", "json"))
    assert "annotations" not in copy["metadata"]
    copy["spec"]["driftPolicy"] = "quarantine"
    await panel.apply(copy)
    edited = await panel.object()
    assert edited["spec"] == before["spec"] | {"driftPolicy": "quarantine"}
    assert edited["metadata"]["labels"] == before["metadata"]["labels"]
