"""What the installed ``caib`` tells and ends with when it writes, with a registry that asks for passwords."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import json
import os
import re
import secrets
import shutil
import sys
import textwrap
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from image_catalog.cluster import IMAGE_BUILD, SECRET, ResourceKind
from image_catalog.errors import AlreadyExistsError
from image_catalog.local.registry import SampleArtifact, SampleImage, SampleIndex
from image_catalog.local.stack import LocalStack, StackOptions
from image_catalog.models import format_time
from image_catalog.testing.kubectl import find_kubectl
from image_catalog.testing.object_store import running_object_store

URL = "quay.io/acme/cockpit:1"
SAID = ("--architecture", "arm64", "--distro", "cs9")
RBAC = "rbac.authorization.k8s.io"
ROLE_BINDING = ResourceKind(RBAC, "v1", "rolebindings", "RoleBinding")
PATIENCE = 30.0
"""Seconds for one command."""

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(120),
]


@dataclass(frozen=True)
class Desk:
    """A stack, and ``caib`` with its kubeconfig."""

    stack: LocalStack
    home: Path

    async def caib(self, *arguments: str) -> tuple[int, str, str]:
        """Run ``caib catalog``; return exit code, stdout and stderr."""
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("caib")),
            "catalog",
            *arguments,
            env={"HOME": str(self.home), "KUBECONFIG": str(self.stack.kubeconfig), "LANG": "C.UTF-8"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(PATIENCE):
            out, err = await process.communicate()
        return process.returncode or 0, out.decode(), err.decode()

    async def type(self, commands: str) -> str:
        """Run a page's commands in one shell, which must succeed, and return what they print."""
        kubeconfig = yaml.safe_load(self.stack.kubeconfig.read_text())
        environment = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "KUBECONFIG": str(self.stack.kubeconfig),
            "LANG": "C.UTF-8",
            "CATALOG": self.stack.catalog_url,
            "TOKEN": kubeconfig["users"][0]["user"]["token"],
        }
        process = await asyncio.create_subprocess_exec(
            "bash",
            "-euc",
            commands,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(PATIENCE):
            out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        return out.decode()

    async def let_functions_read_keys(self) -> None:
        """Put a store's key into a Secret, and let the functions read it as a namespace's owner does."""
        account = {"kind": "ServiceAccount", "namespace": "image-catalog"}
        binding = {
            "metadata": {"name": "image-catalog-secret-reader"},
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "image-catalog-secret-reader"},
            "subjects": [{**account, "name": name} for name in ("publish", "verify")],
        }
        keys = {"access-key-id": "build", "secret-access-key": secrets.token_urlsafe(12)}
        data = {name: base64.b64encode(key.encode()).decode() for name, key in keys.items()}
        secret = {"metadata": {"name": "s3-keys"}, "data": data}
        await self.stack.api.create(SECRET, secret, "default")
        with contextlib.suppress(AlreadyExistsError):
            await self.stack.api.create(ROLE_BINDING, binding, "default")

    async def build(self, name: str, *, phase: str, url: str | None = URL, disk: Any = None) -> None:
        """Create a build that is not published by itself."""
        annotations = {"automotive.sdv.cloud.redhat.com/publish": "false"}
        spec: dict[str, Any] = {"architecture": "arm64", "aib": {"distro": "cs9", "target": "rpi4"}}
        if url is not None:
            spec["export"] = {"format": "qcow2", "container": url, **({"disk": disk} if disk else {})}
        build = {"metadata": {"name": name, "annotations": annotations}, "spec": spec}
        await self.stack.api.create(IMAGE_BUILD, build, "default")
        status = {"phase": phase, "completionTime": format_time(datetime.now(UTC))}
        await self.stack.api.patch_status(IMAGE_BUILD, name, "default", status, resource_version=None)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    folder = tmp_path_factory.mktemp("caib")
    account = ("robot", secrets.token_urlsafe(12))
    options = StackOptions(folder=folder / "stack", accounts=dict([account]))
    async with LocalStack(options) as stack:
        for tag in ("1", "2", "3", "4"):
            await SampleImage(name=tag).push(stack.registry_url, "acme/cockpit", tag)
        await SampleImage().push(stack.registry_url, "acme/autosd", "1")
        await SampleImage().push(stack.registry_url, "private/radio", "1", auth=account)
        yield Desk(stack, folder)


async def test_a_build_that_is_not_there_is_not_found(desk: Desk) -> None:
    code, out, err = await desk.caib("publish", "nowhere")
    assert code == 4
    assert "\n✗ ImageBuild status: BuildNotFound\n" in out
    assert err.startswith('Error: ImageBuild "nowhere" not found in namespace "default"\n')


async def test_a_build_that_has_not_completed_is_an_error(desk: Desk) -> None:
    await desk.build("unfinished", phase="Building")
    code, out, err = await desk.caib("publish", "unfinished")
    assert code == 1
    assert "\n✗ ImageBuild status: BuildNotCompleted\n" in out
    assert "is Building; it is published once Completed" in err


async def test_a_build_that_pushed_nothing_has_no_location(desk: Desk) -> None:
    await desk.build("kept", phase="Completed", url=None)
    code, out, err = await desk.caib("publish", "kept")
    assert code == 1
    assert "\n✗ Registry location: NoRegistryLocation\n" in out
    assert err.startswith("Error: ")


async def test_a_build_is_published_once_and_then_unchanged(desk: Desk) -> None:
    await desk.build("cockpit", phase="Completed")
    code, out, err = await desk.caib("publish", "cockpit", "--catalog-name", "panel", "--tags", "a,b")
    assert (code, err) == (0, "")
    assert '✓ Creating catalog image "panel"\n✓ Published successfully\n' in out
    code, out, err = await desk.caib("publish", "cockpit", "--catalog-name", "panel")
    assert (code, err) == (0, "")
    assert '✓ Catalog image "panel": unchanged\n✓ Published already, nothing changed\n' in out


async def test_an_image_that_has_an_entry_is_a_conflict(desk: Desk) -> None:
    url = "quay.io/acme/cockpit:2"
    assert (await desk.caib("add", "two", url, *SAID))[0] == 0
    code, out, err = await desk.caib("add", "second", url, *SAID)
    assert code == 5
    assert "\n✗ Catalog image: AlreadyExists\n" in out
    assert "two" in err.splitlines()[0]


async def test_a_name_that_another_image_has_is_a_conflict(desk: Desk) -> None:
    assert (await desk.caib("add", "three", "quay.io/acme/cockpit:3", *SAID))[0] == 0
    code, _, err = await desk.caib("add", "three", "quay.io/acme/cockpit:4", *SAID)
    assert code == 5
    assert err.startswith("Error: ")


async def test_a_registry_that_asks_for_a_password_refuses_with_its_status(desk: Desk) -> None:
    url = "quay.io/private/radio:1"
    code, out, err = await desk.caib("add", "radio", url, *SAID)
    assert code == 1
    assert "\n✗ Registry accessibility: 401 AuthenticationFailed\n" in out
    assert err.startswith("Error: ")
    code, out, _ = await desk.caib("verify", "--reference", url)
    assert code == 1
    assert "(AuthenticationFailed)\n" in out


async def test_an_image_that_was_added_unseen_is_waited_for(desk: Desk) -> None:
    arguments = ("add", "unseen", "quay.io/acme/cockpit:none", *SAID, "--no-verify", "--wait", "--timeout", "20s")
    code, out, err = await desk.caib(*arguments)
    assert code == 1
    assert "– Registry accessibility: not asked for\n" in out
    assert out.endswith("Status:         Unavailable (ImageNotFound)\n")
    assert err.startswith('Error: catalog image "unseen" is Unavailable: ImageNotFound: ')


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param(("add", "x", "no reference", *SAID), 2, id="a reference that is none"),
        pytest.param(("add", "X_", URL, *SAID), 2, id="a name that cannot be"),
        pytest.param(("add", "x", URL, "--architecture", "z80", "--distro", "cs9"), 2, id="an unknown architecture"),
        pytest.param(("verify", "nothing"), 4, id="an entry that is not there"),
        pytest.param(("remove", "nothing", "--force"), 4, id="nothing to remove"),
        pytest.param(("verify", "nothing", "--token", "stale"), 3, id="a token that nobody knows"),
    ],
)
async def test_what_cannot_be_ends_with_one_line_and_its_code(
    desk: Desk, arguments: tuple[str, ...], code: int
) -> None:
    ended, _, err = await desk.caib(*arguments)
    assert ended == code, err
    assert [line.split(":")[0] for line in err.splitlines()] in (["Error"], ["Error", "Hint"])


async def test_a_laboratory_reports_as_the_page_says(desk: Desk) -> None:
    if shutil.which("bash") is None or shutil.which("curl") is None or find_kubectl() is None:
        pytest.skip("bash, curl or kubectl is not installed")
    page = (Path(__file__).parents[2] / "docs" / "evidence.md").read_text()
    assert (await desk.caib("add", "autosd", "quay.io/acme/autosd:1", *SAID, "--target", "raspberry-pi"))[0] == 0
    commands = "".join(re.findall(r"```sh\n(.*?)```", page, flags=re.DOTALL))
    out = await desk.type(commands)
    shown = re.search(r"```\n(✓.*?)```", page, flags=re.DOTALL)
    assert shown is not None
    expected = re.escape(shown[1]).replace("<digest>", "sha256:[0-9a-f]{64}").replace("<age>", r"\d+s")
    assert re.match(expected, out), out
    assert re.search(r"^Target: +raspberry-pi ✗ 50 % \(2 runs, ", out, re.MULTILINE)
    assert '"outcome":"recorded"' in out
    assert '"verified":true' in out
    assert re.search(r" raspberry-pi✓66%/3/\d+s\b", out), out


async def test_a_board_is_given_its_platform_by_digest_until_that_is_recalled(desk: Desk) -> None:
    index = SampleIndex(name="gauge")
    arm, amd = index.images
    await index.push(desk.stack.registry_url, "acme/gauge", "1")
    assert (await desk.caib("add", "gauge", "quay.io/acme/gauge:1", *SAID, "--target", "gauge"))[0] == 0
    board = ("resolve", "--target", "gauge", "--distro", "cs9")
    code, out, err = await desk.caib(*board)
    assert (code, out) == (0, f"quay.io/acme/gauge@{arm.digest}\n"), err
    assert err.startswith("gauge in namespace default, published ")
    code, out, _ = await desk.caib(*board, "--architecture", "x86_64", "-o", "json")
    answer = json.loads(out)
    assert (code, answer["platformDigest"], answer["indexDigest"]) == (0, amd.digest, index.digest)
    assert answer["reference"] == f"quay.io/acme/gauge@{amd.digest}"

    assert (await desk.caib("recall", "gauge", "--digest", arm.digest, "--reason", "no display", "--force"))[0] == 0
    code, out, err = await desk.caib(*board)
    assert (code, out) == (4, "")
    _, gauge, error = err.splitlines()
    assert gauge.split()[3] == "Recalled"
    assert gauge.endswith("no display")
    assert error == "Error: the one image for gauge in namespace default does not fit: Recalled 1"
    assert (await desk.caib(*board, "--architecture", "amd64"))[1] == f"quay.io/acme/gauge@{amd.digest}\n"


async def test_an_image_is_promoted_and_a_recall_drill_goes_as_the_page_says(desk: Desk) -> None:
    if shutil.which("bash") is None or shutil.which("jq") is None or (kubectl := find_kubectl()) is None:
        pytest.skip("bash, jq or kubectl is not installed")
    await desk.type("".join(f"{kubectl} create namespace {name}\n" for name in ("staging", "production")))
    await SampleImage(name="drill").push(desk.stack.registry_url, "acme/drill", "1")
    assert (await desk.caib("add", "drill", "quay.io/acme/drill:1", *SAID, "--target", "drill"))[0] == 0
    page = (Path(__file__).parents[2] / "docs" / "recalls.md").read_text()
    promotion, drill = page.partition("## Promotion")[2], page.partition("## A drill")[2].partition("## Being told")[0]
    commands = "\n".join(re.findall(r"^```sh\n(.*?)```", promotion, re.DOTALL | re.MULTILINE))
    out = await desk.type(commands.replace("autosd-cs9-rpi4", "drill").replace("-n development", "-n default"))
    assert out.count("✓ Promoted successfully") == 2
    steps = [textwrap.dedent(step) for step in re.findall(r"^ *```sh\n(.*?)```", drill, re.DOTALL | re.MULTILINE)]
    wanted = "export NAME=drill NAMESPACE=default BOARD=drill DISTRO=cs9 WHY='no brakes'; cd \"$HOME\"\n"
    listed = (await desk.type(wanted + "".join(steps[:3]))).splitlines()
    assert sorted(line.split()[0] for line in listed if "Recalled" in line and " drill " in line) == [
        "default",
        "production",
        "staging",
    ]
    assert "true" in await desk.type('jq .recall.told "$HOME/recall.json"')
    code, _, err = await desk.caib("promote", "drill", "--to", "staging")
    assert (code, err.partition(":")[0]) == (5, "Error")
    assert (await desk.caib("restore", "drill", "--reason", "a drill", "--force"))[0] == 0
    assert "no images" in (await desk.caib("list", "-A", "--recalled", "-q", "drill"))[2]


async def test_a_tag_that_moves_is_quarantined_until_somebody_decides(desk: Desk) -> None:
    await SampleImage(name="old").push(desk.stack.registry_url, "acme/tiller", "1")
    assert (await desk.caib("add", "tiller", "quay.io/acme/tiller:1", *SAID, "--target", "tiller"))[0] == 0
    assert (await desk.caib("pin", "tiller", "--drift-policy", "quarantine"))[0] == 0
    new = SampleImage(name="new")
    await new.push(desk.stack.registry_url, "acme/tiller", "1")
    code, _, err = await desk.caib("verify", "tiller")
    assert code == 1
    assert err.startswith('Error: catalog image "tiller" is Unavailable: Quarantined: its tag moved to ')
    assert (await desk.caib("resolve", "--target", "tiller"))[0] == 4
    code, out, _ = await desk.caib("list", "--target", "tiller", "-o", "wide")
    assert out.rstrip().endswith(" QUARANTINED,DRIFT")
    code, out, err = await desk.caib("pin", "tiller", "--moved")
    assert (code, err) == (0, "")
    assert out.startswith(f'✓ Catalog image "tiller": pinned to {new.digest}, drift policy quarantine\n')
    code, out, _ = await desk.caib("resolve", "--target", "tiller")
    assert (code, new.digest in out) == (0, True)


async def test_what_is_removed_is_gone_when_the_command_ends(desk: Desk) -> None:
    assert (await desk.caib("add", "brief", "quay.io/acme/cockpit:4", *SAID))[0] == 0
    code, out, err = await desk.caib("remove", "brief", "--force")
    assert (code, out, err) == (0, '✓ Removed catalog image "brief" in namespace "default"\n', "")
    assert (await desk.caib("get", "brief"))[0] == 4
    assert (await desk.caib("add", "brief", "quay.io/acme/cockpit:4", *SAID))[0] == 0


async def test_a_watch_tells_what_somebody_else_does(desk: Desk) -> None:
    index = SampleIndex(name="watched")
    await index.push(desk.stack.registry_url, "acme/watched", "1")
    watched = ("watch", "--filter", "name=watched", "--count", "3", "--timeout", "25s", "-o", "json")
    watching = asyncio.create_task(desk.caib(*watched, "--since", "10s"))
    assert (await desk.caib("add", "watched", "quay.io/acme/watched:1", *SAID))[0] == 0
    platform = index.images[0].digest
    assert (await desk.caib("recall", "watched", "--digest", platform, "--reason", "no display", "--force"))[0] == 0
    code, out, err = await watching
    events = {event["type"].rpartition("catalog.")[2]: event for event in map(json.loads, out.splitlines())}
    assert (code, err, set(events)) == (0, "", {"image.published", "image.available", "image.recalled"})
    assert {event["data"]["registryUrl"] for event in events.values()} == {"quay.io/acme/watched:1"}
    assert events["image.recalled"]["digest"] == platform


async def test_the_files_of_an_image_come_from_its_registry_and_from_its_builds_bucket(desk: Desk) -> None:
    await SampleArtifact(name="disks").push(desk.stack.registry_url, "acme/disks", "1")
    # Of its own: a build of what is in the catalog already becomes a version of that entry.
    await SampleImage(name="flashable").push(desk.stack.registry_url, "acme/flashable", "1")
    with running_object_store() as store:
        store.put("builds/flashable/flashable.raw.gz", gzip.compress(b"disk"))
        await desk.let_functions_read_keys()
        s3 = {"bucket": "images", "endpoint": store.endpoint, "credentialsSecret": "s3-keys"}
        await desk.build("flashable", phase="Completed", url="quay.io/acme/flashable:1", disk={"s3": s3})
        assert (await desk.caib("publish", "flashable"))[0] == 0
        code, out, err = await desk.caib("artifacts", "flashable", "-o", "json")
        assert (code, err) == (0, "")
        assert "X-Amz-Signature" in json.loads(out)["items"][0]["downloadUrl"]
        code, out, err = await desk.caib("download", "flashable", "-o", str(desk.home / "files"), "--decompress")
        assert (code, err) == (0, "")
        assert (desk.home / "files" / "flashable.raw").read_bytes() == b"disk"
    assert (await desk.caib("add", "disks", "quay.io/acme/disks:1", *SAID))[0] == 0
    code, out, err = await desk.caib("download", "disks", "-o", str(desk.home / "files"), "--output", "json")
    assert (code, err) == (0, "")
    written = json.loads(out)["items"]
    assert [(item["artifact"], item["verified"]) for item in written] == [
        ("boot.img.gz", True),
        ("system.img.gz", True),
    ]
