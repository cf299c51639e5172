"""The files of builds: what a publication tells of them, and URLs that open them for whoever may read the entry."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from image_catalog.config import Settings
from image_catalog.events import CatalogEvent, EventType, to_binary
from image_catalog.local.knative import read_event
from image_catalog.local.registry import SampleArtifact
from image_catalog.models import format_time
from image_catalog.models.artifact_events import ArtifactsRequest
from image_catalog.models.names import ANNOTATION_ALLOW_NAMESPACES
from image_catalog.testing.object_store import ObjectStore, running_object_store
from image_catalog.testing.world import NAMESPACE, World
from image_catalog_functions.api.recording import Recorder
from image_catalog_functions.api.writing.asking import Asker, request_event

ENDPOINT = "https://s3.test"
KEYS = {"access-key-id": "key-of-a-build", "secret-access-key": "signs-for-the-build"}


@pytest.fixture(scope="module")
def running() -> Iterator[ObjectStore]:
    with running_object_store() as store:
        yield store


@pytest.fixture
def store(running: ObjectStore, world: World) -> ObjectStore:
    running.clear()
    running.serve(world.network)
    return running


def add_keys(world: World, *, namespace: str = NAMESPACE, data: dict[str, str] = KEYS, **metadata: Any) -> None:
    world.allow_secrets(namespace=namespace)
    world.pipeline.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "s3-keys", "namespace": namespace, **metadata},
            "data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
        }
    )


def export(name: str = "autosd", **disk: Any) -> dict[str, Any]:
    s3 = {"bucket": "images", "prefix": f"builds/{name}", "endpoint": ENDPOINT, "credentialsSecret": "s3-keys"}
    return {"export": {"container": "quay.io/acme/autosd:cs9", "disk": {"s3": s3, **disk}}}


async def complete(world: World, name: str = "autosd", **fields: Any) -> Any:
    return await world.complete(name, **{"spec": export(name), **fields})


async def artifacts(catalog: Any, name: str = "autosd", **params: str) -> Any:
    catalog.services.index.put(catalog.world.raw("catalogimages", name))
    return await catalog.ask("GET", f"/images/{name}/artifacts", params=params)


def steps(world: World) -> list[tuple[str, str]]:
    published = world.data("image.published")[-1]
    return [(step["status"], step["message"]) for step in published["steps"] if step["name"] == "Artifacts"]


async def test_a_builds_files_are_told_and_opened(catalog: Any, store: ObjectStore) -> None:
    world = catalog.world
    add_keys(world)
    world.push()
    digest = store.put("builds/autosd/disk.qcow2.gz", b"packed")
    store.put("builds/autosd/boot/boot.img", b"boot", checksum=False)
    image = await complete(world)
    assert [(ref.type, ref.name, ref.format, ref.size_bytes, ref.digest) for ref in image.status.artifact_refs] == [
        ("s3", "boot/boot.img", "raw", 4, None),
        ("s3", "disk.qcow2.gz", "qcow2+gzip", 6, digest),
    ]
    assert image.status.artifact_refs[1].url == f"{ENDPOINT}/images/builds/autosd/disk.qcow2.gz"
    assert image.status.artifact_store.to_dict() == {
        "bucket": "images",
        "prefix": "builds/autosd",
        "endpoint": ENDPOINT,
        "region": "us-east-1",
        "credentialsSecret": "s3-keys",
        "namespace": NAMESPACE,
    }
    assert steps(world) == [("ok", "OK (2 in s3://images/builds/autosd)")]

    answer = await artifacts(catalog)
    assert answer.headers["cache-control"] == "no-store"
    found = {item["name"]: item for item in answer.json()["items"]}
    disk = found["disk.qcow2.gz"]
    assert (disk["checksum"], disk["sha256"]) == (digest, digest.removeprefix("sha256:"))
    assert disk["expiresAt"] == format_time(world.clock.now() + timedelta(minutes=15))
    assert "sha256" not in found["boot/boot.img"]
    for item, content in ((disk, b"packed"), (found["boot/boot.img"], b"boot")):
        async with httpx.AsyncClient(trust_env=False) as client:
            got = await client.get(item["downloadUrl"].replace(ENDPOINT, store.endpoint))
        assert got.content == content
    metadata = answer.json()["metadata"]
    assert (metadata["registryUrl"], metadata["digest"]) == ("quay.io/acme/autosd:cs9", image.spec.digest)
    assert "unavailable" not in answer.json()


async def test_a_url_that_opens_a_file_reaches_no_broker_and_no_log(
    catalog: Any, store: ObjectStore, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    world = catalog.world
    add_keys(world)
    world.push()
    store.put("builds/autosd/disk.raw", b"disk")
    await complete(world)
    url = (await artifacts(catalog)).json()["items"][0]["downloadUrl"]
    signature = url.partition("X-Amz-Signature=")[2]
    assert len(signature) == 64
    assert "artifacts.located" not in world.pipeline.emitted_types()
    assert not catalog.broker.received
    printed = capsys.readouterr()
    stored = str([*world.all("catalogimages"), *world.all("events")])
    for text in (printed.out, printed.err, caplog.text, stored, str([e.data for e in world.pipeline.emitted])):
        assert signature not in text
        assert KEYS["secret-access-key"] not in text


async def test_who_has_not_proven_itself_gets_no_url_of_the_function(catalog: Any, store: ObjectStore) -> None:
    world = catalog.world
    add_keys(world)
    world.push()
    store.put("builds/autosd/disk.raw", b"disk")
    await complete(world)
    data = ArtifactsRequest(name="autosd", namespace=NAMESPACE, actor="somebody")
    event = request_event(data, clock=world.clock.now, asker=Asker())
    for headers in ({}, {"prefer": "return=representation"}, _proof(world) | {"prefer": "respond-async"}):
        answer = await world.pipeline.deliver("verify", _sent(event), **headers)
        assert answer.status_code == 401
        assert b"X-Amz" not in bytes(answer.body)
    answer = await world.pipeline.deliver("verify", _sent(event), prefer="return=representation", **_proof(world))
    assert b"X-Amz-Signature" in bytes(answer.body)


def _proof(world: World) -> dict[str, str]:
    return {"authorization": f"Bearer {world.pipeline.cluster.token('api', audiences=['image-catalog'])}"}


def _sent(event: CatalogEvent) -> Any:
    headers, body = to_binary(event)
    return read_event(headers, body)


class TestWhatCannotBeListed:
    async def test_without_the_secret_the_image_is_published_and_the_files_follow_later(
        self, catalog: Any, store: ObjectStore
    ) -> None:
        world = catalog.world
        world.allow_secrets()
        world.push()
        store.put("builds/autosd/disk.raw", b"disk")
        image = await complete(world)
        assert image.status.phase == "Available"
        assert (image.status.artifact_refs, image.status.artifact_store.bucket) == ([], "images")
        ((status, message),) = steps(world)
        assert status == "warning"
        assert message.startswith(
            'SecretNotFound: Secret "s3-keys" not found in namespace "team-a"; create it, or mend'
        )

        refused = (await artifacts(catalog)).json()
        assert refused["items"] == []
        assert refused["unavailable"]["reason"] == "SecretNotFound"
        add_keys(world)
        (item,) = (await artifacts(catalog)).json()["items"]
        assert (item["type"], item["name"], item["sizeBytes"]) == ("s3", "disk.raw", 4)
        assert "X-Amz-Signature" in item["downloadUrl"]
        assert "X-Amz" not in item["url"]

    @pytest.mark.parametrize(
        ("spec", "said"),
        [
            (
                {"bucket": "no-such-bucket"},
                "StoreInvalid: s3://no-such-bucket/builds/autosd: the store has no such",
            ),
            ({"endpoint": "https://169.254.169.254"}, "RegistryUnreachable"),
            ({"endpoint": "nonsense"}, "StoreInvalid"),
            ({"credentialsSecret": "quay"}, 'SecretNotFound: Secret "quay"'),
            ({"prefix": "builds/nothing"}, "s3://images/builds/nothing has no files"),
        ],
        ids=["bucket", "unreachable", "no URL", "another Secret", "no files"],
    )
    @pytest.mark.usefixtures("store")
    async def test_a_step_says_why(self, catalog: Any, spec: dict[str, str], said: str) -> None:
        world = catalog.world
        add_keys(world)
        world.push()
        wanted = export()
        wanted["export"]["disk"]["s3"] |= spec
        image = await complete(world, spec=wanted)
        assert image.status.phase == "Available"
        ((status, message),) = steps(world)
        assert status == "warning"
        assert message.startswith(said)

    async def test_what_was_listed_stays_while_the_store_is_away(self, catalog: Any, store: ObjectStore) -> None:
        world = catalog.world
        add_keys(world)
        world.push()
        store.put("builds/autosd/disk.raw", b"disk")
        image = await complete(world)
        world.take_down("s3.test")
        again = await catalog.ask("POST", "/publish", {"imageBuildName": "autosd", "imageBuildNamespace": NAMESPACE})
        assert again.json()["status"]["artifactRefs"] == [ref.to_dict() for ref in image.status.artifact_refs]
        assert "Artifacts" in {s["name"] for s in again.json()["steps"] if s["status"] == "warning"}

    async def test_the_files_are_told_without_urls_while_the_function_is_away(
        self, catalog: Any, store: ObjectStore
    ) -> None:
        world = catalog.world
        add_keys(world)
        world.push()
        store.put("builds/autosd/disk.raw", b"disk")
        await complete(world)
        catalog.calls.before = [httpx.Response(500) for _ in range(1)]
        answer = await artifacts(catalog)
        assert answer.status_code == 200
        (item,) = answer.json()["items"]
        assert (item["name"], "downloadUrl" in item) == ("disk.raw", False)
        assert answer.json()["unavailable"]["reason"] == "FunctionRefused"


class TestVersions:
    async def test_another_content_has_its_own_files(self, catalog: Any, store: ObjectStore) -> None:
        world = catalog.world
        add_keys(world)
        world.push("one")
        store.put("builds/autosd/one.raw", b"one")
        await complete(world)
        world.clock.advance(timedelta(hours=1))
        world.push("two")
        store.put("builds/later/two.raw", b"two")
        await complete(world, "later")
        assert [ref.name for ref in world.image().status.artifact_refs] == ["two.raw"]
        assert world.image().status.artifact_store.prefix == "builds/later"

    async def test_a_newer_build_of_the_same_content_brings_its_own(self, catalog: Any, store: ObjectStore) -> None:
        world = catalog.world
        add_keys(world)
        world.push()
        store.put("builds/autosd/one.raw", b"one")
        await complete(world)
        world.clock.advance(timedelta(hours=1))
        await complete(world, "nothing-yet", spec=export("nothing-yet"))
        assert world.image().status.artifact_refs == []

    async def test_a_check_leaves_them_and_a_tag_that_moves_takes_them_away(
        self, catalog: Any, store: ObjectStore
    ) -> None:
        world = catalog.world
        add_keys(world)
        world.push("one")
        store.put("builds/autosd/one.raw", b"one")
        await complete(world)
        world.edit(spec={"driftPolicy": "follow", "verifyBlobs": True})
        await world.pipeline.drain()
        assert [ref.name for ref in world.image().status.artifact_refs] == ["one.raw"]
        world.push("two")
        await world.pass_time(hours=2)
        assert world.image().status.artifact_refs == []
        assert world.image().status.artifact_store is None


class TestOtherExports:
    async def test_a_disk_beside_the_container_image_is_told_with_its_repository(self, catalog: Any) -> None:
        world = catalog.world
        world.push()
        disk = SampleArtifact(name="disk")
        world.push(disk, repository="acme/disks", tag="cs9")
        spec = export()
        spec["export"]["disk"] = {"oci": "quay.io/acme/disks:cs9"}
        image = await complete(world, spec=spec)
        boot, system = image.status.artifact_refs
        assert (boot.type, boot.name, boot.partition) == ("oci", "boot.img.gz", "boot")
        assert boot.reference == "quay.io/acme/disks:cs9"
        assert boot.url == f"https://quay.io/v2/acme/disks/blobs/{disk.blobs[1].digest}"
        assert (system.size_bytes, system.decompressed_size_bytes) == (len(disk.blobs[2].content), 4096)
        (first, _) = (await artifacts(catalog)).json()["items"]
        assert (first["downloadUrl"], first["repository"]) == (boot.url, "quay.io/acme/disks")
        assert not catalog.calls.requests, "no store, no question"
        await world.pass_time(hours=2)
        assert len(world.image().status.artifact_refs) == 2, "a check leaves them"

    @pytest.mark.parametrize(
        ("put", "said"),
        [(None, "ImageNotFound"), ("plain", "quay.io/acme/disks:cs9 is no artifact with files")],
        ids=["gone", "no artifact"],
    )
    async def test_one_that_is_none_is_a_warning(self, catalog: Any, put: str | None, said: str) -> None:
        world = catalog.world
        world.push()
        if put is not None:
            world.push(put, repository="acme/disks", tag="cs9")
        spec = export()
        spec["export"]["disk"] = {"oci": "quay.io/acme/disks:cs9"}
        assert (await complete(world, spec=spec)).status.phase == "Available"
        ((status, message),) = steps(world)
        assert (status, message.startswith(said)) == ("warning", True)

    async def test_a_download_that_the_operator_serves_is_told(self, catalog: Any) -> None:
        world = catalog.world
        world.push()
        url = "https://artifacts.apps.example.com/autosd"
        served = {"artifactURL": url, "artifactFileName": "disk.simg.gz"}
        image = await complete(world, spec={"containerPush": "quay.io/acme/autosd:cs9", "export": {}}, status=served)
        (ref,) = image.status.artifact_refs
        assert ref.to_dict() == {"type": "http", "url": url, "name": "disk.simg.gz", "format": "simg+gzip"}
        (item,) = (await artifacts(catalog)).json()["items"]
        assert item["downloadUrl"] == url

    @pytest.mark.parametrize(
        ("url", "told"),
        [
            ("https://user:word@example.com/disk.raw", None),
            ("ftp://example.com/disk.raw", None),
            ("https://[::1/disk.raw", None),
            ("https://example.com/disk.raw?token=hidden#part", "https://example.com/disk.raw"),
            ("https://example.com/get?file=disk.raw", "https://example.com/get?file=disk.raw"),
        ],
        ids=["a password", "no http", "no URL", "a token", "a query"],
    )
    async def test_what_opens_such_a_download_is_not_told(self, catalog: Any, url: str, told: str | None) -> None:
        world = catalog.world
        world.push()
        served = {"artifactURL": url, "artifactFileName": "disk.raw"}
        image = await complete(world, spec={"containerPush": "quay.io/acme/autosd:cs9", "export": {}}, status=served)
        assert [ref.url for ref in image.status.artifact_refs] == ([] if told is None else [told])

    async def test_an_entry_in_another_namespace_needs_the_secrets_owners_leave(
        self, catalog: Any, store: ObjectStore
    ) -> None:
        world = catalog.world
        add_keys(world)
        world.push()
        store.put("builds/autosd/disk.raw", b"disk")
        world.pipeline.sources_run = False
        world.pipeline.apply(world.build(spec=export()))
        catalog.grant("person", ("*", "catalogimages"), namespace="team-b")
        body = {"imageBuildName": "autosd", "imageBuildNamespace": NAMESPACE, "catalogImageNamespace": "team-b"}
        answer = (await catalog.ask("POST", "/publish", body)).json()
        assert answer["status"].get("artifactRefs", []) == []
        (step,) = (step for step in answer["steps"] if step["name"] == "Artifacts")
        assert step["message"].startswith("SecretForbidden")
        catalog.services.index.put(world.raw("catalogimages", "autosd", namespace="team-b"))
        refused = await catalog.ask("GET", "/images/autosd/artifacts", params={"namespace": "team-b"})
        assert refused.json()["unavailable"]["reason"] == "SecretForbidden"
        add_keys(world, annotations={ANNOTATION_ALLOW_NAMESPACES: "team-b"})
        allowed = await catalog.ask("GET", "/images/autosd/artifacts", params={"namespace": "team-b"})
        assert [item["name"] for item in allowed.json()["items"]] == ["disk.raw"]


class TestAsking:
    async def test_rights_to_read_the_entry_are_needed(self, catalog: Any) -> None:
        world = catalog.world
        world.push()
        await complete(world, spec={})
        catalog.services.index.put(world.raw("catalogimages", "autosd"))
        headers = catalog.token("stranger")
        assert (await catalog.ask("GET", "/images/autosd/artifacts", headers=headers)).status_code == 403
        assert (await catalog.ask("GET", "/images/none/artifacts", headers=headers)).status_code == 403

    async def test_one_file_is_asked_for_by_its_name(self, catalog: Any) -> None:
        world = catalog.world
        world.push(SampleArtifact())
        await complete(world, spec={})
        (item,) = (await artifacts(catalog, artifact="system.img.gz")).json()["items"]
        assert item["partition"] == "system"
        missing = await artifacts(catalog, artifact="system")
        assert (missing.status_code, missing.json()["reason"]) == (404, "NotFound")
        assert missing.json()["detail"] == 'catalog image "autosd" has no artifact "system"'

    async def test_a_download_is_noted_once_for_each_file(self, serve: Any, world: World) -> None:
        kept: list[Any] = []

        class Ledger:
            async def append(self, records: Any) -> None:
                kept.extend(records)

        catalog = serve(recorder=Recorder(audit=Ledger(), clock=world.clock.now), settings=Settings())
        world.push(SampleArtifact())
        image = await complete(world, spec={})
        await artifacts(catalog)
        await artifacts(catalog, download="true", artifact="boot.img.gz")
        await artifacts(catalog, download="true", artifact="boot.img.gz")
        await catalog.services.recorder.flush()
        (record,) = kept
        assert (record.kind, record.digest, record.data["artifact"], record.data["count"]) == (
            "image.downloaded",
            image.status.registry_metadata.resolved_digest,
            "boot.img.gz",
            2,
        )
        assert record.actor == "system:serviceaccount:image-catalog:person"
        await catalog.client.aclose()

    async def test_head_makes_no_urls(self, catalog: Any, store: ObjectStore) -> None:
        world = catalog.world
        add_keys(world)
        world.push()
        store.put("builds/autosd/disk.raw", b"disk")
        await complete(world)
        catalog.services.index.put(world.raw("catalogimages", "autosd"))
        assert (await catalog.ask("HEAD", "/images/autosd/artifacts")).status_code == 200
        assert not catalog.calls.requests

    async def test_a_file_that_is_recalled_says_so(self, catalog: Any) -> None:
        world = catalog.world
        sample = SampleArtifact()
        world.push(sample)
        await complete(world, spec={})
        digest = sample.blobs[1].digest
        stored = world.raw("catalogimages", "autosd")
        recall = {"digest": digest, "reason": "bricks boards", "recalledBy": "ann", "namespace": NAMESPACE, "name": "a"}
        catalog.services.index.put({**stored, "status": {**stored["status"], "recalls": [recall]}})
        items = (await catalog.ask("GET", "/images/autosd/artifacts")).json()["items"]
        assert [item.get("recall", {}).get("reason") for item in items] == ["bricks boards", None]


def test_the_two_types_are_no_subscribers() -> None:
    assert {t.short for t in EventType if t.is_private} == {"artifacts.requested", "artifacts.located"}
