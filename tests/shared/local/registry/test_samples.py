import gzip
import hashlib
import io
import json
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from image_catalog.errors import (
    AccessDeniedError,
    AuthenticationError,
    CatalogError,
    PermanentError,
    RegistryFaultError,
    RegistryUnreachableError,
)
from image_catalog.local.registry import (
    RegistryStore,
    Sample,
    SampleArtifact,
    SampleAttestation,
    SampleImage,
    SampleIndex,
)

AUTOMOTIVE = "automotive.sdv.cloud.redhat.com/"


def samples() -> list[Sample]:
    return [SampleImage(), SampleImage(docker=True), SampleIndex(attestations=True), SampleArtifact()]


def test_samples_are_the_same_every_time() -> None:
    assert [sample.digest for sample in samples()] == [sample.digest for sample in samples()]


def test_samples_of_other_names_have_other_digests() -> None:
    assert SampleImage().digest != SampleImage(name="other").digest
    assert SampleIndex().digest != SampleIndex(name="other").digest
    assert SampleArtifact().digest != SampleArtifact(name="other").digest


def test_samples_are_small() -> None:
    assert all(sum(len(part.manifest) + part.size for part in sample.walk()) < 8192 for sample in samples())


def test_an_image_says_in_its_config_what_it_is() -> None:
    created = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    image = SampleImage(architecture="arm64", variant="v8", created=created, labels={"distro": "autosd"})
    config = json.loads(image.blobs[0].content)
    assert (config["architecture"], config["os"], config["variant"]) == ("arm64", "linux", "v8")
    assert config["created"] == "2026-01-02T03:04:05Z"
    assert config["config"]["Labels"] == {"distro": "autosd"}


def test_an_image_layer_is_a_real_gzip_tar_with_its_diff_id() -> None:
    image = SampleImage(name="radio")
    layer = image.blobs[1].content
    plain = gzip.decompress(layer)
    config = json.loads(image.blobs[0].content)
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(plain).hexdigest()}"]
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        release = archive.extractfile("etc/os-release")
        assert release is not None
        assert b"IMAGE_ID=radio" in release.read()


def test_an_index_names_its_platforms_and_keeps_attestations_apart() -> None:
    index = SampleIndex(attestations=True, annotations={"made": "here"})
    document = json.loads(index.manifest)
    platforms = [entry["platform"]["architecture"] for entry in document["manifests"]]
    assert platforms == ["arm64", "amd64", "unknown", "unknown"]
    attested = document["manifests"][2]["annotations"]
    assert attested["vnd.docker.reference.type"] == "attestation-manifest"
    assert attested["vnd.docker.reference.digest"] == index.images[0].digest
    assert document["annotations"] == {"made": "here"}


def test_the_size_of_an_index_is_that_of_its_images() -> None:
    index = SampleIndex(attestations=True)
    assert index.size == sum(image.size for image in index.images)
    assert isinstance(index.children[-1], SampleAttestation)


def test_an_index_may_refer_and_may_hold_an_index() -> None:
    inner = SampleIndex()
    outer = SampleIndex([inner], subject=SampleImage())
    document = json.loads(outer.manifest)
    assert document["manifests"][0]["mediaType"] == inner.media_type
    assert document["subject"]["digest"] == SampleImage().digest


def test_a_disk_artifact_has_the_annotations_of_the_build_operator() -> None:
    artifact = SampleArtifact(target="ride4", partitions=("boot", "system"), disk_format="simg")
    document = json.loads(artifact.manifest)
    assert document["artifactType"] == "application/vnd.automotive.disk"
    assert document["config"]["mediaType"] == "application/vnd.oci.empty.v1+json"
    assert document["annotations"][f"{AUTOMOTIVE}target"] == "ride4"
    assert document["annotations"][f"{AUTOMOTIVE}parts"] == "boot,system"
    layer = document["layers"][0]
    assert layer["mediaType"] == "application/vnd.automotive.disk.simg+gzip"
    assert layer["annotations"][f"{AUTOMOTIVE}partition"] == "boot"
    assert layer["annotations"]["org.opencontainers.image.title"] == "boot.img.gz"
    decompressed = gzip.decompress(artifact.blobs[1].content)
    assert layer["annotations"][f"{AUTOMOTIVE}decompressed-size"] == str(len(decompressed))


def test_a_disk_of_one_piece_has_no_partitions() -> None:
    document = json.loads(SampleArtifact(partitions=()).manifest)
    assert len(document["layers"]) == 1
    assert document["annotations"][f"{AUTOMOTIVE}multi-layer"] == "false"
    assert f"{AUTOMOTIVE}partition" not in document["layers"][0]["annotations"]


async def test_a_push_and_a_put_come_to_the_same(client: httpx.AsyncClient, store: RegistryStore) -> None:
    for sample in samples():
        pushed = await sample.push("http://registry.test", "pushed/os", "1.0", client=client)
        put = sample.put(store, "put/os", "1.0")
        assert pushed == put == sample.digest
        for part in sample.walk():
            assert store.manifest("pushed/os", part.digest) is not None
            assert all(store.blob("pushed/os", blob.digest) is not None for blob in part.blobs)


async def test_a_push_without_a_tag_leaves_none(client: httpx.AsyncClient, store: RegistryStore) -> None:
    image = SampleImage()
    await image.push("http://registry.test", "team/os", client=client)
    assert store.tags("team/os") == []
    assert store.manifest("team/os", image.digest) is not None


async def test_a_second_push_sends_no_blob_again() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.method)
        return httpx.Response(201 if request.method == "PUT" else 200)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        await SampleImage().push("http://registry.test", "team/os", "1.0", client=client)
    assert asked == ["HEAD", "HEAD", "PUT"]


@pytest.mark.parametrize(
    ("status", "expected"),
    [(401, AuthenticationError), (403, AccessDeniedError), (400, PermanentError), (500, RegistryFaultError)],
    ids=str,
)
async def test_a_push_that_is_refused_says_so_in_our_errors(status: int, expected: type[CatalogError]) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(status, text="no"))
    async with httpx.AsyncClient(transport=transport) as client:
        with pytest.raises(expected, match=f"refused HEAD .* with {status}") as raised:
            await SampleImage().push("http://registry.test", "team/os", "1.0", client=client)
    assert raised.type is expected


async def test_a_push_to_nobody_is_unreachable() -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("nobody there")

    async with httpx.AsyncClient(transport=httpx.MockTransport(refuse)) as client:
        with pytest.raises(RegistryUnreachableError, match="nobody there"):
            await SampleImage().push("http://registry.test", "team/os", "1.0", client=client)


def test_a_layout_holds_everything_under_its_tag(tmp_path: Path) -> None:
    index = SampleIndex(attestations=True)
    folder = index.write_layout(tmp_path / "layout", "1.0")
    named = json.loads((folder / "index.json").read_text())["manifests"]
    assert [entry["annotations"]["org.opencontainers.image.ref.name"] for entry in named] == ["1.0"]
    assert (folder / "oci-layout").exists()
    for part in index.walk():
        for digest in (part.digest, *(blob.digest for blob in part.blobs)):
            content = (folder / "blobs" / digest.replace(":", "/")).read_bytes()
            assert f"sha256:{hashlib.sha256(content).hexdigest()}" == digest
