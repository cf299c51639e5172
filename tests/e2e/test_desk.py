"""What people do beside one stack: with ``caib``, with kubectl and over HTTP, and each sees what the others do."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import secrets
import shutil
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
import yaml

from image_catalog.cluster import CATALOG_IMAGE
from image_catalog.local.registry import SampleArtifact, SampleImage, SampleIndex
from image_catalog.local.samples import push_samples
from image_catalog.local.stack import StackOptions
from image_catalog.models.names import ANNOTATION_PUBLICATION, FINALIZER, LABEL_DISTRO
from image_catalog.testing.desk import IMAGES, Desk, beside_a_stack
from image_catalog.testing.kubectl import find_kubectl
from image_catalog.testing.looking import until
from image_catalog.testing.object_store import running_object_store

URL = "quay.io/acme/cockpit:1"
SAID = ("--architecture", "arm64", "--distro", "cs9")
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]
needs_kubectl = pytest.mark.skipif(not (shutil.which("bash") and find_kubectl()), reason="no bash, or no kubectl")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    folder = tmp_path_factory.mktemp("desk")
    account = ("robot", secrets.token_urlsafe(12))
    options = StackOptions(folder=folder / "stack", accounts=dict([account]), notify=True)
    async with beside_a_stack(options, home=folder) as desk:
        await push_samples(desk.stack.registry_url)
        for tag in ("1", "2", "3", "4"):
            await SampleImage(name=tag).push(desk.stack.registry_url, "acme/cockpit", tag)
        await SampleImage().push(desk.stack.registry_url, "private/radio", "1", auth=account)
        yield desk


async def test_who_shows_no_token_is_told_how_to_get_one(desk: Desk) -> None:
    refused = await desk.client.get(IMAGES)
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Bearer")
    assert refused.json()["error"] == "Unauthenticated"
    assert (await desk.get()).status_code == 200


async def test_what_is_pushed_again_is_a_version_although_nothing_is_due(desk: Desk) -> None:
    old, new = SampleImage(name="old"), SampleImage(name="new")
    await desk.push("acme/pushed", old)
    # Made by hand, and so without a pin: it follows its tag.
    entry = {"metadata": {"name": "pushed"}, "spec": {"registryUrl": "quay.io/acme/pushed:1"}}
    await desk.stack.api.create(CATALOG_IMAGE, entry, "default")

    async def holds(sample: SampleImage) -> bool:
        status = (await desk.object(CATALOG_IMAGE, "pushed")).get("status", {})
        return bool(status.get("registryMetadata", {}).get("resolvedDigest") == sample.digest)

    assert await until(lambda: holds(old))
    await desk.push("acme/pushed", new)
    assert await until(lambda: holds(new))


@needs_kubectl
async def test_an_account_may_do_what_its_roles_say_and_no_more(desk: Desk) -> None:
    await desk.kubectl("create namespace team-a")
    await desk.kubectl("-n team-a create serviceaccount ci")
    token = (await desk.kubectl("-n team-a create token ci")).strip()

    async def status(namespace: str) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return (await desk.client.get(IMAGES, params={"namespace": namespace}, headers=headers)).status_code

    assert await status("team-a") == 403
    whom = "--serviceaccount=team-a:ci"
    await desk.kubectl(f"-n team-a create rolebinding ci --clusterrole=image-catalog-publisher {whom}")

    async def is_let_in() -> bool:
        return await status("team-a") == 200

    # The refusal is believed for some seconds.
    assert await until(is_let_in)
    assert await status("default") == 403


@needs_kubectl
async def test_kubectl_and_caib_show_the_same_of_every_entry(desk: Desk) -> None:
    await desk.add("single", "centos-automotive/autosd:cs9-rpi4")
    await desk.add("multi", "centos-automotive/autosd:cs9-multi")
    shown = []
    for table in (await desk.kubectl("get catimg"), await desk.tell("list")):
        head, *rows = (line.split() for line in table.splitlines())
        # Between the two a second may pass.
        shown.append((head, {row[0]: row[1:-1] for row in rows}))
    assert shown[0] == shown[1]
    assert {"single", "multi"} <= shown[0][1].keys()

    for name in ("single", "multi"):
        stored = json.loads(await desk.kubectl(f"get catimg {name} -o json"))
        told = yaml.safe_load(await desk.tell("get", name))
        stored["status"].pop("accessCount", None)
        told["status"].pop("accessCount")
        assert (told["spec"], told["status"]) == (stored["spec"], stored["status"])


@needs_kubectl
async def test_what_kubectl_changes_caib_shows(desk: Desk) -> None:
    await desk.add("watched", "centos-automotive/autosd:cs9-qemu")
    await desk.kubectl("""patch catimg watched --type=merge -p '{"spec":{"tags":["golden"]}}'""")

    async def is_found() -> bool:
        return [item["metadata"]["name"] for item in (await desk.get(tags="golden")).json()["items"]] == ["watched"]

    assert await until(is_found)
    assert (await desk.tell("list", "--tags", "golden", "--output", "name")).split("/")[-1] == "watched\n"
    await desk.kubectl("delete catimg watched")

    async def is_gone() -> bool:
        return (await desk.get(f"{IMAGES}/watched")).status_code == 404

    assert await until(is_gone)


@needs_kubectl
async def test_what_caib_changes_kubectl_shows_without_waiting(desk: Desk) -> None:
    await desk.add("mine", "centos-automotive/autosd:cs9-qemu")
    assert (await desk.kubectl("get catimg mine -o jsonpath='{.status.phase}'")).strip("'") == "Available"
    await desk.tell("remove", "mine", "--force")
    await desk.kubectl("wait --for=delete catimg/mine --timeout=20s")


@needs_kubectl
async def test_who_did_what_is_told_with_the_tool_and_outlives_the_entry(desk: Desk) -> None:
    await desk.push("acme/told", SampleImage(name="told"))
    await desk.add("told", "acme/told:1")

    async def record(kind: str) -> dict[str, Any]:
        async def look() -> list[dict[str, Any]]:
            shown = await desk.tell("audit", "--name", "told", "--kind", kind, "--output", "json")
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
    everything = await desk.tell("history", "told", "--all")
    assert [kind in everything for kind in ("image.published", "image.changed", "image.removed")] == [True] * 3
    assert "admin" in await desk.tell("history", "told")
    assert "told" in await desk.tell("list", "--as-of", changed["recordedAt"], "--all")

    async def was_gone() -> bool:
        return "told" not in await desk.tell("list", "--as-of", "1s", "--all")

    assert await until(was_gone)


async def test_what_was_read_is_still_counted_when_the_api_has_been_replaced(desk: Desk) -> None:
    await desk.push("acme/read", SampleImage(name="read"))
    await desk.add("read", "acme/read:1")
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


@needs_kubectl
async def test_an_edit_keeps_what_the_functions_wrote_and_an_old_copy_takes_no_publication_back(desk: Desk) -> None:
    now = datetime.now(UTC)
    await desk.publish("first", "dashboard", at=now - timedelta(hours=1))
    before = await desk.object(CATALOG_IMAGE, "dashboard")
    copy = json.loads(await desk.tell("get", "dashboard", "-o", "json"))

    copy["spec"]["tags"] = ["production"]
    assert await desk.apply(copy) == "catalogimage.automotive.sdv.cloud.redhat.com/dashboard configured\n"
    edited = await desk.object(CATALOG_IMAGE, "dashboard")
    assert edited["spec"] == before["spec"] | {"tags": ["production"]}
    assert edited["metadata"]["finalizers"] == [FINALIZER]
    assert edited["metadata"]["labels"] == before["metadata"]["labels"]
    remembered = json.loads(edited["metadata"]["annotations"][LAST_APPLIED])
    assert set(remembered["metadata"]) == {"annotations", "name", "namespace"}

    await desk.publish("second", "dashboard", at=now)
    newer = await desk.object(CATALOG_IMAGE, "dashboard")
    assert newer["spec"]["digest"] != before["spec"]["digest"]
    copy["spec"]["tags"] = ["production", "tested"]
    await desk.apply(copy)
    edited = await desk.object(CATALOG_IMAGE, "dashboard")
    assert edited["spec"] == newer["spec"] | {"tags": ["production", "tested"]}
    assert edited["status"]["sourceImageBuild"]["name"] == "second"
    assert edited["metadata"]["finalizers"] == [FINALIZER]
    assert edited["metadata"]["labels"][LABEL_DISTRO] == "cs9"
    annotations = edited["metadata"]["annotations"]
    assert annotations[ANNOTATION_PUBLICATION] == newer["metadata"]["annotations"][ANNOTATION_PUBLICATION]


@needs_kubectl
async def test_an_edit_of_what_was_read_after_an_edit_changes_that_alone(desk: Desk) -> None:
    await desk.publish("third", "dashboard", at=datetime.now(UTC) + timedelta(minutes=1))
    before = await desk.object(CATALOG_IMAGE, "dashboard")
    copy = json.loads(await desk.tell("get", "dashboard", "-o", "json"))
    assert "annotations" not in copy["metadata"]
    copy["spec"]["driftPolicy"] = "quarantine"
    await desk.apply(copy)
    edited = await desk.object(CATALOG_IMAGE, "dashboard")
    assert edited["spec"] == before["spec"] | {"driftPolicy": "quarantine"}
    assert edited["metadata"]["labels"] == before["metadata"]["labels"]


async def test_a_build_that_cannot_be_published_says_why(desk: Desk) -> None:
    await desk.build("unfinished", "acme/cockpit:1", phase="Building")
    await desk.build("kept", None)
    for name, code, step, error in (
        ("nowhere", 4, "ImageBuild status: BuildNotFound", 'ImageBuild "nowhere" not found in namespace "default"\n'),
        ("unfinished", 1, "ImageBuild status: BuildNotCompleted", "is Building; it is published once Completed"),
        ("kept", 1, "Registry location: NoRegistryLocation", ""),
    ):
        ended, out, err = await desk.caib("publish", name)
        assert (ended, err.partition(":")[0]) == (code, "Error")
        assert f"\n✗ {step}\n" in out
        assert error in err


async def test_a_build_is_published_once_and_then_unchanged(desk: Desk) -> None:
    await desk.build("cockpit", "acme/cockpit:1")
    code, out, err = await desk.caib("publish", "cockpit", "--catalog-name", "panel", "--tags", "a,b")
    assert (code, err) == (0, "")
    assert '✓ Creating catalog image "panel"\n✓ Published successfully\n' in out
    code, out, err = await desk.caib("publish", "cockpit", "--catalog-name", "panel")
    assert (code, err) == (0, "")
    assert '✓ Catalog image "panel": unchanged\n✓ Published already, nothing changed\n' in out


async def test_an_image_that_has_an_entry_and_a_name_that_another_image_has_are_conflicts(desk: Desk) -> None:
    await desk.add("two", "acme/cockpit:2")
    code, out, err = await desk.caib("add", "second", "quay.io/acme/cockpit:2", *SAID)
    assert code == 5
    assert "\n✗ Catalog image: AlreadyExists\n" in out
    assert "two" in err.splitlines()[0]
    code, _, err = await desk.caib("add", "two", "quay.io/acme/cockpit:3", *SAID)
    assert (code, err.partition(":")[0]) == (5, "Error")


async def test_a_registry_that_asks_for_a_password_refuses_with_its_status(desk: Desk) -> None:
    code, out, err = await desk.caib("add", "radio", "quay.io/private/radio:1", *SAID)
    assert code == 1
    assert "\n✗ Registry accessibility: 401 AuthenticationFailed\n" in out
    assert err.startswith("Error: ")
    code, out, _ = await desk.caib("verify", "--reference", "quay.io/private/radio:1")
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


async def test_a_board_is_given_its_platform_by_digest_until_that_is_recalled(desk: Desk) -> None:
    index = SampleIndex(name="gauge")
    arm, amd = index.images
    await desk.push("acme/gauge", index)
    await desk.add("gauge", "acme/gauge:1", "--target", "gauge")
    board = ("resolve", "--target", "gauge", "--distro", "cs9")
    code, out, err = await desk.caib(*board)
    assert (code, out) == (0, f"quay.io/acme/gauge@{arm.digest}\n"), err
    assert err.startswith("gauge in namespace default, published ")
    code, out, _ = await desk.caib(*board, "--architecture", "x86_64", "-o", "json")
    answer = json.loads(out)
    assert (code, answer["platformDigest"], answer["indexDigest"]) == (0, amd.digest, index.digest)
    assert answer["reference"] == f"quay.io/acme/gauge@{amd.digest}"

    await desk.tell("recall", "gauge", "--digest", arm.digest, "--reason", "no display", "--force")
    code, out, err = await desk.caib(*board)
    assert (code, out) == (4, "")
    _, gauge, error = err.splitlines()
    assert gauge.split()[3] == "Recalled"
    assert gauge.endswith("no display")
    assert error == "Error: the one image for gauge in namespace default does not fit: Recalled 1"
    assert (await desk.caib(*board, "--architecture", "amd64"))[1] == f"quay.io/acme/gauge@{amd.digest}\n"


async def test_a_tag_that_moves_is_quarantined_until_somebody_decides(desk: Desk) -> None:
    await desk.push("acme/tiller", SampleImage(name="old"))
    await desk.add("tiller", "acme/tiller:1", "--target", "tiller")
    await desk.tell("pin", "tiller", "--drift-policy", "quarantine")
    new = SampleImage(name="new")
    await desk.push("acme/tiller", new)
    code, _, err = await desk.caib("verify", "tiller")
    assert code == 1
    assert err.startswith('Error: catalog image "tiller" is Unavailable: Quarantined: its tag moved to ')
    assert (await desk.caib("resolve", "--target", "tiller"))[0] == 4
    code, out, _ = await desk.caib("list", "--target", "tiller", "-o", "wide")
    assert out.rstrip().endswith(" QUARANTINED,DRIFT")
    code, out, err = await desk.caib("pin", "tiller", "--moved")
    assert (code, err) == (0, "")
    assert out.startswith(f'✓ Catalog image "tiller": pinned to {new.digest}, drift policy quarantine\n')
    assert new.digest in await desk.tell("resolve", "--target", "tiller")


async def test_what_is_removed_is_gone_when_the_command_ends(desk: Desk) -> None:
    await desk.add("brief", "acme/cockpit:4")
    code, out, err = await desk.caib("remove", "brief", "--force")
    assert (code, out, err) == (0, '✓ Removed catalog image "brief" in namespace "default"\n', "")
    assert (await desk.caib("get", "brief"))[0] == 4
    await desk.add("brief", "acme/cockpit:4")


async def test_a_watch_tells_what_somebody_else_does(desk: Desk) -> None:
    index = SampleIndex(name="seen")
    await desk.push("acme/seen", index)
    watched = ("watch", "--filter", "name=seen", "--count", "3", "--timeout", "25s", "-o", "json")
    watching = asyncio.create_task(desk.caib(*watched, "--since", "10s"))
    await desk.add("seen", "acme/seen:1")
    platform = index.images[0].digest
    await desk.tell("recall", "seen", "--digest", platform, "--reason", "no display", "--force")
    code, out, err = await watching
    events = {event["type"].rpartition("catalog.")[2]: event for event in map(json.loads, out.splitlines())}
    assert (code, err, set(events)) == (0, "", {"image.published", "image.available", "image.recalled"})
    assert {event["data"]["registryUrl"] for event in events.values()} == {"quay.io/acme/seen:1"}
    assert events["image.recalled"]["digest"] == platform


async def test_the_files_of_an_image_come_from_its_registry_and_from_its_builds_bucket(desk: Desk) -> None:
    await desk.push("acme/disks", SampleArtifact(name="disks"))
    # Of its own: a build of what is in the catalog already becomes a version of that entry.
    await desk.push("acme/flashable", SampleImage(name="flashable"))
    with running_object_store() as store:
        store.put("builds/flashable/flashable.raw.gz", gzip.compress(b"disk"))
        await desk.let_functions_read_keys("s3-keys")
        s3 = {"bucket": "images", "endpoint": store.endpoint, "credentialsSecret": "s3-keys"}
        await desk.build("flashable", "acme/flashable:1", disk={"s3": s3})
        await desk.tell("publish", "flashable")
        code, out, err = await desk.caib("artifacts", "flashable", "-o", "json")
        assert (code, err) == (0, "")
        assert "X-Amz-Signature" in json.loads(out)["items"][0]["downloadUrl"]
        code, out, err = await desk.caib("download", "flashable", "-o", str(desk.home / "files"), "--decompress")
        assert (code, err) == (0, "")
        assert (desk.home / "files" / "flashable.raw").read_bytes() == b"disk"
    await desk.add("disks", "acme/disks:1")
    code, out, err = await desk.caib("download", "disks", "-o", str(desk.home / "files"), "--output", "json")
    assert (code, err) == (0, "")
    written = [(item["artifact"], item["verified"]) for item in json.loads(out)["items"]]
    assert written == [("boot.img.gz", True), ("system.img.gz", True)]
