"""What manifests may look like, and what they may not."""

import json
from typing import Any

import pytest

from image_catalog.errors import DigestMismatchError, ManifestInvalidError
from image_catalog.registry.manifests import ImageManifest, Index, Platform, check_digest, digest_of, parse_manifest

DIGEST = "sha256:" + "a" * 64
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"

CONFIG = {"mediaType": OCI_CONFIG, "digest": DIGEST, "size": 7}
LAYER = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": DIGEST, "size": 35}
IMAGE = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": CONFIG, "layers": [LAYER, LAYER]}
INDEX = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [{**CONFIG, "mediaType": OCI_MANIFEST}]}


def parse(document: Any, content_type: str | None = None) -> ImageManifest | Index:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return parse_manifest(body, content_type, "registry.test/x:1")


def without(document: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in names}


@pytest.mark.parametrize(
    ("document", "content_type", "media_type"),
    [
        pytest.param(IMAGE, OCI_MANIFEST, OCI_MANIFEST, id="image"),
        pytest.param(IMAGE, f"{OCI_MANIFEST.upper()}; charset=utf-8", OCI_MANIFEST, id="content-type-with-parameters"),
        pytest.param(IMAGE, None, OCI_MANIFEST, id="no-content-type"),
        pytest.param(IMAGE, "text/plain", OCI_MANIFEST, id="meaningless-content-type"),
        pytest.param(without(IMAGE, "mediaType"), None, OCI_MANIFEST, id="no-type-at-all"),
        pytest.param(without(IMAGE, "mediaType"), DOCKER_MANIFEST, DOCKER_MANIFEST, id="type-from-the-header"),
        pytest.param(IMAGE | {"mediaType": DOCKER_MANIFEST}, OCI_MANIFEST, DOCKER_MANIFEST, id="the-body-decides"),
        pytest.param(INDEX, OCI_INDEX, OCI_INDEX, id="index"),
        pytest.param(INDEX | {"mediaType": DOCKER_LIST}, DOCKER_LIST, DOCKER_LIST, id="docker-list"),
        pytest.param(without(INDEX, "mediaType"), "application/json", OCI_INDEX, id="index-by-its-shape"),
    ],
)
def test_manifest_is_what_its_bytes_say(document: Any, content_type: str | None, media_type: str) -> None:
    manifest = parse(document, content_type)
    assert manifest.media_type == media_type
    assert isinstance(manifest, Index) == ("manifests" in document)


def test_size_is_configuration_and_layers() -> None:
    manifest = parse(IMAGE)
    assert isinstance(manifest, ImageManifest)
    assert manifest.size_bytes == 7 + 35 + 35


@pytest.mark.parametrize(
    ("document", "content_type", "message"),
    [
        pytest.param(b"", None, "no JSON", id="empty"),
        pytest.param(b"<html>", "text/html", "no JSON", id="page"),
        pytest.param(b"\xff\xfe{\x00}\x00", None, "no JSON", id="utf-16"),
        pytest.param(b'{"a":"\\ud800"}', None, "no JSON", id="lone-surrogate"),
        pytest.param(b'{"size":NaN}', None, "no JSON", id="nan"),
        pytest.param(b"[" * 100_000, None, "no JSON", id="open-brackets"),
        pytest.param([], None, "no JSON object", id="list"),
        pytest.param({"a": json.loads("[" * 40 + "]" * 40)}, None, "deeper than 32", id="deep"),
        pytest.param(b'{"schemaVersion":2,"schemaVersion":1}', None, "twice", id="duplicate-key"),
        pytest.param(b'{"config":{"digest":1,"digest":2}}', None, "twice", id="duplicate-key-inside"),
        pytest.param(IMAGE | INDEX, None, "at once", id="both-shapes"),
        pytest.param(INDEX | {"layers": []}, OCI_INDEX, "at once", id="index-with-layers"),
        pytest.param(IMAGE, OCI_INDEX, "of itself", id="content-type-of-an-index"),
        pytest.param(INDEX, OCI_MANIFEST, "of itself", id="content-type-of-an-image"),
        pytest.param(IMAGE | {"mediaType": OCI_INDEX}, None, "of itself", id="image-that-says-index"),
        pytest.param(IMAGE | {"mediaType": "text/plain"}, None, "of itself", id="unknown-type"),
        pytest.param(IMAGE | {"mediaType": 7}, None, "no text", id="type-that-is-a-number"),
        pytest.param({"schemaVersion": 2}, None, "neither", id="neither-shape"),
        pytest.param(IMAGE | {"schemaVersion": 3}, None, "schemaVersion", id="later-schema"),
        pytest.param(without(IMAGE, "schemaVersion"), None, "schemaVersion", id="no-schema"),
        pytest.param({"schemaVersion": 1, "fsLayers": []}, None, "old image format", id="schema-1"),
        pytest.param(
            IMAGE, "application/vnd.docker.distribution.manifest.v1+prettyjws", "old image format", id="schema-1-signed"
        ),
        pytest.param(without(IMAGE, "config"), None, "no config", id="no-config"),
        pytest.param(IMAGE | {"config": []}, None, "no config", id="config-that-is-a-list"),
        pytest.param(IMAGE | {"layers": {}}, None, "no list", id="layers-that-are-no-list"),
        pytest.param(IMAGE | {"layers": ["x"]}, None, r"no layers\[0\]", id="layer-that-is-text"),
        pytest.param(IMAGE | {"layers": [LAYER] * 1025}, None, "at most 1024", id="too-many-layers"),
        pytest.param(INDEX | {"manifests": [CONFIG] * 129}, None, "at most 128", id="too-many-children"),
        pytest.param(
            IMAGE | {"layers": [LAYER | {"digest": "sha256:../../x"}]}, None, "digest in layers", id="digest-as-a-path"
        ),
        pytest.param(IMAGE | {"config": CONFIG | {"digest": None}}, None, "digest in config", id="no-digest"),
        pytest.param(IMAGE | {"config": CONFIG | {"size": -1}}, None, "size in config", id="negative-size"),
        pytest.param(IMAGE | {"config": CONFIG | {"size": True}}, None, "size in config", id="size-that-is-a-boolean"),
        pytest.param(IMAGE | {"config": CONFIG | {"size": 2**63}}, None, "size in config", id="size-too-large"),
        pytest.param(IMAGE | {"config": CONFIG | {"size": "7"}}, None, "size in config", id="size-that-is-text"),
        pytest.param(
            IMAGE | {"layers": [LAYER | {"size": 2**63 - 1}] * 3},
            None,
            "nothing is larger",
            id="sizes-beyond-any-image",
        ),
        pytest.param(IMAGE | {"layers": [LAYER | {"size": 2**50}]}, None, "nothing is larger", id="a-little-beyond"),
    ],
)
def test_manifest_that_cannot_be_trusted_is_refused(document: Any, content_type: str | None, message: str) -> None:
    with pytest.raises(ManifestInvalidError, match=message) as caught:
        parse(document, content_type)
    assert "registry.test/x:1" in caught.value.message


def test_null_lists_are_empty() -> None:
    manifest = parse(IMAGE | {"layers": None})
    assert isinstance(manifest, ImageManifest)
    assert manifest.layers == ()


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        pytest.param(None, None, id="null"),
        pytest.param({"architecture": "arm64", "os": "linux"}, Platform("arm64", "linux"), id="usual"),
        pytest.param(
            {"architecture": "arm64", "os": "linux", "variant": "v8", "os.version": "1", "features": ["x"]},
            Platform("arm64", "linux", "v8"),
            id="more-fields",
        ),
        pytest.param({"os": "linux"}, None, id="no-architecture"),
        pytest.param({"architecture": "arm64"}, Platform("arm64", "unknown"), id="no-os"),
        pytest.param({"architecture": "a" * 65}, None, id="too-long"),
        pytest.param({"architecture": "arm64\n\x1b[31m", "os": "linux"}, None, id="control-characters"),
        pytest.param("linux/arm64", None, id="text"),
    ],
)
def test_platforms_of_an_index(platform: Any, expected: Platform | None) -> None:
    index = parse(INDEX | {"manifests": [{**CONFIG, "platform": platform}]})
    assert isinstance(index, Index)
    assert index.children[0].platform == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, None, id="container-image"),
        pytest.param({"artifactType": "application/x"}, "application/x", id="artifact-type"),
        pytest.param(
            {"config": CONFIG | {"mediaType": "application/vnd.cncf.helm.config.v1+json"}},
            "application/vnd.cncf.helm.config.v1+json",
            id="by-its-configuration",
        ),
        pytest.param({"config": CONFIG | {"mediaType": "application/vnd.oci.empty.v1+json"}}, None, id="empty"),
    ],
)
def test_artifact_type(changes: dict[str, Any], expected: str | None) -> None:
    assert parse(IMAGE | changes).artifact_type == expected


def test_annotations_that_are_no_text_are_left_out() -> None:
    annotations = {"a": "b", "number": 7, "null": None, "long": "x" * 5000}
    assert parse(IMAGE | {"annotations": annotations}).annotations == {"a": "b"}
    assert parse(IMAGE | {"annotations": ["a"]}).annotations == {}


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_digests_are_recomputed(algorithm: str) -> None:
    digest = digest_of(b"content", like=f"{algorithm}:")
    check_digest(b"content", digest, "x")
    with pytest.raises(DigestMismatchError, match=digest):
        check_digest(b"other", digest, "x")
