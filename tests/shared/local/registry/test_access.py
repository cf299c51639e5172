import base64
import secrets
from pathlib import Path

import httpx
import pytest

from image_catalog.errors import AuthenticationError
from image_catalog.local.registry import EmbeddedRegistry, SampleImage, read_basic

ACCEPT = {"Accept": "application/vnd.oci.image.manifest.v1+json"}


@pytest.fixture
def password() -> str:
    return secrets.token_urlsafe(12)


@pytest.fixture
def client(tmp_path: Path, password: str) -> httpx.AsyncClient:
    registry = EmbeddedRegistry(tmp_path, accounts={"builder": password}, private=("secret",))
    SampleImage().put(registry.store, "secret/os", "1.0")
    SampleImage().put(registry.store, "secretive/os", "1.0")
    return httpx.AsyncClient(transport=httpx.ASGITransport(registry.app), base_url="http://registry.test")


async def test_a_private_repository_wants_a_password(client: httpx.AsyncClient, password: str) -> None:
    path = "/v2/secret/os/manifests/1.0"
    refused = await client.get(path, headers=ACCEPT)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (401, "UNAUTHORIZED")
    assert refused.headers["www-authenticate"].startswith('Basic realm="')
    for credential in (("builder", "guess"), ("nobody", password)):
        assert (await client.get(path, headers=ACCEPT, auth=credential)).status_code == 401
    assert (await client.get(path, headers=ACCEPT, auth=("builder", password))).status_code == 200


async def test_a_public_repository_wants_none(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v2/secretive/os/manifests/1.0", headers=ACCEPT)).status_code == 200


async def test_the_ping_asks_so_that_clients_learn_what_to_send(client: httpx.AsyncClient, password: str) -> None:
    assert (await client.get("/v2/")).status_code == 401
    assert (await client.get("/v2/", auth=("builder", password))).status_code == 200


async def test_a_push_to_a_private_repository_wants_a_password(client: httpx.AsyncClient, password: str) -> None:
    with pytest.raises(AuthenticationError):
        await SampleImage().push("http://registry.test", "secret/new", "1.0", client=client)
    await SampleImage().push("http://registry.test", "secret/new", "1.0", client=client, auth=("builder", password))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        pytest.param("Basic " + base64.b64encode(b"user:pass:word").decode(), ("user", "pass:word"), id="colon inside"),
        pytest.param("basic " + base64.b64encode(b"user:").decode(), ("user", ""), id="empty password"),
        pytest.param("Basic " + base64.b64encode(b"user").decode(), None, id="no colon"),
        pytest.param("Basic ***", None, id="no base64"),
        pytest.param("Basic " + base64.b64encode(b"\xff:").decode(), None, id="no UTF-8"),
        pytest.param("Bearer abc", None, id="another scheme"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_a_basic_header_is_read(header: str, expected: tuple[str, str] | None) -> None:
    assert read_basic(header) == expected
