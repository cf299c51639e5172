"""Whatever a registry says of an image, it is read or refused, and never for long."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
from hypothesis import given
from hypothesis import strategies as st

from image_catalog.errors import CatalogError, ManifestInvalidError
from image_catalog.models import RegistryMetadata
from image_catalog.registry.answers import Answer, failure, retry_after
from image_catalog.registry.facts import Child, image_facts, index_facts, read_configuration
from image_catalog.registry.hosts import Origin
from image_catalog.registry.limits import RETRY_AFTER
from image_catalog.registry.manifests import Index, digest_of, parse_manifest
from image_catalog.registry.referrers import read_referrers
from image_catalog.testing.fuzzing import JSON, document, examples, mutated, refused, within

LIMIT = timedelta(milliseconds=500)

DIGESTS = st.sampled_from([f"sha256:{'a' * 64}", f"sha512:{'b' * 128}", "sha256:../../x", "sha256:" + "A" * 64, ""])
MEDIA_TYPES = st.sampled_from(
    [
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        "application/vnd.oci.image.config.v1+json",
        "application/vnd.oci.empty.v1+json",
        "application/vnd.automotive.disk.raw+gzip",
        "text/html; charset=utf-8",
        "",
    ]
)
NOTES = st.dictionaries(
    st.sampled_from(
        [
            "org.opencontainers.image.created",
            "org.opencontainers.image.title",
            "vnd.docker.reference.type",
            "automotive.sdv.cloud.redhat.com/decompressed-size",
            "com.redhat.automotive.distro",
        ]
    ),
    st.sampled_from(["attestation-manifest", "2025-02-30T25:61:00Z", "0001-01-01T00:00:00Z", "9" * 30, "../../x"])
    | st.text(max_size=20),
)
PLATFORM = mutated({"architecture": st.just("arm64"), "os": st.just("linux"), "variant": st.just("v8")})
DESCRIPTOR = mutated(
    {
        "mediaType": MEDIA_TYPES,
        "digest": DIGESTS,
        "size": st.sampled_from([0, 1, 2**63 - 1, 2**63, -1, 1.5]),
        "platform": PLATFORM,
        "artifactType": MEDIA_TYPES,
        "annotations": NOTES,
    }
)
MANIFEST = mutated(
    {
        "schemaVersion": st.just(2),
        "mediaType": MEDIA_TYPES,
        "artifactType": MEDIA_TYPES,
        "config": DESCRIPTOR,
        "layers": st.lists(DESCRIPTOR, max_size=4),
        "manifests": st.lists(DESCRIPTOR, max_size=4),
        "annotations": NOTES,
    }
)
CONFIGURATION = mutated(
    {
        "architecture": st.just("arm64"),
        "os": st.just("linux"),
        "variant": st.just("v8"),
        "created": st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
        "config": mutated({"Labels": NOTES}),
    }
)
BODIES = MANIFEST.map(document) | JSON.map(document) | st.binary(max_size=200) | st.text(max_size=200).map(str.encode)


@examples()
@given(BODIES, st.none() | MEDIA_TYPES | st.text(max_size=60), CONFIGURATION.map(document) | st.binary(max_size=99))
def test_a_manifest_is_read_or_refused(body: bytes, content_type: str | None, configuration: bytes) -> None:
    with within(LIMIT):
        try:
            manifest = parse_manifest(body, content_type, "an image")
            read = read_configuration(configuration, "a configuration")
        except ManifestInvalidError as e:
            refused(e)
            return
        if isinstance(manifest, Index):
            facts = index_facts(manifest, [Child(child) for child in manifest.children])
        else:
            facts = image_facts(manifest, read)
        assert digest_of(body).startswith("sha256:")
        assert "../../" not in "".join([*facts.blobs, *facts.manifests])
        RegistryMetadata(resolved_digest=digest_of(body), size_bytes=facts.size_bytes or 0, created_at=facts.created_at)


@examples()
@given(MANIFEST.map(document) | BODIES, st.booleans())
def test_a_list_of_referrers_is_read_or_is_none(body: bytes, is_tag: bool) -> None:  # noqa: FBT001 - hypothesis gives it so
    answer = Answer(200, httpx.Headers(), body, Origin("https", "registry.test", 443))
    with within(LIMIT):
        found = read_referrers(answer, f"sha256:{'c' * 64}", is_tag=is_tag)
    for referrer in found or ():
        assert referrer.size_bytes >= 0
        assert referrer.artifact_type or not is_tag


ERRORS: st.SearchStrategy[Any] = mutated(
    {"errors": st.lists(mutated({"code": st.just("DENIED"), "message": st.text(max_size=400)}), max_size=12)}
)
LATIN = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=40)


@examples()
@given(st.integers(100, 599), ERRORS.map(document) | BODIES, LATIN, LATIN)
def test_an_answer_that_is_an_error_becomes_one_of_ours(status: int, body: bytes, wait: str, kind: str) -> None:
    headers = httpx.Headers([(b"Retry-After", wait.encode("latin-1")), (b"Content-Type", kind.encode("latin-1"))])
    answer = Answer(status, headers, body, Origin("https", "registry.test", 443))
    with within(LIMIT):
        error = failure(answer, "registry.test: team/os", secrets=["hush-hush"])
        waits = retry_after(headers)
    assert isinstance(error, CatalogError)
    assert len(error.message) < 600
    assert error.message.isprintable()
    assert waits is None or timedelta() <= waits <= RETRY_AFTER
