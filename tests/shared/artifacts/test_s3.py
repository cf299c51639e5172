"""What an object store is asked, over moto's server."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from image_catalog.artifacts import ObjectStores, StoreCredential
from image_catalog.errors import (
    AccessDeniedError,
    AuthenticationError,
    CatalogError,
    HostNotAllowedError,
    RateLimitedError,
    RegistryFaultError,
    RegistryUnreachableError,
    StoreFaultError,
    StoreInvalidError,
)
from image_catalog.local.clients import IN_CLEAR
from image_catalog.models import ArtifactStore, CatalogRegistry
from image_catalog.registry import HostPolicy, RegistryClient
from image_catalog.testing.network import Network
from image_catalog.testing.object_store import ObjectStore

ENDPOINT = "https://s3.test"
LIFETIME = timedelta(minutes=5)


class TestListing:
    async def test_files_have_name_size_checksum_and_format(
        self, store: ObjectStore, stores: ObjectStores, credential: StoreCredential
    ) -> None:
        digest = store.put("builds/listed/disk.qcow2.gz", b"packed")
        store.put("builds/listed/logs/build log+1.txt", b"no checksum", checksum=False)
        store.put("builds/listed/logs/", b"")
        store.put("builds/listed-2/other.raw", b"another build's")
        found = await stores.list_files(store.place("listed", endpoint=ENDPOINT), credential)
        assert found.complete
        assert [(f.name, f.size_bytes, f.sha256, f.format, f.url) for f in found.files] == [
            ("disk.qcow2.gz", 6, digest, "qcow2+gzip", f"{ENDPOINT}/images/builds/listed/disk.qcow2.gz"),
            (
                "logs/build log+1.txt",
                11,
                None,
                None,
                f"{ENDPOINT}/images/builds/listed/logs/build%20log%2B1.txt",
            ),
        ]

    async def test_a_checksum_of_parts_is_none_of_the_file(
        self, store: ObjectStore, stores: ObjectStores, credential: StoreCredential
    ) -> None:
        store.put_in_parts("builds/parts/disk.raw", [b"a" * 5 * 2**20, b"b"])
        found = await stores.list_files(store.place("parts", endpoint=ENDPOINT), credential)
        assert [(f.size_bytes, f.sha256) for f in found.files] == [(5 * 2**20 + 1, None)]

    async def test_no_more_are_listed_than_the_limit(
        self, store: ObjectStore, stores: ObjectStores, credential: StoreCredential
    ) -> None:
        for number in range(5):
            store.put(f"builds/many/{number}.raw", b"")
        place = store.place("many", endpoint=ENDPOINT)
        some = await stores.list_files(place, credential, limit=3)
        assert [file.name for file in some.files] == ["0.raw", "1.raw", "2.raw"]
        assert not some.complete
        assert (await stores.list_files(place, credential, limit=5)).complete

    async def test_names_are_listed_as_far_as_a_status_has_room_for_them(
        self, store: ObjectStore, stores: ObjectStores, network: Network, credential: StoreCredential
    ) -> None:
        keys = [f"builds/autosd/{'a' * 980}-{number:03}" for number in range(100)]
        files = "".join(f"<Contents><Key>{key}</Key><Size>1</Size><ETag>a-1</ETag></Contents>" for key in keys)
        body = f"<ListBucketResult>{files}</ListBucketResult>"
        network.serve(ENDPOINT, lambda _: httpx.Response(200, text=body))
        found = await stores.list_files(store.place(endpoint=ENDPOINT), credential)
        assert (len(found.files), found.complete) == (65, False)

    async def test_folders_do_not_take_the_files_places(
        self, store: ObjectStore, stores: ObjectStores, credential: StoreCredential
    ) -> None:
        for key in ("a/", "b/", "c/", "z.raw"):
            store.put(f"builds/folders/{key}", b"")
        found = await stores.list_files(store.place("folders", endpoint=ENDPOINT), credential, limit=2)
        assert [file.name for file in found.files] == ["z.raw"]

    async def test_who_has_no_credential_asks_as_anybody(
        self, store: ObjectStore, stores: ObjectStores, network: Network
    ) -> None:
        await stores.list_files(store.place(endpoint=ENDPOINT), None)
        assert network.shown("s3.test") == set()

    async def test_a_credential_that_lasts_for_a_while_goes_with_its_token(
        self, store: ObjectStore, stores: ObjectStores, network: Network
    ) -> None:
        passing = StoreCredential("key", SecretStr("signs"), SecretStr("goes-along"))
        await stores.list_files(store.place("nothing", endpoint=ENDPOINT), passing)
        assert network.requests[-1].headers["x-amz-security-token"] == "goes-along"


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"bucket": "no-such-bucket"}, StoreInvalidError),
        ({"bucket": "??"}, StoreInvalidError),
        ({"endpoint": "ftp://s3.test"}, StoreInvalidError),
        ({"endpoint": "https://[::1"}, StoreInvalidError),
        ({"endpoint": "s3.test"}, StoreInvalidError),
        ({"endpoint": "https://nobody.test"}, RegistryUnreachableError),
        ({"endpoint": "http://s3.test"}, HostNotAllowedError),
        ({"endpoint": "https://user:word@s3.test"}, HostNotAllowedError),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else None,
)
async def test_a_store_that_cannot_be_asked_as_it_is_named(
    store: ObjectStore,
    stores: ObjectStores,
    credential: StoreCredential,
    fields: dict[str, str],
    error: type[CatalogError],
) -> None:
    with pytest.raises(error) as raised:
        await stores.list_files(store.place(**{"endpoint": ENDPOINT, **fields}), credential)
    assert credential.access_key_id not in raised.value.message
    assert "word" not in raised.value.message


@pytest.fixture
def place(store: ObjectStore) -> ArtifactStore:
    return store.place(endpoint=ENDPOINT)


def _refusal(status: int, code: str) -> httpx.Response:
    return httpx.Response(status, text=f"<Error><Code>{code}</Code><Message>for key-of-a-build</Message></Error>")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (_refusal(403, "AccessDenied"), AccessDeniedError),
        (_refusal(403, "SignatureDoesNotMatch"), AuthenticationError),
        (_refusal(403, "InvalidAccessKeyId"), AuthenticationError),
        (_refusal(400, "SlowDown"), RateLimitedError),
        (_refusal(500, "InternalError"), StoreFaultError),
        (httpx.Response(200, text="<html>no store</html>"), None),
        (
            httpx.Response(
                200,
                text="<ListBucketResult><Contents><Key>elsewhere</Key><Size>1</Size></Contents>"
                "<Contents><Key>builds/autosd/a</Key></Contents>"
                "<Contents><Key>builds/autosd/b</Key><Size>-1</Size></Contents></ListBucketResult>",
            ),
            None,
        ),
        (httpx.Response(200, text="no XML"), StoreFaultError),
        (httpx.Response(200, content=b"x" * (5 * 2**20)), RegistryFaultError),
    ],
    ids=[
        "denied",
        "signature",
        "unknown key",
        "slow down",
        "broken",
        "a page",
        "files that are none",
        "no XML",
        "endless",
    ],
)
async def test_what_a_store_answers_becomes_an_error_that_says_what_to_do(
    stores: ObjectStores,
    network: Network,
    place: ArtifactStore,
    answer: httpx.Response,
    error: type[CatalogError] | None,
) -> None:
    credential = StoreCredential("key-of-a-build", SecretStr("signs"))
    network.serve(ENDPOINT, lambda _: httpx.Response(answer.status_code, content=answer.content))
    if error is None:
        assert (await stores.list_files(place, credential)).files == ()
        return
    with pytest.raises(error) as raised:
        await stores.list_files(place, credential)
    assert "key-of-a-build" not in raised.value.message
    if error in {AccessDeniedError, AuthenticationError}:
        assert "Secret team-a/s3-keys" in raised.value.message


class TestHosts:
    async def test_an_endpoint_at_a_private_address_needs_leave(
        self, store: ObjectStore, credential: StoreCredential
    ) -> None:
        host = store.endpoint.removeprefix("http://")
        plain = _rule(host, tls={"plainHTTP": True})
        allowed = _rule(host, tls={"plainHTTP": True}, allowPrivateNetworks=True)
        async with RegistryClient.create(hosts=HostPolicy([plain])) as client:
            with pytest.raises(HostNotAllowedError, match="allowPrivateNetworks"):
                await ObjectStores(carrier=client.outgoing).list_files(store.place(), credential)
        async with RegistryClient.create(hosts=HostPolicy([allowed])) as client:
            await ObjectStores(carrier=client.outgoing).list_files(store.place(), credential)

    @pytest.mark.parametrize("endpoint", ["http://169.254.169.254", "http://[fd00:ec2::254]", "http://0.0.0.0:80"])
    async def test_a_clouds_metadata_service_is_never_asked(
        self, store: ObjectStore, credential: StoreCredential, endpoint: str
    ) -> None:
        async with RegistryClient.create(hosts=HostPolicy(allow_private=True)) as client:
            with pytest.raises(HostNotAllowedError, match="never connected to"):
                await ObjectStores(carrier=client.outgoing).list_files(store.place(endpoint=endpoint), credential)

    async def test_a_redirect_is_not_followed_to_where_nobody_may_go(
        self, store: ObjectStore, stores: ObjectStores, network: Network, credential: StoreCredential
    ) -> None:
        network.serve(ENDPOINT, lambda _: httpx.Response(307, headers={"location": "http://169.254.169.254/"}))
        with pytest.raises(CatalogError):
            await stores.list_files(store.place(endpoint=ENDPOINT), credential)
        assert {request.url.host for request in network.requests} == {"s3.test"}

    async def test_only_listed_hosts_are_asked_where_the_policy_says_so(
        self, store: ObjectStore, network: Network, credential: StoreCredential
    ) -> None:
        place = store.place(endpoint=ENDPOINT)
        async with RegistryClient.create(hosts=HostPolicy(listed_only=True), connect=network.connect) as client:
            with pytest.raises(HostNotAllowedError, match="only listed"):
                await ObjectStores(carrier=client.outgoing).list_files(place, credential)
        listed = HostPolicy([_rule("s3.test")], listed_only=True)
        async with RegistryClient.create(hosts=listed, connect=network.connect) as client:
            await ObjectStores(carrier=client.outgoing).list_files(place, credential)


class TestPresigning:
    async def test_a_url_opens_the_file_and_no_store_is_asked(
        self, store: ObjectStore, stores: ObjectStores, network: Network, credential: StoreCredential
    ) -> None:
        store.put("builds/opened/a b.raw", b"content")
        place = store.place("opened")
        urls = await stores.presign(place, credential, ["a b.raw"], lifetime=LIFETIME)
        assert not network.requests
        async with httpx.AsyncClient(verify=IN_CLEAR, trust_env=False) as client:
            assert (await client.get(urls["a b.raw"])).content == b"content"
        query = parse_qs(urlsplit(urls["a b.raw"]).query)
        assert query["X-Amz-Expires"] == ["300"]
        assert "signs-for-the-build" not in urls["a b.raw"]

    async def test_without_a_credential_it_is_the_plain_address(self, store: ObjectStore, stores: ObjectStores) -> None:
        urls = await stores.presign(store.place(endpoint=ENDPOINT), None, ["disk.raw"], lifetime=LIFETIME)
        assert urls == {"disk.raw": f"{ENDPOINT}/images/builds/autosd/disk.raw"}

    async def test_aws_is_asked_by_the_buckets_own_name(
        self, store: ObjectStore, stores: ObjectStores, credential: StoreCredential
    ) -> None:
        place = store.place(endpoint=None, region="eu-central-1")
        urls = await stores.presign(place, credential, ["disk.raw"], lifetime=LIFETIME)
        assert urlsplit(urls["disk.raw"]).hostname == "images.s3.eu-central-1.amazonaws.com"

    async def test_a_bucket_that_cannot_be_is_refused(
        self, store: ObjectStore, stores: ObjectStores, credential: StoreCredential
    ) -> None:
        with pytest.raises(StoreInvalidError, match="mend the build"):
            await stores.presign(store.place(bucket="??"), credential, ["disk.raw"], lifetime=LIFETIME)


def _rule(host: str, **spec: Any) -> CatalogRegistry:
    return CatalogRegistry.model_validate({"metadata": {"name": "store"}, "spec": {"host": host, **spec}})
