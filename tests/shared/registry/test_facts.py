import json
from datetime import UTC, datetime
from typing import Any

import pytest

from image_catalog.errors import ManifestInvalidError
from image_catalog.local.registry import SampleArtifact
from image_catalog.models import Reference
from image_catalog.registry import Platform, RegistryClient
from image_catalog.registry.facts import Child, image_facts, index_facts, read_configuration
from image_catalog.registry.limits import IMAGE_BYTES, INDEX_CHILDREN
from image_catalog.registry.manifests import Descriptor, ImageManifest, Index
from image_catalog.testing.registry import FakeRegistry

DIGEST = "sha256:" + "a" * 64
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"


def configuration(**fields: Any) -> bytes:
    return json.dumps({"architecture": "arm64", "os": "linux"} | fields).encode()


@pytest.mark.parametrize(
    ("created", "expected"),
    [
        pytest.param("2025-03-01T12:00:00Z", datetime(2025, 3, 1, 12, tzinfo=UTC), id="utc"),
        pytest.param("2025-03-01T12:00:00.123456789Z", datetime(2025, 3, 1, 12, 0, 0, 123456, tzinfo=UTC), id="nano"),
        pytest.param("2025-03-01T14:00:00+02:00", datetime(2025, 3, 1, 12, tzinfo=UTC), id="offset"),
        pytest.param("1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC), id="reproducible-build"),
        pytest.param("0001-01-01T00:00:00Z", None, id="zero-of-go"),
        pytest.param("0001-01-01T00:00:00+05:00", None, id="before-any-time"),
        pytest.param("yesterday", None, id="no-time"),
        pytest.param("２０２５-03-01", None, id="unicode-digits"),
        pytest.param(7, None, id="number"),
        pytest.param(None, None, id="null"),
    ],
)
def test_creation_time(created: Any, expected: datetime | None) -> None:
    assert read_configuration(configuration(created=created), "x").created_at == expected


@pytest.mark.parametrize("body", [b"", b"not json", b"[]", b'{"a":1,"a":2}'], ids=["empty", "text", "list", "twice"])
def test_configuration_that_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(ManifestInvalidError, match="the config"):
        read_configuration(body, "the config")


@pytest.mark.parametrize("inner", [None, [], {"Labels": None}, {"Labels": ["x"]}, {"Labels": {"ostree.bootable": 1}}])
def test_odd_labels_are_no_labels(inner: Any) -> None:
    assert read_configuration(configuration(config=inner), "x").labels == {}


def test_labels_that_are_kept_are_bounded() -> None:
    labels = {f"com.redhat.automotive.{number}": "x" for number in range(100)} | {"io.buildah.version": "1"}
    kept = read_configuration(configuration(config={"Labels": labels}), "x").labels
    assert len(kept) == 64
    assert "io.buildah.version" not in kept


def test_configuration_without_an_architecture_is_warned_about() -> None:
    manifest = ImageManifest("m", None, Descriptor(OCI_CONFIG, DIGEST, 1), (), {})
    facts = image_facts(manifest, read_configuration(b'{"os":"linux"}', "x"))
    assert facts.platform is None
    assert "architecture" in facts.warnings[0]


@pytest.mark.parametrize(
    ("fields", "complaints"),
    [
        pytest.param({}, (), id="usual"),
        pytest.param({"created": "0001-01-01T00:00:00Z", "variant": "", "config": None}, (), id="left-out"),
        pytest.param({"config": {"Labels": None}}, (), id="no-labels"),
        pytest.param({"architecture": "", "os": None}, ("has no architecture, os",), id="absent"),
        pytest.param(
            {"architecture": 5, "os": [], "variant": {}, "created": "never", "config": {"Labels": [1]}},
            ("has what cannot be read in architecture, os, variant, created, config.Labels",),
            id="nonsense",
        ),
        pytest.param({"os": "x" * 65}, ("has what cannot be read in os",), id="too-long"),
        pytest.param({"config": []}, ("has what cannot be read in config",), id="config-that-is-a-list"),
        pytest.param(
            {"config": {"Labels": {"a": 1}}}, ("has what cannot be read in config.Labels",), id="label-that-is-none"
        ),
    ],
)
def test_fields_that_make_no_sense_are_named(fields: dict[str, Any], complaints: tuple[str, ...]) -> None:
    found = read_configuration(configuration(**fields), "x")
    assert found.complaints == complaints
    manifest = ImageManifest("m", None, Descriptor(OCI_CONFIG, DIGEST, 1), (), {})
    assert image_facts(manifest, found).warnings == tuple(f"the configuration {DIGEST} {c}" for c in complaints)


def test_index_without_images_is_warned_about() -> None:
    assert index_facts(Index("i", None, (), {}), []).warnings == ("the index names no image",)


def test_files_that_are_shown_are_bounded() -> None:
    notes = {"org.opencontainers.image.title": "x" * 4096, "a" * 300: "b"}
    layers = tuple(Descriptor("t", f"sha256:{number:064}", 9, annotations=notes) for number in range(300))
    found = image_facts(ImageManifest("m", "t", Descriptor("t", DIGEST, 1), layers, {}), None)
    assert len(found.artifacts) == 256
    assert found.artifacts[0].name == "x" * 255
    assert found.warnings == ("it has 300 files; the first 256 are shown",)


def test_creation_time_of_an_artifact_is_its_annotation() -> None:
    annotations = {"org.opencontainers.image.created": "2025-03-01T12:00:00Z"}
    manifest = ImageManifest("m", "t", Descriptor("t", DIGEST, 1), (), annotations)
    assert image_facts(manifest, None).created_at == datetime(2025, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("size", "expected"),
    [("4096", 4096), ("", None), ("-1", None), ("4 KiB", None), ("9" * 30, None), ("٤", None)],
    ids=["number", "empty", "negative", "unit", "too-long", "unicode-digit"],
)
def test_size_of_the_unpacked_file_is_a_number_or_nothing(size: str, expected: int | None) -> None:
    notes = {"automotive.sdv.cloud.redhat.com/decompressed-size": size}
    layer = Descriptor("application/vnd.automotive.disk.qcow2+xz", DIGEST, 9, annotations=notes)
    manifest = ImageManifest("m", None, Descriptor(OCI_CONFIG, DIGEST, 1), (layer,), {})
    found = image_facts(manifest, read_configuration(configuration(), "x"))
    assert found.artifacts[0].decompressed_size_bytes == expected
    assert found.artifacts[0].format == "qcow2+xz"
    assert found.platform == Platform("arm64", "linux")


def test_size_of_the_widest_index_of_the_largest_images_has_room_in_a_status() -> None:
    largest = image_facts(ImageManifest("m", None, Descriptor(OCI_CONFIG, DIGEST, IMAGE_BYTES), (), {}), None)
    children = [Child(Descriptor("m", f"sha256:{number:064}", 1), facts=largest) for number in range(INDEX_CHILDREN)]
    size = index_facts(Index("i", None, (), {}), children).size_bytes
    assert size is not None
    assert 0 < size < 2**63


@pytest.mark.parametrize("character", ["\x01", "\U0001f697", "a"], ids=["escaped", "wide", "plain"])
def test_everything_that_is_kept_of_the_largest_image_has_room_in_a_status(character: str) -> None:
    """A status that etcd does not take would be tried for ever, with a check each time."""
    texts = {f"com.redhat.automotive.{number}": character * 4096 for number in range(100)}
    title = {
        "org.opencontainers.image.title": character * 4096,
        "automotive.sdv.cloud.redhat.com/partition": "x" * 4096,
    }
    layers = tuple(
        Descriptor("m", f"sha256:{number:064}", 2**40, annotations=title, artifact_type="x") for number in range(1000)
    )
    manifest = ImageManifest("m", "a" * 255, Descriptor("c" * 255, DIGEST, 1), layers, texts)
    found = image_facts(manifest, read_configuration(configuration(config={"Labels": texts}), "x"))
    kept = {
        "annotations": {**found.labels, **found.annotations},
        "labels": found.labels,
        "artifacts": [[file.name, file.partition, file.digest, "u" * 400] for file in found.artifacts],
        "platforms": ["p" * 512] * INDEX_CHILDREN,
    }
    assert len(found.annotations) > 0
    assert len(json.dumps(kept, ensure_ascii=False).encode()) < 1.2 * 2**20


@pytest.mark.parametrize("title", ["../../etc/passwd", "/etc/passwd", "a/../../b", "C:\\x", "x\0y"])
async def test_title_of_a_file_is_shown_and_leads_nowhere(
    registry: FakeRegistry, client: RegistryClient, image: Reference, title: str
) -> None:
    """GHSA-8xwf-rjm4-xvhv: the address of a file is made of its digest, and of nothing that a registry says."""
    document = json.loads(SampleArtifact().manifest)
    document["layers"][0]["annotations"] = {"org.opencontainers.image.title": title}
    registry.store.put_manifest(
        "team/os", "1.0", json.dumps(document).encode(), media_type="application/vnd.oci.image.manifest.v1+json"
    )
    file = (await client.inspect(image)).artifacts[0]
    assert file.name == title.replace("\0", "")
    assert file.url == f"https://registry.test/v2/team/os/blobs/{file.digest}"
