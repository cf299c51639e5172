import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from image_catalog.local.registry import RegistryStore, SampleImage, SampleIndex, create_registry_app

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
UPLOADS = "/v2/team/os/blobs/uploads/"


def digest_of(content: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def code(response: httpx.Response) -> str:
    return str(response.json()["errors"][0]["code"])


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_a_blob_pushed_in_chunks_is_one_blob(client: httpx.AsyncClient, algorithm: str) -> None:
    content = bytes(range(256)) * 10
    digest = digest_of(content, algorithm)
    location = (await client.post(UPLOADS)).headers["location"]
    for start in range(0, 2000, 1000):
        headers = {"Content-Range": f"{start}-{start + 999}"}
        response = await client.patch(location, content=content[start : start + 1000], headers=headers)
        assert response.status_code == 202
        assert response.headers["range"] == f"0-{start + 999}"
    progress = await client.get(location)
    assert (progress.status_code, progress.headers["range"]) == (204, "0-1999")
    done = await client.put(location, params={"digest": digest}, content=content[2000:])
    assert (done.status_code, done.headers["docker-content-digest"]) == (201, digest)
    assert (await client.get(done.headers["location"])).content == content


async def test_a_blob_pushed_in_one_request(client: httpx.AsyncClient) -> None:
    response = await client.post(UPLOADS, params={"digest": digest_of(b"blob")}, content=b"blob")
    assert response.status_code == 201
    assert (await client.get(response.headers["location"])).content == b"blob"


async def test_a_chunk_out_of_order_is_416_and_says_where_to_go_on(client: httpx.AsyncClient) -> None:
    location = (await client.post(UPLOADS)).headers["location"]
    await client.patch(location, content=b"0123")
    for send in (client.patch, client.put):
        response = await send(
            location, content=b"x", headers={"Content-Range": "9-9"}, params={"digest": digest_of(b"x")}
        )
        assert (response.status_code, response.headers["range"]) == (416, "0-3")
    unreadable = await client.patch(location, content=b"x", headers={"Content-Range": "soon"})
    assert unreadable.status_code == 416


async def test_bytes_with_another_digest_are_refused_and_dropped(
    client: httpx.AsyncClient, store: RegistryStore
) -> None:
    location = (await client.post(UPLOADS)).headers["location"]
    response = await client.put(location, params={"digest": digest_of(b"said")}, content=b"sent")
    assert (response.status_code, code(response)) == (400, "DIGEST_INVALID")
    assert (await client.get(location)).status_code == 404
    assert list((store.root / "uploads").iterdir()) == []


async def test_an_upload_without_a_digest_stays_open(client: httpx.AsyncClient) -> None:
    location = (await client.post(UPLOADS)).headers["location"]
    response = await client.put(location, content=b"sent")
    assert (response.status_code, code(response)) == (400, "DIGEST_INVALID")
    assert (await client.get(location)).status_code == 204


async def test_a_sender_that_goes_away_may_go_on_where_it_was(client: httpx.AsyncClient) -> None:
    class GoneError(Exception):
        pass

    async def half() -> AsyncIterator[bytes]:
        yield b"first "
        raise GoneError

    location = (await client.post(UPLOADS)).headers["location"]
    with pytest.raises(GoneError):
        await client.patch(location, content=half())
    kept = (await client.get(location)).headers["range"]
    assert kept == "0-5"
    done = await client.put(
        location,
        params={"digest": digest_of(b"first second")},
        content=b"second",
        headers={"Content-Range": "6-11"},
    )
    assert done.status_code == 201


async def test_a_connection_that_breaks_in_an_upload_is_no_fault(store: RegistryStore) -> None:
    app, upload = create_registry_app(store), store.start_upload("team/os")
    coming = iter([{"type": "http.request", "body": b"some", "more_body": True}, {"type": "http.disconnect"}])
    answers: list[Any] = []

    async def receive() -> Any:
        return next(coming)

    async def send(message: Any) -> None:
        answers.append(message)

    path = f"{UPLOADS}{upload.identifier}"
    scope = {"type": "http", "method": "PATCH", "path": path, "query_string": b"", "headers": []}
    await app(scope, receive, send)
    assert answers[0]["status"] == 400
    assert upload.size == 4


async def test_an_upload_that_is_cancelled_is_gone(client: httpx.AsyncClient, store: RegistryStore) -> None:
    location = (await client.post(UPLOADS)).headers["location"]
    await client.patch(location, content=b"some")
    assert (await client.delete(location)).status_code == 204
    response = await client.patch(location, content=b"more")
    assert (response.status_code, code(response)) == (404, "BLOB_UPLOAD_UNKNOWN")
    assert list((store.root / "uploads").iterdir()) == []


async def test_an_upload_belongs_to_its_repository(client: httpx.AsyncClient) -> None:
    location = (await client.post(UPLOADS)).headers["location"]
    assert (await client.get(location.replace("team/os", "other/os"))).status_code == 404


async def test_a_blob_is_mounted_from_where_it_is(client: httpx.AsyncClient, store: RegistryStore) -> None:
    digest = store.put_blob("team/os", b"shared")
    response = await client.post("/v2/other/os/blobs/uploads/", params={"mount": digest, "from": "team/os"})
    assert response.status_code == 201
    assert (await client.get(f"/v2/other/os/blobs/{digest}")).content == b"shared"


async def test_a_mount_of_what_is_not_there_becomes_an_upload(client: httpx.AsyncClient) -> None:
    response = await client.post(UPLOADS, params={"mount": digest_of(b"none"), "from": "no/such"})
    assert response.status_code == 202
    assert response.headers["location"].startswith(UPLOADS)


def image_with(**changes: Any) -> bytes:
    return json.dumps(json.loads(SampleImage().manifest) | changes).encode()


@pytest.mark.parametrize(
    ("content", "media_type", "expected"),
    [
        pytest.param(b"{", OCI_MANIFEST, "MANIFEST_INVALID", id="no JSON"),
        pytest.param(b"[]", OCI_MANIFEST, "MANIFEST_INVALID", id="no object"),
        pytest.param(image_with(), "text/plain", "MANIFEST_INVALID", id="unknown type"),
        pytest.param(image_with(schemaVersion=1), OCI_MANIFEST, "MANIFEST_INVALID", id="schema version"),
        pytest.param(image_with(mediaType="a/b"), OCI_MANIFEST, "MANIFEST_INVALID", id="two types"),
        pytest.param(image_with(config=None), OCI_MANIFEST, "MANIFEST_INVALID", id="no config"),
        pytest.param(image_with(layers=[{}]), OCI_MANIFEST, "MANIFEST_INVALID", id="layer without digest"),
        pytest.param(
            image_with(layers=[{"digest": digest_of(b"none")}]),
            OCI_MANIFEST,
            "MANIFEST_BLOB_UNKNOWN",
            id="no such blob",
        ),
        pytest.param(
            image_with(layers=[{"digest": "../../x"}]),
            OCI_MANIFEST,
            "MANIFEST_BLOB_UNKNOWN",
            id="digest that is a path",
        ),
    ],
)
async def test_a_manifest_that_cannot_be_right_is_refused(
    client: httpx.AsyncClient, store: RegistryStore, content: bytes, media_type: str, expected: str
) -> None:
    SampleImage().put(store, "team/os")
    response = await client.put("/v2/team/os/manifests/1.0", content=content, headers={"Content-Type": media_type})
    assert (response.status_code, code(response)) == (400, expected)
    assert store.tags("team/os") == []


async def test_an_index_without_its_children_is_refused(client: httpx.AsyncClient, store: RegistryStore) -> None:
    index = SampleIndex()
    headers = {"Content-Type": index.media_type}
    response = await client.put("/v2/team/os/manifests/1.0", content=index.manifest, headers=headers)
    assert (response.status_code, code(response)) == (400, "MANIFEST_BLOB_UNKNOWN")
    for image in index.images:
        image.put(store, "team/os")
    response = await client.put("/v2/team/os/manifests/1.0", content=index.manifest, headers=headers)
    assert (response.status_code, response.headers["docker-content-digest"]) == (201, index.digest)


async def test_a_layer_that_is_kept_elsewhere_need_not_be_here(client: httpx.AsyncClient, store: RegistryStore) -> None:
    SampleImage().put(store, "team/os")
    content = image_with(layers=[{"digest": digest_of(b"none"), "urls": ["https://elsewhere.test/layer"]}])
    response = await client.put("/v2/team/os/manifests/1.0", content=content, headers={"Content-Type": OCI_MANIFEST})
    assert response.status_code == 201


async def test_a_manifest_pushed_by_digest_must_have_it(client: httpx.AsyncClient, store: RegistryStore) -> None:
    image = SampleImage()
    image.put(store, "team/os")
    headers = {"Content-Type": f"{OCI_MANIFEST}; charset=utf-8"}
    for algorithm in ("sha256", "sha512"):
        path = f"/v2/team/os/manifests/{digest_of(image.manifest, algorithm)}"
        assert (await client.put(path, content=image.manifest, headers=headers)).status_code == 201
        assert (await client.get(path, headers={"Accept": OCI_MANIFEST})).content == image.manifest
        wrong = f"/v2/team/os/manifests/{digest_of(b'else', algorithm)}"
        assert code(await client.put(wrong, content=image.manifest, headers=headers)) == "DIGEST_INVALID"


async def test_a_manifest_over_the_limit_is_413(client: httpx.AsyncClient) -> None:
    content = b" " * (4 * 1024 * 1024 + 1)
    response = await client.put("/v2/team/os/manifests/1.0", content=content, headers={"Content-Type": OCI_MANIFEST})
    assert (response.status_code, code(response)) == (413, "SIZE_INVALID")


async def test_a_referrer_is_told_that_its_subject_was_understood(
    client: httpx.AsyncClient, store: RegistryStore
) -> None:
    image = SampleImage()
    referrer = SampleImage(name="signature", subject=image)
    referrer.put(store, "team/os")
    response = await client.put(
        "/v2/team/os/manifests/signed", content=referrer.manifest, headers={"Content-Type": OCI_MANIFEST}
    )
    assert response.headers["oci-subject"] == image.digest


async def test_a_tag_moves_and_the_old_manifest_stays(client: httpx.AsyncClient, store: RegistryStore) -> None:
    old, new = SampleImage(name="old"), SampleImage(name="new")
    for image in (old, new):
        await image.push("http://registry.test", "team/os", "1.0", client=client)
    accept = {"Accept": OCI_MANIFEST}
    head = await client.head("/v2/team/os/manifests/1.0", headers=accept)
    assert head.headers["docker-content-digest"] == new.digest
    assert (await client.get(f"/v2/team/os/manifests/{old.digest}", headers=accept)).content == old.manifest
    assert store.tags("team/os") == ["1.0"]


async def test_deleting_a_tag_leaves_the_manifest(client: httpx.AsyncClient, store: RegistryStore) -> None:
    image = SampleImage()
    image.put(store, "team/os", "1.0")
    assert (await client.delete("/v2/team/os/manifests/1.0")).status_code == 202
    assert store.tags("team/os") == []
    assert store.manifest("team/os", image.digest) is not None
    assert code(await client.delete("/v2/team/os/manifests/1.0")) == "MANIFEST_UNKNOWN"


async def test_deleting_a_manifest_takes_its_tags_and_no_others(
    client: httpx.AsyncClient, store: RegistryStore
) -> None:
    image, other = SampleImage(), SampleImage(name="other")
    for tag in ("1.0", "latest"):
        image.put(store, "team/os", tag)
    other.put(store, "team/os", "other")
    referrer = SampleImage(name="signature", subject=image)
    referrer.put(store, "team/os")
    assert (await client.delete(f"/v2/team/os/manifests/{image.digest}")).status_code == 202
    assert (await client.delete(f"/v2/team/os/manifests/{referrer.digest}")).status_code == 202
    assert store.tags("team/os") == ["other"]
    assert list(store.referrers("team/os", image.digest)) == []
    assert (await client.delete(f"/v2/team/os/manifests/{image.digest}")).status_code == 404


async def test_deleting_a_blob_takes_it_from_this_repository_only(
    client: httpx.AsyncClient, store: RegistryStore
) -> None:
    digest = store.put_blob("team/os", b"shared")
    store.put_blob("other/os", b"shared")
    assert (await client.delete(f"/v2/team/os/blobs/{digest}")).status_code == 202
    assert code(await client.delete(f"/v2/team/os/blobs/{digest}")) == "BLOB_UNKNOWN"
    assert (await client.get(f"/v2/other/os/blobs/{digest}")).content == b"shared"


async def test_a_method_that_makes_no_sense_is_405(client: httpx.AsyncClient) -> None:
    response = await client.post("/v2/team/os/manifests/1.0")
    assert response.status_code == 405
    assert "PUT" in response.headers["allow"]
