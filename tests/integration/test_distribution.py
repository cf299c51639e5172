"""The embedded registry answers as the real distribution server does."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from image_catalog.local.clients import IN_CLEAR
from image_catalog.local.registry import EmbeddedRegistry, Sample, SampleArtifact, SampleImage, SampleIndex
from image_catalog.testing.background import in_background
from image_catalog.testing.distribution import DistributionServer, Skopeo, SkopeoError

EVERY_TYPE = (
    "application/vnd.oci.image.index.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.v2+json"
)
ABSENT = f"sha256:{'0' * 64}"

# What a client may look at. Dates, connection handling and the server's name are nobody's business.
COMPARED = (
    "content-type",
    "content-length",
    "content-range",
    "accept-ranges",
    "cache-control",
    "docker-content-digest",
    "docker-distribution-api-version",
    "etag",
    "location",
    "range",
    "www-authenticate",
)

SAMPLES = {
    "image": SampleImage(labels={"distro": "autosd"}),
    "index": SampleIndex(attestations=True),
    "disk": SampleArtifact(),
}


@dataclass(frozen=True, slots=True)
class Pair:
    """The real server and ours, with a client for each."""

    real: httpx.AsyncClient
    ours: httpx.AsyncClient

    async def both(
        self, method: str, path: str, *, content: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[httpx.Response, httpx.Response]:
        real, ours = await asyncio.gather(
            *(client.request(method, path, content=content, headers=headers) for client in (self.real, self.ours))
        )
        return real, ours


Hold = Callable[[Sample], Awaitable[tuple[Pair, str]]]


@asynccontextmanager
async def paired(real: DistributionServer, ours: EmbeddedRegistry) -> AsyncIterator[Pair]:
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(
                httpx.AsyncClient(base_url=registry.url, verify=IN_CLEAR, headers={"Accept": EVERY_TYPE})
            )
            for registry in (real, ours)
        ]
        yield Pair(*clients)


@pytest.fixture
async def pair(empty_registry: DistributionServer, tmp_path: Path) -> AsyncIterator[Pair]:
    async with EmbeddedRegistry(tmp_path / "embedded") as embedded, paired(empty_registry, embedded) as pair:
        yield pair


@pytest.fixture(scope="module")
def held_embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRegistry]:
    """Run ours for the tests that only read: what is pushed there stays."""
    with in_background(EmbeddedRegistry(tmp_path_factory.mktemp("embedded"))) as embedded:
        yield embedded


@pytest.fixture(scope="module")
def repositories() -> dict[str, str]:
    """Remember by digest what the tests that only read have pushed, and where to."""
    return {}


@pytest.fixture
async def hold(
    held_registry: DistributionServer, held_embedded: EmbeddedRegistry, repositories: dict[str, str]
) -> AsyncIterator[Hold]:
    """Push a sample to both, the first time, and give both with the repository that it is in."""
    async with paired(held_registry, held_embedded) as pair:

        async def once(sample: Sample) -> tuple[Pair, str]:
            if sample.digest not in repositories:
                repository = f"team/os-{len(repositories)}"
                await push(pair, sample, repository)
                repositories[sample.digest] = repository
            return pair, repositories[sample.digest]

        yield once


async def push(pair: Pair, sample: Sample, repository: str = "team/os", tag: str = "1.0") -> None:
    for client in (pair.real, pair.ours):
        await sample.push(str(client.base_url), repository, tag, client=client)


def facts(response: httpx.Response) -> dict[str, object]:
    headers = {name: response.headers[name] for name in COMPARED if name in response.headers}
    if "location" in headers:
        # One writes whole URLs and one writes paths; both are right, and the path is what counts.
        headers["location"] = httpx.URL(headers["location"]).path
    return {"status": response.status_code, **headers}


async def assert_same(pair: Pair, method: str, path: str, *, headers: dict[str, str] | None = None) -> None:
    real, ours = await pair.both(method, path, headers=headers)
    assert facts(ours) == facts(real)
    assert ours.content == real.content


# What skopeo pushes


@pytest.mark.parametrize("name", SAMPLES)
async def test_skopeo_pushes_the_same_to_both(
    empty_registry: DistributionServer, skopeo: Skopeo, tmp_path: Path, name: str
) -> None:
    sample = SAMPLES[name]
    async with EmbeddedRegistry(tmp_path / "embedded") as embedded:
        for host in (empty_registry.host, embedded.host):
            reference = await skopeo.push(sample, host, f"team/{name}", "1.0")
            assert await skopeo.inspect_raw(reference) == sample.manifest
        for part in sample.walk():
            assert embedded.store.manifest(f"team/{name}", part.digest) is not None


@pytest.mark.parametrize("architecture", ["arm64", "amd64"])
async def test_skopeo_reads_the_same_from_both(
    empty_registry: DistributionServer, skopeo: Skopeo, tmp_path: Path, architecture: str
) -> None:
    index = SampleIndex()
    async with EmbeddedRegistry(tmp_path / "embedded") as embedded:
        seen = []
        for registry in (empty_registry, embedded):
            await index.push(registry.url, "team/os", "1.0")
            reference = f"{registry.host}/team/os:1.0"
            inspected = await skopeo.inspect(reference, architecture=architecture)
            inspected["Name"] = inspected["Name"].partition("/")[2]
            seen.append((inspected, await skopeo.config(reference, architecture=architecture)))
    assert seen[1] == seen[0]
    assert seen[1][0]["Architecture"] == architecture


async def test_skopeo_says_the_same_of_what_is_missing(
    empty_registry: DistributionServer, skopeo: Skopeo, tmp_path: Path
) -> None:
    async with EmbeddedRegistry(tmp_path / "embedded") as embedded:
        said = []
        for registry in (empty_registry, embedded):
            with pytest.raises(SkopeoError, match="manifest unknown") as raised:
                await skopeo.inspect_raw(f"{registry.host}/no/such:1.0")
            said.append(str(raised.value).replace(registry.host, "HOST").partition("msg=")[2])
    assert said[1] == said[0]


# Reading


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("name", SAMPLES)
async def test_manifests_by_tag_and_by_digest(hold: Hold, name: str, method: str) -> None:
    sample = SAMPLES[name]
    pair, repository = await hold(sample)
    for reference in ("1.0", *(part.digest for part in sample.walk())):
        await assert_same(pair, method, f"/v2/{repository}/manifests/{reference}")


@pytest.mark.parametrize("name", ["image", "index"])
@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "text/html",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.oci.image.index.v1+json;q=0.5,application/vnd.oci.image.manifest.v1+json;q=0.9",
    ],
)
async def test_manifests_by_what_is_accepted(hold: Hold, name: str, accept: str) -> None:
    pair, repository = await hold(SAMPLES[name])
    for method in ("GET", "HEAD"):
        await assert_same(pair, method, f"/v2/{repository}/manifests/1.0", headers={"Accept": accept})


async def test_a_docker_manifest_and_its_list(hold: Hold) -> None:
    index = SampleIndex(docker=True)
    pair, repository = await hold(index)
    for reference in ("1.0", *(part.digest for part in index.walk())):
        await assert_same(pair, "GET", f"/v2/{repository}/manifests/{reference}")


@pytest.mark.parametrize("wanted", [None, "bytes=2-5", "bytes=7-", "bytes=-4"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_blobs_whole_and_in_parts(hold: Hold, method: str, wanted: str | None) -> None:
    image = SampleImage()
    pair, repository = await hold(image)
    headers = {} if wanted is None else {"Range": wanted}
    for blob in image.blobs:
        await assert_same(pair, method, f"/v2/{repository}/blobs/{blob.digest}", headers=headers)


@pytest.mark.parametrize("kind", ["manifests", "blobs"])
async def test_what_did_not_change_is_304(hold: Hold, kind: str) -> None:
    image = SampleImage()
    pair, repository = await hold(image)
    digest = image.digest if kind == "manifests" else image.blobs[0].digest
    real, ours = await pair.both("GET", f"/v2/{repository}/{kind}/{digest}", headers={"If-None-Match": f'"{digest}"'})
    assert (ours.status_code, ours.content) == (real.status_code, real.content) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/v2/", id="ping"),
        pytest.param("/v2/REPOSITORY/manifests/none", id="missing tag"),
        pytest.param(f"/v2/REPOSITORY/manifests/{ABSENT}", id="missing manifest"),
        pytest.param("/v2/no/such/manifests/1.0", id="missing repository"),
        pytest.param(f"/v2/REPOSITORY/blobs/{ABSENT}", id="missing blob"),
        pytest.param(f"/v2/no/such/blobs/{ABSENT}", id="blob of a missing repository"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_what_is_missing(hold: Hold, method: str, path: str) -> None:
    pair, repository = await hold(SampleImage())
    await assert_same(pair, method, path.replace("REPOSITORY", repository))


@pytest.mark.parametrize(
    "path", ["/v2/UPPER/manifests/1.0", "/v2/team/os/manifests/-bad", "/v2/team/os/blobs/sha256:00", "/v2/team/os/else"]
)
async def test_what_breaks_the_grammar(hold: Hold, path: str) -> None:
    pair, _ = await hold(SampleImage())
    real, ours = await pair.both("GET", path)
    assert ours.status_code == real.status_code
    assert ours.headers["content-type"] == real.headers["content-type"]


async def test_the_tag_list(pair: Pair) -> None:
    for tag in ("b", "a", "c"):
        await push(pair, SampleImage(), tag=tag)
    real, ours = await pair.both("GET", "/v2/team/os/tags/list")
    # The real server lists tags as the file system gives them; the specification wants them sorted.
    assert ours.json() == {**real.json(), "tags": sorted(real.json()["tags"])}
    assert facts(ours) == facts(real)
    real, ours = await pair.both("GET", "/v2/_catalog")
    assert ours.json() == real.json()


async def test_the_tag_list_of_a_missing_repository(pair: Pair) -> None:
    await assert_same(pair, "GET", "/v2/no/such/tags/list")


async def test_referrers_are_ours_alone(pair: Pair) -> None:
    image = SampleImage()
    await push(pair, image)
    real, ours = await pair.both("GET", f"/v2/team/os/referrers/{image.digest}")
    if real.status_code == 404:
        assert ours.json()["manifests"] == []
        return
    assert ours.json() == real.json()  # pragma: no cover - for distribution 3, which has them


# Writing


@pytest.mark.parametrize(
    ("reference", "content", "media_type"),
    [
        pytest.param("bad", b"{", "application/vnd.oci.image.manifest.v1+json", id="no JSON"),
        pytest.param("bad", SampleImage().manifest, "text/plain", id="unknown type"),
        pytest.param("bad", SampleImage(name="x").manifest, SampleImage().media_type, id="missing blobs"),
        pytest.param("bad", SampleIndex(name="x").manifest, SampleIndex().media_type, id="missing children"),
        pytest.param(ABSENT, SampleImage().manifest, SampleImage().media_type, id="wrong digest"),
    ],
)
async def test_manifests_that_are_refused(pair: Pair, reference: str, content: bytes, media_type: str) -> None:
    await push(pair, SampleImage())
    path, headers = f"/v2/team/os/manifests/{reference}", {"Content-Type": media_type}
    real, ours = await pair.both("PUT", path, content=content, headers=headers)
    codes = [[error["code"] for error in response.json()["errors"]][:1] for response in (real, ours)]
    assert (ours.status_code, codes[1]) == (real.status_code, codes[0])
    await assert_same(pair, "GET", "/v2/team/os/manifests/bad")


async def test_a_manifest_that_is_kept(pair: Pair) -> None:
    image = SampleImage()
    await push(pair, image)
    for reference in ("again", image.digest):
        path, headers = f"/v2/team/os/manifests/{reference}", {"Content-Type": image.media_type}
        real, ours = await pair.both("PUT", path, content=image.manifest, headers=headers)
        assert facts(ours) == facts(real)


async def test_a_blob_in_chunks(pair: Pair) -> None:
    content = bytes(range(200))
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    steps: list[list[dict[str, object]]] = []
    for client in (pair.real, pair.ours):
        answers = [await client.post("/v2/team/os/blobs/uploads/")]
        for start in (0, 100):
            piece = content[start : start + 100]
            answers.append(await client.patch(answers[-1].headers["location"], content=piece))
        location = httpx.URL(answers[-1].headers["location"])
        answers.append(await client.get(location))
        location = httpx.URL(answers[-1].headers["location"])
        answers.append(await client.put(location.copy_merge_params({"digest": digest})))
        told = [facts(answer) for answer in answers]
        for fact in told[:-1]:
            fact.pop("location")
        steps.append(told)
    assert steps[1] == steps[0]


@pytest.mark.parametrize("mount", ["there", "missing"])
async def test_a_blob_that_is_mounted(pair: Pair, mount: str) -> None:
    image = SampleImage()
    await push(pair, image)
    digest = image.blobs[0].digest if mount == "there" else ABSENT
    real, ours = await pair.both("POST", f"/v2/other/os/blobs/uploads/?mount={digest}&from=team/os")
    assert ours.status_code == real.status_code
    await assert_same(pair, "HEAD", f"/v2/other/os/blobs/{digest}")


async def test_bytes_with_another_digest(pair: Pair) -> None:
    statuses = []
    for client in (pair.real, pair.ours):
        location = httpx.URL((await client.post("/v2/team/os/blobs/uploads/")).headers["location"])
        refused = await client.put(location.copy_merge_params({"digest": ABSENT}), content=b"else")
        gone = await client.get(location)
        statuses.append((refused.status_code, refused.json()["errors"][0]["code"], gone.status_code))
    assert statuses[1] == statuses[0] == (400, "DIGEST_INVALID", 404)


async def test_a_manifest_that_is_deleted(pair: Pair) -> None:
    image = SampleImage()
    await push(pair, image)
    for path in (f"/v2/team/os/manifests/{image.digest}", f"/v2/team/os/blobs/{image.blobs[1].digest}"):
        real, ours = await pair.both("DELETE", path)
        assert (ours.status_code, real.status_code) == (202, 202)
        real, ours = await pair.both("DELETE", path)
        assert (ours.status_code, real.status_code) == (404, 404)
    for path in ("manifests/1.0", f"manifests/{image.digest}", "tags/list"):
        real, ours = await pair.both("GET", f"/v2/team/os/{path}")
        assert ours.status_code == real.status_code
        # The real server says null where it has no tag left; ours keeps to the list that the specification has.
        assert ours.json().get("tags", []) == (real.json().get("tags") or [])


# The runner itself


async def test_the_real_server_comes_back_at_the_same_address(docker_registry: DistributionServer) -> None:
    image = SampleImage()
    await image.push(docker_registry.url, "team/os", "1.0")
    url = docker_registry.url
    await docker_registry.stop()
    async with httpx.AsyncClient(base_url=url, verify=IN_CLEAR, headers={"Accept": EVERY_TYPE}) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("/v2/")
        await docker_registry.start()
        assert docker_registry.url == url
        assert (await client.get("/v2/team/os/manifests/1.0")).content == image.manifest


async def test_a_server_that_cannot_start_says_why(docker_registry: DistributionServer, tmp_path: Path) -> None:
    second = DistributionServer(binary=docker_registry._binary, folder=tmp_path / "second")
    second._port = docker_registry._port
    with pytest.raises(RuntimeError, match="address already in use"):
        await second.start()
    await second.stop()
