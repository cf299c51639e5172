import asyncio
import gzip
import hashlib
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import trustme

from image_catalog.local.registry import SampleImage
from image_catalog.testing.registry import BearerAuth, FakeRegistry
from image_catalog.testing.registry_faults import (
    Answer,
    Cut,
    Fault,
    Gate,
    Oversized,
    Redirect,
    another_content_type,
    another_digest_header,
    corrupt_body,
    gzip_body,
    head_not_allowed,
    html_page,
    no_challenge,
    no_digest_header,
    rate_limited,
    server_error,
)

IMAGE = SampleImage()
MANIFEST = "/v2/team/os/manifests/1.0"
BLOB = f"/v2/team/os/blobs/{IMAGE.blobs[1].digest}"
ACCEPT = {"Accept": IMAGE.media_type}


@pytest.fixture
def registry(tmp_path: Path) -> FakeRegistry:
    registry = FakeRegistry(tmp_path)
    assert registry.put(IMAGE, "team/os", "1.0") == "registry.test/team/os:1.0"
    return registry


async def ask(registry: FakeRegistry, method: str = "GET", path: str = MANIFEST) -> httpx.Response:
    async with registry.client() as client:
        return await client.request(method, path, headers=ACCEPT)


@pytest.mark.parametrize(
    ("fault", "status", "header", "value"),
    [
        pytest.param(server_error(), 500, "content-type", "text/plain; charset=utf-8", id="500"),
        pytest.param(server_error(502), 502, "content-type", "text/plain; charset=utf-8", id="502"),
        pytest.param(rate_limited(), 429, "retry-after", None, id="429"),
        pytest.param(rate_limited(retry_after=timedelta(seconds=90)), 429, "retry-after", "90", id="429 seconds"),
        pytest.param(
            rate_limited(status=503, retry_after=datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)),
            503,
            "retry-after",
            "Wed, 02 Jan 2030 03:04:05 GMT",
            id="503 date",
        ),
        pytest.param(html_page(), 200, "content-type", "text/html; charset=utf-8", id="HTML"),
        pytest.param(no_challenge(), 401, "www-authenticate", None, id="no challenge"),
        pytest.param(no_challenge(empty_header=True), 401, "www-authenticate", "", id="empty challenge"),
        pytest.param(no_digest_header(), 200, "docker-content-digest", None, id="no digest"),
        pytest.param(another_digest_header("sha256:00"), 200, "docker-content-digest", "sha256:00", id="other digest"),
        pytest.param(another_content_type("a/b"), 200, "content-type", "a/b", id="other type"),
        pytest.param(Redirect("http://other.test"), 307, "location", f"http://other.test{MANIFEST}", id="redirect"),
        pytest.param(Answer(418), 418, "content-type", None, id="anything"),
    ],
)
async def test_a_fault_shows_in_status_and_headers(
    registry: FakeRegistry, fault: Fault, status: int, header: str, value: str | None
) -> None:
    with registry.failing(fault):
        response = await ask(registry)
    assert (response.status_code, response.headers.get(header)) == (status, value)
    assert (await ask(registry)).content == IMAGE.manifest


async def test_head_may_be_refused_while_get_works(registry: FakeRegistry) -> None:
    registry.fail(head_not_allowed(), method="HEAD", kind="manifest")
    assert (await ask(registry, "HEAD")).status_code == 405
    assert (await ask(registry)).status_code == 200


async def test_a_redirect_keeps_the_query(registry: FakeRegistry) -> None:
    registry.fail(Redirect("http://other.test/", status=302))
    response = await ask(registry, path=f"{MANIFEST}?a=1")
    assert response.headers["location"] == f"http://other.test{MANIFEST}?a=1"


async def test_a_corrupt_body_has_its_length_and_not_its_digest(registry: FakeRegistry) -> None:
    registry.fail(corrupt_body())
    response = await ask(registry)
    assert len(response.content) == len(IMAGE.manifest)
    assert f"sha256:{hashlib.sha256(response.content).hexdigest()}" != response.headers["docker-content-digest"]
    head = await ask(registry, "HEAD")
    assert head.headers["content-length"] == str(len(IMAGE.manifest))


async def test_a_body_that_is_compressed_unasked(registry: FakeRegistry) -> None:
    registry.fail(gzip_body(), kind="blob")
    async with registry.client() as client, client.stream("GET", BLOB) as response:
        raw = b"".join([chunk async for chunk in response.aiter_raw()])
    assert response.headers["content-encoding"] == "gzip"
    assert gzip.decompress(raw) == IMAGE.blobs[1].content


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_of_any_size(registry: FakeRegistry, *, declared: bool) -> None:
    registry.fail(Oversized(200_000, declared=declared))
    response = await ask(registry)
    assert len(response.content) == 200_000
    assert ("content-length" in response.headers) is declared


async def test_a_fault_takes_as_many_requests_as_it_should(registry: FakeRegistry) -> None:
    failing = registry.fail(server_error(), times=2)
    assert [(await ask(registry)).status_code for _ in range(3)] == [500, 500, 200]
    assert failing.hits == 2


@pytest.mark.parametrize(
    "which",
    [{"method": "HEAD"}, {"kind": "blob"}, {"repository": "team/other"}, {"reference": "2.0"}],
    ids=lambda which: next(iter(which)),
)
async def test_a_fault_leaves_other_requests_alone(registry: FakeRegistry, which: dict[str, str]) -> None:
    failing = registry.fail(server_error(), **which)  # type: ignore[arg-type]  # each is one of the keys
    assert (await ask(registry)).status_code == 200
    assert failing.hits == 0


async def test_faults_add_up_and_end_one_by_one_or_together(registry: FakeRegistry) -> None:
    first, second = registry.fail(no_digest_header()), registry.fail(another_content_type("a/b"))
    response = await ask(registry)
    assert "docker-content-digest" not in response.headers
    assert response.headers["content-type"] == "a/b"
    registry.recover(first)
    assert (await ask(registry)).headers["docker-content-digest"] == IMAGE.digest
    registry.recover(second)
    registry.fail(server_error())
    registry.fail(server_error())
    registry.recover()
    assert (await ask(registry)).status_code == 200


async def test_an_answer_waits_until_the_test_lets_it_go(registry: FakeRegistry) -> None:
    gate = Gate()
    registry.fail(gate)
    asked = asyncio.create_task(ask(registry))
    await asyncio.wait_for(gate.reached.wait(), timeout=5)
    assert gate.waiting == 1
    assert registry.requests[0].status is None
    gate.opened.set()
    assert (await asked).status_code == 200
    assert (await ask(registry)).status_code == 200
    assert gate.waiting == 0


@pytest.mark.parametrize("after", [None, 10], ids=["before the answer", "in the body"])
async def test_a_connection_is_cut_in_process(registry: FakeRegistry, after: int | None) -> None:
    registry.fail(Cut(after))
    with pytest.raises(httpx.RemoteProtocolError):
        await ask(registry)


@pytest.mark.parametrize("after", [None, 10], ids=["before the answer", "in the body"])
async def test_a_connection_is_cut_on_a_socket(registry: FakeRegistry, after: int | None) -> None:
    registry.fail(Cut(after), times=1)
    async with registry.serve(), httpx.AsyncClient() as client:
        received = bytearray()

        async def read() -> None:
            async with client.stream("GET", registry.url + MANIFEST, headers=ACCEPT) as response:
                async for chunk in response.aiter_raw():
                    received.extend(chunk)

        with pytest.raises(httpx.RemoteProtocolError):
            await read()
        assert received == IMAGE.manifest[: after or 0]
        assert (await client.get(registry.url + MANIFEST, headers=ACCEPT)).status_code == 200


async def test_blobs_may_come_from_a_storage_that_takes_no_credential(registry: FakeRegistry) -> None:
    registry.redirect_blobs = True
    async with registry.client() as client:
        redirect = await client.get(BLOB)
        assert redirect.status_code == 307
        location = redirect.headers["location"]
        assert location.startswith("http://storage.test/")
        assert (await client.get(location)).content == IMAGE.blobs[1].content
        assert (await client.get(location, headers={"Authorization": "Bearer x"})).status_code == 400
    assert registry.requests.count(kind="storage", repository="team/os") == 2


async def test_served_registry_token_server_and_storage_have_ports_of_their_own(tmp_path: Path) -> None:
    registry = FakeRegistry(tmp_path, auth=BearerAuth())
    authority = trustme.CA()
    context = ssl.create_default_context()
    authority.configure_trust(context)
    registry.redirect_blobs = True
    async with registry.serve(certificate=authority, own_token_server=True, own_storage=True) as server:
        assert registry.put(IMAGE, "team/os", "1.0") == f"{server.host}/team/os:1.0"
        assert len({registry.host, registry.token_host, registry.storage_host}) == 3
        async with httpx.AsyncClient(verify=context) as client:
            refused = await client.get(registry.url + BLOB)
            assert f'realm="https://{registry.token_host}/token"' in refused.headers["www-authenticate"]
            params = {"service": "registry.test", "scope": "repository:team/os:pull"}
            answer = await client.get(f"https://{registry.token_host}/token", params=params)
            headers = {"Authorization": f"Bearer {answer.json()['token']}"}
            response = await client.get(registry.url + BLOB, headers=headers, follow_redirects=True)
            assert response.content == IMAGE.blobs[1].content
    assert registry.url == "http://registry.test"
    assert registry.storage_host == "storage.test"
    async with registry.client() as client:
        refused = await client.get(BLOB)
    assert 'realm="http://registry.test/token"' in refused.headers["www-authenticate"]


async def test_the_log_tells_what_was_asked(registry: FakeRegistry) -> None:
    for method, path in (("HEAD", MANIFEST), ("GET", MANIFEST), ("GET", "/v2/team/os/tags/list"), ("GET", "/else")):
        await ask(registry, method, path)
    log = registry.requests
    assert log.count(kind="manifest", method="HEAD") == 1
    assert [request.target.reference for request in log.select(kind="manifest")] == ["1.0", "1.0"]
    assert log.select(kind="other")[0].status == 404
    assert str(log).splitlines()[0] == f"HEAD registry.test{MANIFEST} 200"
    assert [request.method for request in log[1:3]] == ["GET", "GET"]
    assert log.count(log[0]) == 1
    assert len(log) == 4
    log.clear()
    assert list(log) == []
