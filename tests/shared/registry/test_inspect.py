"""What an inspection says of good images, and how few requests it takes."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from image_catalog.errors import (
    CatalogError,
    DigestMismatchError,
    ImageNotFoundError,
    ManifestInvalidError,
    RateLimitedError,
    RegistryFaultError,
)
from image_catalog.local.registry import SampleArtifact, SampleImage, SampleIndex
from image_catalog.local.registry.samples import Sample
from image_catalog.models import Reference
from image_catalog.registry import Platform, RegistryClient
from image_catalog.testing.network import Network
from image_catalog.testing.registry import FakeRegistry
from image_catalog.testing.registry_faults import (
    another_content_type,
    another_digest_header,
    corrupt_body,
    head_not_allowed,
    html_page,
    no_digest_header,
    rate_limited,
    server_error,
)

pytestmark = pytest.mark.story

NOWHERE = "sha256:" + "0" * 64
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def put_manifest(registry: FakeRegistry, document: Any, tag: str = "1.0", media_type: str = MANIFEST) -> str:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return registry.store.put_manifest("team/os", tag, body, media_type=media_type)


async def test_first_look_at_an_image_takes_two_requests(
    registry: FakeRegistry, client: RegistryClient, image: Reference
) -> None:
    sample = SampleImage(
        variant="v8",
        labels={"com.redhat.automotive.distro": "autosd", "vendor": "left out"},
        annotations={"automotive.sdv.cloud.redhat.com/target": "rcar_s4", "org.example": "left out"},
    )
    registry.put(sample, "team/os", "1.0")
    found = await client.inspect(image)
    assert [str(request) for request in registry.requests] == [
        "GET registry.test/v2/team/os/manifests/1.0 200",
        f"GET registry.test/v2/team/os/blobs/{sample.blobs[0].digest} 200",
    ]
    assert found.requests == 2
    assert found.resolved_digest == sample.digest
    assert found.media_type == MANIFEST
    assert found.artifact_type is None
    assert found.size_bytes == sum(len(blob.content) for blob in sample.blobs)
    assert found.layer_count == 1
    assert found.platform == Platform("arm64", "linux", "v8")
    assert found.created_at == datetime(2025, 3, 1, 12, 0, tzinfo=UTC)
    assert found.labels == {"com.redhat.automotive.distro": "autosd"}
    assert found.annotations == {"automotive.sdv.cloud.redhat.com/target": "rcar_s4"}
    assert not found.is_multi_arch
    assert found.complete
    assert found.artifacts == ()


async def test_unchanged_image_takes_one_head(registry: FakeRegistry, client: RegistryClient, image: Reference) -> None:
    registry.put(SampleImage(), "team/os", "1.0")
    first = await client.inspect(image)
    registry.requests.clear()
    again = await client.inspect(image, known=first.resolved_digest)
    assert again.unchanged
    assert again.requests == 1
    assert [request.method for request in registry.requests] == ["HEAD"]
    assert again.size_bytes == first.size_bytes


async def test_changed_image_takes_a_head_and_a_first_look(
    registry: FakeRegistry, client: RegistryClient, image: Reference
) -> None:
    registry.put(SampleImage(), "team/os", "1.0")
    first = await client.inspect(image)
    newer = SampleImage(name="newer")
    registry.put(newer, "team/os", "1.0")
    registry.requests.clear()
    found = await client.inspect(image, known=first.resolved_digest)
    assert not found.unchanged
    assert found.resolved_digest == newer.digest
    assert [request.method for request in registry.requests] == ["HEAD", "GET", "GET"]


async def test_index_of_four_platforms_takes_nine_requests(
    registry: FakeRegistry, client: RegistryClient, image: Reference
) -> None:
    architectures = ("amd64", "arm64", "ppc64le", "s390x")
    images = [SampleImage(architecture=architecture, name=architecture) for architecture in architectures]
    index = SampleIndex(images, attestations=True)
    registry.put(index, "team/os", "1.0")
    found = await client.inspect(image)
    assert found.requests == 9
    assert found.is_multi_arch
    assert found.resolved_digest == index.digest
    assert found.platform is None
    assert found.layer_count is None
    assert [(variant.platform.architecture, variant.digest) for variant in found.platform_variants] == [
        (architecture, sample.digest) for architecture, sample in zip(architectures, images, strict=True)
    ]
    sizes = [sum(len(blob.content) for blob in sample.blobs) for sample in images]
    assert [variant.size_bytes for variant in found.platform_variants] == sizes
    assert found.size_bytes == sum(sizes)


async def test_index_with_one_platform_and_its_attestation_is_single_arch(
    registry: FakeRegistry, client: RegistryClient, image: Reference
) -> None:
    registry.put(SampleIndex([SampleImage()], attestations=True), "team/os", "1.0")
    found = await client.inspect(image)
    assert not found.is_multi_arch
    assert found.platform == Platform("arm64", "linux")
    assert found.layer_count == 1
    assert len(found.platform_variants) == 1


async def test_attestation_without_its_annotation_is_told_by_its_layers(
    registry: FakeRegistry, client: RegistryClient, image: Reference
) -> None:
    index = SampleIndex([SampleImage()], attestations=True)
    document = json.loads(index.manifest)
    for entry in document["manifests"]:
        entry.pop("annotations", None)
    registry.put(index, "team/os")
    put_manifest(registry, document, media_type=index.media_type)
    assert not (await client.inspect(image)).is_multi_arch


async def test_nested_index_is_read_through(registry: FakeRegistry, client: RegistryClient, image: Reference) -> None:
    inner = SampleIndex([SampleImage(architecture="amd64")], name="inner")
    registry.put(SampleIndex([SampleImage(), inner]), "team/os", "1.0")
    found = await client.inspect(image)
    assert [variant.platform.architecture for variant in found.platform_variants] == ["arm64", "amd64"]


async def test_indexes_that_nest_too_deep_are_refused(
    registry: FakeRegistry, client: RegistryClient, image: Reference
) -> None:
    nested: Sample = SampleImage()
    for _ in range(4):
        nested = SampleIndex([nested])
    registry.put(nested, "team/os", "1.0")
    with pytest.raises(ManifestInvalidError, match="deeper than 3"):
        await client.inspect(image)


async def test_missing_platform_is_recorded_and_not_fatal(
    registry: FakeRegistry, client: RegistryClient, image: Reference
) -> None:
    arm, amd = SampleImage(), SampleImage(architecture="amd64")
    registry.put(SampleIndex([arm, amd]), "team/os", "1.0")
    registry.store.delete_manifest("team/os", amd.digest)
    found = await client.inspect(image)
    assert found.missing == (amd.digest,)
    assert not found.complete
    assert found.is_multi_arch
    assert [variant.size_bytes is None for variant in found.platform_variants] == [False, True]
    assert any(amd.digest in warning for warning in found.warnings)
    assert (await client.inspect(image)).missing == (amd.digest,), "what is incomplete is not remembered"


async def test_missing_configuration_is_recorded_and_not_fatal(
    registry: FakeRegistry, client: RegistryClient, image: Reference
) -> None:
    sample = SampleImage()
    registry.put(sample, "team/os", "1.0")
    registry.store.delete_blob("team/os", sample.blobs[0].digest)
    found = await client.inspect(image)
    assert found.missing == (sample.blobs[0].digest,)
    assert found.platform is None
    assert found.size_bytes
    assert "configuration" in found.warnings[0]


async def test_same_manifest_for_two_platforms_counts_once_in_size(
    registry: FakeRegistry, client: RegistryClient, image: Reference
) -> None:
    sample = SampleImage()
    index = SampleIndex([sample])
    document = json.loads(index.manifest)
    entry = document["manifests"][0]
    document["manifests"].append(entry | {"platform": {"architecture": "arm64", "os": "linux", "variant": "v8"}})
    registry.put(index, "team/os")
    put_manifest(registry, document, media_type=index.media_type)
    found = await client.inspect(image)
    assert len(found.platform_variants) == 2
    assert found.size_bytes == found.platform_variants[0].size_bytes
    assert found.requests == 3


async def test_index_and_configuration_that_disagree_are_warned_about(
    registry: FakeRegistry, client: RegistryClient, image: Reference
) -> None:
    index = SampleIndex([SampleImage()])
    document = json.loads(index.manifest)
    document["manifests"][0]["platform"]["architecture"] = "amd64"
    registry.put(index, "team/os")
    put_manifest(registry, document, media_type=index.media_type)
    found = await client.inspect(image)
    assert found.warnings
    assert "linux/arm64" in found.warnings[0]


async def test_disk_artifact_lists_its_files(registry: FakeRegistry, client: RegistryClient, image: Reference) -> None:
    sample = SampleArtifact(target="rcar_s4")
    registry.put(sample, "team/os", "1.0")
    found = await client.inspect(image)
    assert found.requests == 1, "an empty configuration is not fetched"
    assert found.artifact_type == "application/vnd.automotive.disk"
    assert found.annotations["automotive.sdv.cloud.redhat.com/target"] == "rcar_s4"
    boot = found.artifacts[0]
    assert (boot.name, boot.partition, boot.format) == ("boot.img.gz", "boot", "raw+gzip")
    assert boot.decompressed_size_bytes == 4096
    assert boot.size_bytes == len(sample.blobs[1].content)
    assert boot.url == f"https://registry.test/v2/team/os/blobs/{boot.digest}"
    assert found.blobs == tuple(layer.digest for layer in found.artifacts)


async def test_digest_is_asked_for_when_there_is_no_tag(
    registry: FakeRegistry, client: RegistryClient, image: Reference
) -> None:
    sample = SampleImage()
    registry.put(sample, "team/os")
    found = await client.inspect(image.with_digest(sample.digest))
    assert found.resolved_digest == sample.digest
    assert (await client.inspect(image.with_digest(sample.digest), known=sample.digest)).requests == 1


async def test_sha512_digests_are_computed_too(
    registry: FakeRegistry, client: RegistryClient, image: Reference
) -> None:
    sample = SampleImage()
    registry.put(sample, "team/os", "1.0")
    digest = "sha512:" + hashlib.sha512(sample.manifest).hexdigest()
    with registry.failing(another_digest_header(digest)):
        registry.store.put_manifest("team/os", digest, sample.manifest, media_type=sample.media_type)
        assert (await client.inspect(image.with_digest(digest))).resolved_digest == digest
        assert (await client.inspect(image)).resolved_digest == sample.digest


async def test_registry_without_digest_headers_takes_two_requests(
    registry: FakeRegistry, client: RegistryClient, image: Reference
) -> None:
    registry.put(SampleImage(), "team/os", "1.0")
    registry.fail(no_digest_header())
    first = await client.inspect(image)
    again = await client.inspect(image, known=first.resolved_digest)
    assert again.unchanged
    assert again.requests == 2


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(head_not_allowed(), id="405"),
        pytest.param(html_page(404), id="404"),
        pytest.param(html_page(403), id="403"),
        pytest.param(html_page(501), id="501"),
        pytest.param(html_page(200), id="page-of-a-proxy"),
        pytest.param(another_content_type("text/html"), id="wrong-type"),
        pytest.param(another_digest_header("sha256:abc"), id="digest-that-is-none"),
    ],
)
async def test_head_that_is_no_answer_falls_back_to_get(
    registry: FakeRegistry, client: RegistryClient, image: Reference, fault: Any
) -> None:
    registry.put(SampleImage(), "team/os", "1.0")
    first = await client.inspect(image)
    registry.fail(fault, method="HEAD")
    again = await client.inspect(image, known=first.resolved_digest)
    assert again.unchanged
    assert again.requests == 2


async def test_head_that_is_refused_for_the_time_being_is_not_repeated(
    registry: FakeRegistry, client: RegistryClient, image: Reference
) -> None:
    registry.put(SampleImage(), "team/os", "1.0")
    registry.fail(rate_limited())
    with pytest.raises(RateLimitedError):
        await client.inspect(image, known=NOWHERE)
    assert len(registry.requests) == 1


async def test_wrong_digest_header_of_a_tag_is_a_warning(
    registry: FakeRegistry, client: RegistryClient, image: Reference
) -> None:
    sample = SampleImage()
    registry.put(sample, "team/os", "1.0")
    registry.fail(another_digest_header(NOWHERE))
    found = await client.inspect(image)
    assert found.resolved_digest == sample.digest
    assert NOWHERE in found.warnings[0]


@pytest.mark.parametrize("kind", ["manifest", "blob"])
async def test_bytes_that_are_not_what_was_asked_for_are_refused(
    registry: FakeRegistry, client: RegistryClient, image: Reference, kind: Any
) -> None:
    sample = SampleImage()
    registry.put(sample, "team/os", "1.0")
    registry.fail(corrupt_body(), kind=kind)
    with pytest.raises(DigestMismatchError, match="asked for sha256"):
        await client.inspect(image.with_digest(sample.digest))


async def test_platform_whose_bytes_are_wrong_is_refused(
    registry: FakeRegistry, client: RegistryClient, image: Reference
) -> None:
    sample = SampleImage()
    registry.put(SampleIndex([sample]), "team/os", "1.0")
    registry.fail(corrupt_body(), reference=sample.digest)
    with pytest.raises(DigestMismatchError):
        await client.inspect(image)


@pytest.mark.usefixtures("registry")
async def test_image_that_is_not_there_is_named(client: RegistryClient, image: Reference) -> None:
    with pytest.raises(ImageNotFoundError, match=r"registry\.test/team/os:1\.0"):
        await client.inspect(image)
    with pytest.raises(ImageNotFoundError, match=f"registry.test/team/os@{NOWHERE}"):
        await client.inspect(image.with_digest(NOWHERE), known=NOWHERE)


async def test_entries_with_one_digest_share_its_facts_after_their_own_access(
    registry: FakeRegistry, client: RegistryClient, image: Reference
) -> None:
    sample = SampleImage()
    registry.put(sample, "team/os", "1.0")
    registry.put(sample, "other/os", "2.0")
    first = await client.inspect(image)
    registry.requests.clear()
    second = await client.inspect(Reference.parse("registry.test/other/os:2.0"))
    assert second.size_bytes == first.size_bytes
    assert [request.target.kind for request in registry.requests] == ["manifest"]


async def test_deep_inspection_asks_for_every_blob(
    registry: FakeRegistry, client: RegistryClient, image: Reference
) -> None:
    index = SampleIndex([SampleImage(name="a"), SampleImage(name="b", architecture="amd64")])
    registry.put(index, "team/os", "1.0")
    found = await client.inspect(image, deep=True)
    assert found.deep
    assert found.missing == ()
    assert registry.requests.count(method="HEAD", kind="blob") == 4
    layer = index.images[0].blobs[1].digest
    registry.store.delete_blob("team/os", layer)
    again = await client.inspect(image, known=found.resolved_digest, deep=True)
    assert again.unchanged
    assert again.missing == (layer,)
    assert not again.complete
    registry.store.delete_manifest("team/os", index.images[1].digest)
    assert index.images[1].digest in (await client.inspect(image, known=found.resolved_digest, deep=True)).missing


async def test_deep_inspection_follows_blobs_to_their_store(
    registry: FakeRegistry, client: RegistryClient, image: Reference, network: Network
) -> None:
    registry.put(SampleImage(), "team/os", "1.0")
    registry.redirect_blobs = True
    network.serve_app("https://storage.test", registry)
    assert (await client.inspect(image, deep=True)).missing == ()
    # Signed for GET, the store denies HEAD to what is there.
    registry.fail(html_page(403), method="HEAD", kind="storage")
    assert (await client.inspect(image, deep=True)).missing == ()


async def test_pinned_digest_takes_one_head(registry: FakeRegistry, client: RegistryClient, image: Reference) -> None:
    sample = SampleImage()
    registry.put(sample, "team/os", "1.0")
    pinned = image.with_digest(sample.digest)
    assert (await client.inspect(pinned, known=sample.digest)).unchanged
    assert registry.requests.count(method="HEAD") == len(registry.requests) == 1
    registry.fail(head_not_allowed(), method="HEAD")
    assert (await client.inspect(pinned, known=sample.digest)).unchanged
    registry.fail(head_not_allowed(), method="HEAD")
    registry.fail(corrupt_body(), method="GET")
    with pytest.raises(DigestMismatchError):
        await client.inspect(pinned, known=sample.digest)


async def test_requests_say_what_registries_need_to_hear(
    registry: FakeRegistry, client: RegistryClient, image: Reference
) -> None:
    registry.put(SampleImage(), "team/os", "1.0")
    first = await client.inspect(image)
    await client.inspect(image, known=first.resolved_digest)
    manifests = registry.requests.select(kind="manifest")
    accepts = {request.headers["accept"] for request in manifests}
    assert len(accepts) == 1, "HEAD and GET with another Accept may get another digest"
    assert accepts.pop().count("application/vnd.") == 4
    blob = registry.requests.select(kind="blob")[0]
    assert "accept" not in blob.headers
    assert {request.headers["accept-encoding"] for request in registry.requests} == {"identity"}
    assert not any("cookie" in request.headers for request in registry.requests)


@pytest.mark.parametrize(
    ("which", "deep"),
    [
        pytest.param({"kind": "blob", "method": "GET"}, False, id="configuration"),
        pytest.param({"kind": "blob", "method": "HEAD"}, True, id="blob"),
        pytest.param({"reference": SampleImage().digest}, False, id="platform"),
    ],
)
async def test_part_that_cannot_be_asked_for_at_present_fails_the_whole_for_the_time_being(
    *, registry: FakeRegistry, client: RegistryClient, image: Reference, which: Any, deep: bool
) -> None:
    registry.put(SampleIndex([SampleImage(), SampleImage(architecture="amd64")]), "team/os", "1.0")
    registry.fail(server_error(), **which)
    with pytest.raises(RegistryFaultError, match=r"registry\.test/team/os:1\.0"):
        await client.inspect(image, deep=deep)


async def test_deep_inspection_of_what_is_unchanged_but_forgotten_reads_it_again(
    registry: FakeRegistry, client: RegistryClient, image: Reference
) -> None:
    sample = SampleImage()
    registry.put(sample, "team/os", "1.0")
    found = await client.inspect(image, known=sample.digest, deep=True)
    assert found.unchanged
    assert found.deep
    assert found.requests == 5
    assert found.size_bytes == sample.size


async def test_platforms_below_nested_indexes_are_bounded_together(
    registry: FakeRegistry, client: RegistryClient, image: Reference
) -> None:
    leaves = [SampleImage(name="one")]
    wide = SampleIndex(leaves * 60)
    registry.put(SampleIndex([wide, wide, SampleIndex(leaves * 61)]), "team/os", "1.0")
    with pytest.raises(ManifestInvalidError, match="more than 128"):
        await client.inspect(image)


@pytest.mark.parametrize("fault", [corrupt_body(), html_page(200)], ids=["corrupt", "page"])
async def test_nothing_of_a_failed_look_is_remembered(
    registry: FakeRegistry, client: RegistryClient, image: Reference, fault: Any
) -> None:
    sample = SampleImage()
    registry.put(sample, "team/os", "1.0")
    with registry.failing(fault), pytest.raises(CatalogError):
        await client.inspect(image)
    assert (await client.inspect(image)).resolved_digest == sample.digest


async def test_requests_for_nested_indexes_are_bounded_before_they_are_made(
    registry: FakeRegistry, client: RegistryClient, image: Reference
) -> None:
    wide = [SampleIndex([SampleImage(name=f"{row}/{column}") for column in range(12)]) for row in range(12)]
    registry.put(SampleIndex(wide), "team/os", "1.0")
    with pytest.raises(ManifestInvalidError, match="more than 128"):
        await client.inspect(image)
    assert len(registry.requests) < 2 * 128
