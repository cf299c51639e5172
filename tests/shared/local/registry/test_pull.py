import json

import httpx
import pytest

from image_catalog.local.registry import RegistryStore, SampleArtifact, SampleImage, SampleIndex

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
ABSENT = f"sha256:{'0' * 64}"


def code(response: httpx.Response) -> str:
    return str(response.json()["errors"][0]["code"])


@pytest.mark.parametrize("path", ["/v2/", "/v2"])
async def test_a_ping_says_that_this_is_a_registry(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path)
    assert response.status_code == 200
    assert response.headers["docker-distribution-api-version"] == "registry/2.0"
    assert response.json() == {}


@pytest.mark.parametrize("by", ["tag", "digest"])
async def test_a_manifest_comes_back_byte_for_byte(client: httpx.AsyncClient, store: RegistryStore, by: str) -> None:
    image = SampleImage()
    image.put(store, "team/os", "1.0")
    reference = "1.0" if by == "tag" else image.digest
    response = await client.get(f"/v2/team/os/manifests/{reference}", headers={"Accept": OCI_MANIFEST})
    assert response.content == image.manifest
    assert response.headers["docker-content-digest"] == image.digest
    assert response.headers["content-type"] == OCI_MANIFEST


async def test_head_says_what_get_would_say_and_sends_no_body(client: httpx.AsyncClient, store: RegistryStore) -> None:
    image = SampleImage()
    image.put(store, "team/os", "1.0")
    head = await client.head("/v2/team/os/manifests/1.0", headers={"Accept": OCI_MANIFEST})
    get = await client.get("/v2/team/os/manifests/1.0", headers={"Accept": OCI_MANIFEST})
    assert head.content == b""
    assert dict(head.headers) == dict(get.headers)
    assert head.headers["content-length"] == str(len(image.manifest))


async def test_head_of_what_is_missing_has_no_body_either(client: httpx.AsyncClient) -> None:
    response = await client.head("/v2/team/os/manifests/1.0")
    assert (response.status_code, response.content) == (404, b"")
    assert int(response.headers["content-length"]) > 0


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        pytest.param([OCI_MANIFEST], 200, id="exact"),
        pytest.param([f"{OCI_INDEX}, {OCI_MANIFEST}; q=0.5"], 200, id="among several, with a parameter"),
        pytest.param([OCI_INDEX, OCI_MANIFEST], 200, id="in a second header"),
        pytest.param(["*/*"], 404, id="anything"),
        pytest.param([OCI_INDEX], 404, id="another type"),
    ],
)
async def test_an_oci_manifest_wants_its_type_in_accept(
    client: httpx.AsyncClient, store: RegistryStore, accept: list[str], status: int
) -> None:
    SampleImage().put(store, "team/os", "1.0")
    headers = [("Accept", value) for value in accept]
    response = await client.get("/v2/team/os/manifests/1.0", headers=headers)
    assert response.status_code == status
    if status == 404:
        assert "OCI manifest found, but accept header" in response.text


async def test_a_docker_manifest_comes_whatever_is_accepted(client: httpx.AsyncClient, store: RegistryStore) -> None:
    image = SampleImage(docker=True)
    image.put(store, "team/os", "1.0")
    response = await client.get("/v2/team/os/manifests/1.0")
    assert response.content == image.manifest


async def test_an_unchanged_manifest_is_not_sent_again(client: httpx.AsyncClient, store: RegistryStore) -> None:
    image = SampleImage()
    image.put(store, "team/os", "1.0")
    headers = {"Accept": OCI_MANIFEST, "If-None-Match": f'"{image.digest}"'}
    response = await client.get("/v2/team/os/manifests/1.0", headers=headers)
    assert (response.status_code, response.content) == (304, b"")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("/v2/team/os/manifests/none", "MANIFEST_UNKNOWN", id="tag"),
        pytest.param(f"/v2/team/os/manifests/{ABSENT}", "MANIFEST_UNKNOWN", id="digest"),
        pytest.param("/v2/no/such/manifests/1.0", "MANIFEST_UNKNOWN", id="repository of a manifest"),
        pytest.param(f"/v2/team/os/blobs/{ABSENT}", "BLOB_UNKNOWN", id="blob"),
        pytest.param("/v2/no/such/tags/list", "NAME_UNKNOWN", id="repository of a tag list"),
    ],
)
async def test_what_is_missing_is_404_with_its_code(
    client: httpx.AsyncClient, store: RegistryStore, path: str, expected: str
) -> None:
    SampleImage().put(store, "team/os", "1.0")
    response = await client.get(path)
    assert response.status_code == 404
    assert code(response) == expected


@pytest.mark.parametrize(
    "path",
    [
        "/v2/UPPER/manifests/1.0",
        "/v2/team/os/manifests/-bad",
        "/v2/team/os/manifests/sha256:00",
        "/",
        "/v2/_x/tags/list",
    ],
)
async def test_a_path_against_the_grammar_is_404_without_a_code(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path)
    assert response.status_code == 404
    assert response.headers["content-type"].startswith("text/plain")


async def test_a_blob_of_another_repository_is_not_there(client: httpx.AsyncClient, store: RegistryStore) -> None:
    image = SampleImage()
    image.put(store, "team/os", "1.0")
    assert (await client.get(f"/v2/other/os/blobs/{image.blobs[0].digest}")).status_code == 404


@pytest.mark.parametrize(
    ("wanted", "status", "part"),
    [
        pytest.param("bytes=2-5", 206, slice(2, 6), id="middle"),
        pytest.param("bytes=5-", 206, slice(5, None), id="from"),
        pytest.param("bytes=-4", 206, slice(-4, None), id="last"),
        pytest.param("bytes=100000-", 416, None, id="beyond the end"),
    ],
)
async def test_a_range_of_a_blob(
    client: httpx.AsyncClient, store: RegistryStore, wanted: str, status: int, part: slice | None
) -> None:
    content = bytes(range(100))
    digest = store.put_blob("team/os", content)
    response = await client.get(f"/v2/team/os/blobs/{digest}", headers={"Range": wanted})
    assert response.status_code == status
    if part is not None:
        assert response.content == content[part]


@pytest.mark.parametrize(
    ("named", "status"), [("that", 206), ("another", 200)], ids=["the same content", "another content"]
)
async def test_a_range_is_given_only_of_the_content_that_is_meant(
    client: httpx.AsyncClient, store: RegistryStore, named: str, status: int
) -> None:
    digest = store.put_blob("team/os", b"0123456789")
    etag = f'"{digest}"' if named == "that" else f'"sha256:{"0" * 64}"'
    headers = {"Range": "bytes=4-", "If-Range": etag}
    response = await client.get(f"/v2/team/os/blobs/{digest}", headers=headers)
    assert (response.status_code, response.content) == (status, b"456789" if status == 206 else b"0123456789")
    assert response.headers.get("content-range") == ("bytes 4-9/10" if status == 206 else None)
    assert response.headers["accept-ranges"] == "bytes"


async def test_a_blob_is_named_in_its_headers(client: httpx.AsyncClient, store: RegistryStore) -> None:
    digest = store.put_blob("team/os", b"content", algorithm="sha512")
    head = await client.head(f"/v2/team/os/blobs/{digest}")
    assert head.headers["docker-content-digest"] == digest
    assert head.headers["content-length"] == "7"
    assert (await client.get(f"/v2/team/os/blobs/{digest}")).content == b"content"
    unchanged = await client.get(f"/v2/team/os/blobs/{digest}", headers={"If-None-Match": f'"{digest}"'})
    assert unchanged.status_code == 304


async def test_a_blob_asked_for_by_no_digest_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.get("/v2/team/os/blobs/sha256:00")
    assert (response.status_code, code(response)) == (400, "DIGEST_INVALID")


async def test_tags_come_page_by_page(client: httpx.AsyncClient, store: RegistryStore) -> None:
    for tag in ("c", "a", "b"):
        SampleImage().put(store, "team/os", tag)
    seen: list[str] = []
    path: str | None = "/v2/team/os/tags/list?n=2"
    while path is not None:
        response = await client.get(path)
        seen += response.json()["tags"]
        path = response.links.get("next", {}).get("url")
    assert seen == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("query", "tags"),
    [
        pytest.param("", ["a", "b"], id="all"),
        pytest.param("?last=a", ["b"], id="after one"),
        pytest.param("?n=0", [], id="none"),
        pytest.param("?n=5", ["a", "b"], id="more than there are"),
    ],
)
async def test_a_page_that_ends_the_list_has_no_link(
    client: httpx.AsyncClient, store: RegistryStore, query: str, tags: list[str]
) -> None:
    for tag in ("a", "b"):
        SampleImage().put(store, "team/os", tag)
    response = await client.get(f"/v2/team/os/tags/list{query}")
    assert response.json() == {"name": "team/os", "tags": tags}
    assert "link" not in response.headers


@pytest.mark.parametrize("path", ["/v2/team/os/tags/list", "/v2/_catalog"])
async def test_a_page_of_no_number_is_refused(client: httpx.AsyncClient, store: RegistryStore, path: str) -> None:
    SampleImage().put(store, "team/os", "1.0")
    response = await client.get(path, params={"n": "-1"})
    assert (response.status_code, code(response)) == (400, "PAGINATION_NUMBER_INVALID")


async def test_repositories_are_listed_nested_ones_too(client: httpx.AsyncClient, store: RegistryStore) -> None:
    for repository in ("team/os", "team", "a"):
        SampleImage().put(store, repository, "1.0")
    assert (await client.get("/v2/_catalog")).json() == {"repositories": ["a", "team", "team/os"]}


async def test_referrers_are_listed_with_what_they_are(client: httpx.AsyncClient, store: RegistryStore) -> None:
    image = SampleImage()
    image.put(store, "team/os", "1.0")
    sbom = SampleArtifact(artifact_type="application/spdx+json", subject=image, annotations={"made": "today"})
    signature = SampleImage(name="signature", subject=image)
    for referrer in (sbom, signature):
        referrer.put(store, "team/os")
    response = await client.get(f"/v2/team/os/referrers/{image.digest}")
    assert response.headers["content-type"] == OCI_INDEX
    found = {entry["digest"]: entry for entry in response.json()["manifests"]}
    assert found[sbom.digest]["artifactType"] == "application/spdx+json"
    assert found[sbom.digest]["annotations"]["made"] == "today"
    assert found[sbom.digest]["size"] == len(sbom.manifest)
    assert found[signature.digest]["artifactType"] == "application/vnd.oci.image.config.v1+json"


async def test_referrers_of_one_type_say_that_they_were_filtered(
    client: httpx.AsyncClient, store: RegistryStore
) -> None:
    image = SampleImage()
    sbom = SampleArtifact(artifact_type="application/spdx+json", subject=image)
    sbom.put(store, "team/os")
    SampleImage(name="signature", subject=image).put(store, "team/os")
    response = await client.get(
        f"/v2/team/os/referrers/{image.digest}", params={"artifactType": "application/spdx+json"}
    )
    assert [entry["digest"] for entry in response.json()["manifests"]] == [sbom.digest]
    assert response.headers["oci-filters-applied"] == "artifactType"


@pytest.mark.parametrize(("subject", "status"), [(ABSENT, 200), ("sha256:00", 400)], ids=["nobody", "no digest"])
async def test_referrers_of_what_nobody_refers_to(client: httpx.AsyncClient, subject: str, status: int) -> None:
    response = await client.get(f"/v2/team/os/referrers/{subject}")
    assert response.status_code == status
    if status == 200:
        assert response.json()["manifests"] == []


async def test_an_index_names_children_that_are_there(client: httpx.AsyncClient, store: RegistryStore) -> None:
    SampleIndex(attestations=True).put(store, "team/os", "1.0")
    index = json.loads((await client.get("/v2/team/os/manifests/1.0", headers={"Accept": OCI_INDEX})).content)
    assert len(index["manifests"]) == 4
    for child in index["manifests"]:
        response = await client.head(f"/v2/team/os/manifests/{child['digest']}", headers={"Accept": OCI_MANIFEST})
        assert response.headers["content-length"] == str(child["size"])
