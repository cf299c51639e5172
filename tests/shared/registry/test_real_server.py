"""The client against Debian's docker-registry, which is the real distribution server."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from image_catalog.errors import ImageNotFoundError
from image_catalog.local.registry import Sample, SampleArtifact, SampleImage, SampleIndex
from image_catalog.models import CatalogRegistry, Reference, ReferrerKind
from image_catalog.registry import HostPolicy, RegistryClient
from image_catalog.registry.media_types import OCI_INDEX
from image_catalog.registry.referrers import fallback_tag
from image_catalog.testing.background import in_background
from image_catalog.testing.distribution import DistributionServer, find_docker_registry

ABSENT = "sha256:" + "0" * 64


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DistributionServer]:
    binary = find_docker_registry()
    if binary is None:
        pytest.skip("docker-registry is not installed")
    server = DistributionServer(binary=binary, folder=tmp_path_factory.mktemp("distribution"), cached=False)
    with in_background(server):
        yield server


@pytest.fixture
def server(shared_server: DistributionServer) -> Iterator[DistributionServer]:
    yield shared_server
    shared_server.clear()


@pytest.mark.parametrize(
    ("sample", "first"),
    [
        pytest.param(SampleImage(), 2, id="image"),
        pytest.param(SampleImage(docker=True), 2, id="docker-image"),
        pytest.param(SampleIndex(attestations=True), 5, id="index"),
        pytest.param(SampleIndex(docker=True), 5, id="docker-list"),
        pytest.param(SampleArtifact(), 1, id="artifact"),
    ],
)
async def test_real_server_is_understood(
    server: DistributionServer, rule: Callable[..., CatalogRegistry], sample: Sample, first: int
) -> None:
    await sample.push(server.url, "team/os", "1.0")
    image = Reference.parse(f"{server.host}/team/os:1.0")
    hosts = HostPolicy([rule(server.host, tls={"plainHTTP": True}, allowPrivateNetworks=True)])
    async with RegistryClient.create(hosts=hosts) as client:
        found = await client.inspect(image)
        assert (found.requests, found.resolved_digest, found.media_type) == (first, sample.digest, sample.media_type)
        assert (found.complete, found.warnings) == (True, ())
        again = await client.inspect(image, known=sample.digest)
        assert (again.requests, again.unchanged) == (1, True)
        assert (await client.inspect(image, known=sample.digest, deep=True)).missing == ()
        assert (await client.inspect(image.with_digest(sample.digest), known=sample.digest)).unchanged
        with pytest.raises(ImageNotFoundError, match="MANIFEST_UNKNOWN"):
            await client.inspect(image.with_digest(ABSENT), known=ABSENT)
        with pytest.raises(ImageNotFoundError, match="MANIFEST_UNKNOWN"):
            await client.inspect(Reference.parse(f"{server.host}/team/os:absent"))


async def test_real_server_has_no_referrers_api_and_keeps_the_tag_that_stands_in_for_it(
    server: DistributionServer, rule: Callable[..., CatalogRegistry]
) -> None:
    """As a tool leaves them that signs an image there: https://github.com/opencontainers/distribution-spec."""
    image, signature = SampleImage(), SampleImage(name="signature")
    for sample in (image, signature):
        await sample.push(server.url, "team/os", "1.0" if sample is image else None)
    reference = Reference.parse(f"{server.host}/team/os:1.0")
    hosts = HostPolicy([rule(server.host, tls={"plainHTTP": True}, allowPrivateNetworks=True)])
    async with RegistryClient.create(hosts=hosts) as client, httpx.AsyncClient() as tool:
        assert await client.referrers(reference, image.digest) == ()
        listed = {**signature.descriptor(), "artifactType": "application/vnd.cncf.notary.signature"}
        listed.pop("platform")
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [listed]}
        url = f"{server.url}/v2/team/os/manifests/{fallback_tag(image.digest)}"
        assert (await tool.put(url, json=index, headers={"Content-Type": OCI_INDEX})).status_code == 201
        (found,) = await client.referrers(reference, image.digest)
    assert (found.kind, found.digest) == (ReferrerKind.SIGNATURE, signature.digest)
    assert found.size_bytes == len(signature.manifest)
