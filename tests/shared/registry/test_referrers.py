"""What refers to an image, by the API and by the tag that stands in for it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from image_catalog.errors import (
    AccessDeniedError,
    AuthenticationError,
    CatalogError,
    RateLimitedError,
    RegistryFaultError,
)
from image_catalog.local.registry import SampleImage, SampleIndex
from image_catalog.models import Reference, ReferrerKind
from image_catalog.registry import Credential, RegistryClient
from image_catalog.registry.limits import REFERRERS
from image_catalog.registry.referrers import fallback_tag
from image_catalog.testing.registry import FakeRegistry
from image_catalog.testing.registry_faults import Answer, html_page, no_challenge, rate_limited, server_error

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
IMAGE = SampleImage()
TAG = fallback_tag(IMAGE.digest)
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"


def descriptor(artifact_type: str | None, number: int = 1, **more: Any) -> dict[str, Any]:
    named = {"artifactType": artifact_type} if artifact_type else {}
    return {"mediaType": OCI_MANIFEST, "digest": f"sha256:{number:064x}", "size": 7, **named, **more}


def index(*descriptors: dict[str, Any]) -> bytes:
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(descriptors)}).encode()


def listing(content: bytes, status: int = 200, media_type: str = OCI_INDEX) -> Answer:
    return Answer(status, content, {"Content-Type": media_type})


async def test_referrers_take_one_request(registry: FakeRegistry, client: RegistryClient, image: Reference) -> None:
    registry.put(IMAGE, "team/os", "1.0")
    signature = SampleImage(name="signature", subject=IMAGE)
    signature.put(registry.store, "team/os")
    (found,) = await client.referrers(image, IMAGE.digest)
    assert (found.digest, found.size_bytes) == (signature.digest, len(signature.manifest))
    assert [str(request) for request in registry.requests] == [
        f"GET registry.test/v2/team/os/referrers/{IMAGE.digest} 200"
    ]


@pytest.mark.parametrize("status", [400, 404, 405, 406, 501])
async def test_registry_without_the_api_is_asked_for_the_tag(
    registry: FakeRegistry, client: RegistryClient, image: Reference, status: int
) -> None:
    registry.put(IMAGE, "team/os", "1.0")
    registry.store.put_manifest("team/os", TAG, index(descriptor("application/spdx+json")), media_type=OCI_INDEX)
    registry.fail(listing(b"", status), kind="referrers")
    (found,) = await client.referrers(image, IMAGE.digest)
    assert (found.kind, found.artifact_type, found.size_bytes) == (ReferrerKind.SBOM, "application/spdx+json", 7)
    assert len(registry.requests) == 2


async def test_neither_api_nor_tag_means_none(registry: FakeRegistry, client: RegistryClient, image: Reference) -> None:
    registry.put(IMAGE, "team/os", "1.0")
    registry.fail(listing(b"", 404), kind="referrers")
    assert await client.referrers(image, IMAGE.digest) == ()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(html_page(), id="a page"),
        pytest.param(listing(IMAGE.manifest, media_type=OCI_MANIFEST), id="the image itself"),
        pytest.param(listing(SampleImage(name="other").manifest, media_type=OCI_MANIFEST), id="another image"),
        pytest.param(listing(b"[]"), id="no object"),
    ],
)
async def test_api_that_answers_something_else_counts_as_none(
    registry: FakeRegistry, client: RegistryClient, image: Reference, answer: Answer
) -> None:
    registry.put(IMAGE, "team/os", "1.0")
    registry.fail(answer, kind="referrers")
    registry.store.put_manifest("team/os", TAG, index(descriptor("application/spdx+json")), media_type=OCI_INDEX)
    assert [found.kind for found in await client.referrers(image, IMAGE.digest)] == [ReferrerKind.SBOM]


@pytest.mark.parametrize("subject", [IMAGE, SampleIndex([IMAGE])], ids=["an image", "an index"])
async def test_tag_that_resolves_to_the_image_itself_lists_nothing(
    registry: FakeRegistry, client: RegistryClient, image: Reference, subject: SampleImage | SampleIndex
) -> None:
    """GitLab does that: https://github.com/oras-project/oras-go/pull/1396."""
    registry.put(subject, "team/os", "1.0")
    registry.put(subject, "team/os", fallback_tag(subject.digest))
    registry.fail(listing(b"", 404), kind="referrers")
    assert await client.referrers(image, subject.digest) == ()


async def test_tag_that_is_an_index_of_platforms_lists_nothing(
    registry: FakeRegistry, client: RegistryClient, image: Reference
) -> None:
    registry.put(IMAGE, "team/os", "1.0")
    registry.put(SampleIndex([SampleImage(name="other")]), "team/os", TAG)
    registry.fail(listing(b"", 404), kind="referrers")
    assert await client.referrers(image, IMAGE.digest) == ()


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        pytest.param(server_error(), RegistryFaultError, id="500"),
        pytest.param(rate_limited(), RateLimitedError, id="429"),
        pytest.param(listing(b"", 403), AccessDeniedError, id="403"),
        pytest.param(no_challenge(), AuthenticationError, id="401"),
    ],
)
@pytest.mark.parametrize("in_api", [True, False], ids=["in the API", "at the tag"])
async def test_registry_that_does_not_tell_is_told_apart_from_one_that_has_none(
    registry: FakeRegistry,
    client: RegistryClient,
    image: Reference,
    fault: Answer,
    error: type[CatalogError],
    *,
    in_api: bool,
) -> None:
    registry.put(IMAGE, "team/os", "1.0")
    if in_api:
        registry.fail(fault, kind="referrers")
    else:
        registry.fail(listing(b"", 404), kind="referrers")
        registry.fail(fault, kind="manifest")
    with pytest.raises(error):
        await client.referrers(image, IMAGE.digest)


async def test_list_is_bounded_and_names_each_once_and_never_the_image(
    registry: FakeRegistry, client: RegistryClient, image: Reference
) -> None:
    registry.put(IMAGE, "team/os", "1.0")
    many = [descriptor("x/y", number % 2000) for number in range(4000)]
    registry.fail(listing(index(descriptor("x/y") | {"digest": IMAGE.digest}, *many)), kind="referrers")
    found = await client.referrers(image, IMAGE.digest)
    assert len(found) == len({one.digest for one in found}) == REFERRERS
    assert IMAGE.digest not in {one.digest for one in found}


async def test_link_to_a_next_page_is_not_followed(
    registry: FakeRegistry, client: RegistryClient, image: Reference
) -> None:
    """The class of google/go-containerregistry#2332."""
    registry.put(IMAGE, "team/os", "1.0")
    page = Answer(200, index(), {"Content-Type": OCI_INDEX, "Link": '<https://other.test/v2/>; rel="next"'})
    registry.fail(page, kind="referrers")
    assert await client.referrers(image, IMAGE.digest) == ()
    assert len(registry.requests) == 1


@pytest.mark.parametrize(
    ("artifact_type", "annotations", "kind"),
    [
        ("application/vnd.cncf.notary.signature", {}, "signature"),
        ("application/vnd.dev.cosign.artifact.sig.v1+json", {}, "signature"),
        ("application/vnd.dev.cosign.artifact.sbom.v1+json", {}, "sbom"),
        ("application/spdx+json", {}, "sbom"),
        ("application/vnd.cyclonedx+json", {}, "sbom"),
        ("application/vnd.in-toto+json", {}, "attestation"),
        (BUNDLE, {}, "signature"),
        (BUNDLE, {"dev.sigstore.bundle.content": "message-signature"}, "signature"),
        (BUNDLE, {"dev.sigstore.bundle.content": "dsse-envelope"}, "attestation"),
        (
            BUNDLE,
            {
                "dev.sigstore.bundle.content": "dsse-envelope",
                "dev.sigstore.bundle.predicateType": "https://spdx.dev/Document",
            },
            "sbom",
        ),
        ("application/vnd.example.thing", {}, "other"),
        (None, {}, "other"),
    ],
    ids=lambda value: str(value).rpartition("/")[2][:40],
)
async def test_kinds_are_told_by_the_types_that_tools_write(
    registry: FakeRegistry,
    client: RegistryClient,
    image: Reference,
    artifact_type: str | None,
    annotations: dict[str, str],
    *,
    kind: str,
) -> None:
    registry.put(IMAGE, "team/os", "1.0")
    registry.fail(listing(index(descriptor(artifact_type, annotations=annotations))), kind="referrers")
    (found,) = await client.referrers(image, IMAGE.digest)
    assert found.kind == kind


async def test_private_images_referrers_are_listed_with_the_same_token(
    guarded: FakeRegistry, client: RegistryClient, image: Reference
) -> None:
    guarded.put(IMAGE, "team/os", "1.0")
    account = guarded.account()
    guarded.restrict("team", account)
    credential = Credential(username=account.user, password=account.password, source="a test")
    await client.inspect(image, credential=credential)
    guarded.requests.clear()
    assert await client.referrers(image, IMAGE.digest, credential=credential) == ()
    assert len(guarded.requests) == 1


@pytest.mark.parametrize(
    ("digest", "tag"),
    [
        pytest.param("sha256:" + "a" * 64, "sha256-" + "a" * 64, id="sha256"),
        pytest.param("sha512:" + "b" * 128, "sha512-" + "b" * 64, id="sha512 is cut"),
    ],
)
def test_tag_schema(digest: str, tag: str) -> None:
    assert fallback_tag(digest) == tag
