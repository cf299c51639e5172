"""A registry that says "slow down" is not asked before it is time; nor is it driven to say so."""

import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from image_catalog.errors import CatalogError, RateLimitedError
from image_catalog.local.registry import SampleImage
from image_catalog.models import Reference
from image_catalog.registry import Credential, HostPolicy, RegistryClient
from image_catalog.registry.limits import RETRY_AFTER
from image_catalog.registry.throttle import Quota, read_quota
from image_catalog.testing.clock import StillClock
from image_catalog.testing.network import Network
from image_catalog.testing.registry import FakeRegistry
from image_catalog.testing.registry_faults import HeaderChange, rate_limited, server_error

OTHER = Reference.parse("registry.test/team/other:1.0")


@pytest.fixture
def clock() -> StillClock:
    return StillClock(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
async def client(network: Network, hosts: HostPolicy, clock: StillClock) -> AsyncIterator[RegistryClient]:
    async with RegistryClient.create(hosts=hosts, connect=network.connect, now=clock) as client:
        yield client


@pytest.fixture
def digest(registry: FakeRegistry) -> str:
    sample = SampleImage()
    registry.put(sample, "team/os", "1.0")
    registry.put(sample, "team/other", "1.0")
    return sample.digest


async def refused(client: RegistryClient, image: Reference, **asked: object) -> RateLimitedError:
    with pytest.raises(RateLimitedError) as caught:
        await client.inspect(image, **asked)  # type: ignore[arg-type]  # a digest or a credential
    return caught.value


class TestAfterARefusal:
    async def test_no_request_is_made_before_the_time_that_was_named(
        self, network: Network, client: RegistryClient, registry: FakeRegistry, clock: StillClock, digest: str
    ) -> None:
        registry.fail(rate_limited(retry_after=timedelta(minutes=7)))
        image = Reference.parse("registry.test/team/os:1.0")
        assert (await refused(client, image, known=digest)).retry_after == timedelta(minutes=7)
        registry.recover()
        assert len(network.requests) == 1, "a HEAD that was refused is not followed by a GET"
        clock.advance(minutes=5)
        error = await refused(client, OTHER)
        assert error.retry_after == timedelta(minutes=2)
        assert "not asked before 2026-01-01T00:07:00Z" in error.message
        assert len(network.requests) == 1
        clock.advance(minutes=2)
        assert (await client.inspect(OTHER, known=digest)).unchanged

    async def test_the_time_may_be_a_date(
        self, client: RegistryClient, registry: FakeRegistry, image: Reference, clock: StillClock
    ) -> None:
        registry.fail(rate_limited(retry_after=clock.now + timedelta(minutes=3)))
        assert (await refused(client, image)).retry_after == timedelta(minutes=3)

    async def test_a_server_that_is_busy_and_names_a_time_is_left_alone_too(
        self, network: Network, client: RegistryClient, registry: FakeRegistry, image: Reference
    ) -> None:
        registry.fail(rate_limited(status=503, retry_after=timedelta(minutes=3)))
        for _ in range(8):
            await refused(client, image)
        assert len(network.requests) == 1

    async def test_no_registry_can_ask_for_more_than_an_hour(
        self, client: RegistryClient, registry: FakeRegistry, image: Reference
    ) -> None:
        registry.fail(rate_limited(retry_after=timedelta(days=300)))
        assert (await refused(client, image)).retry_after == RETRY_AFTER

    async def test_without_a_time_the_wait_doubles_from_two_seconds_to_a_minute(
        self, client: RegistryClient, registry: FakeRegistry, image: Reference, clock: StillClock, digest: str
    ) -> None:
        registry.fail(rate_limited())
        waits = []
        for _ in range(7):
            wait = (await refused(client, image)).retry_after
            assert wait is not None
            waits.append(wait.total_seconds())
            clock.now += wait
        assert waits == [2, 4, 8, 16, 32, 60, 60]
        registry.recover()
        await client.inspect(image, known=digest)
        registry.fail(rate_limited())
        assert (await refused(client, image)).retry_after == timedelta(seconds=2)

    async def test_another_credential_has_a_limit_of_its_own(
        self, network: Network, client: RegistryClient, registry: FakeRegistry, image: Reference, digest: str
    ) -> None:
        failing = registry.fail(rate_limited(retry_after=timedelta(hours=1)))
        await refused(client, image)
        registry.recover(failing)
        own = Credential(username="somebody", password=secrets.token_hex(16), source="Secret team-a/quay")
        assert (await client.inspect(image, credential=own, known=digest)).unchanged
        await refused(client, image)
        assert len(network.requests) == 2

    async def test_another_registry_is_not_meant(
        self, network: Network, client: RegistryClient, registry: FakeRegistry, image: Reference
    ) -> None:
        registry.fail(rate_limited(retry_after=timedelta(hours=1)))
        await refused(client, image)
        network.serve("https://another.test", lambda _: httpx.Response(404))
        with pytest.raises(CatalogError) as caught:
            await client.inspect(Reference.parse("another.test/team/os:1.0"))
        assert caught.value.reason == "ImageNotFound"

    async def test_a_token_server_that_refuses_stops_its_registry(
        self, network: Network, client: RegistryClient, image: Reference
    ) -> None:
        challenge = {"WWW-Authenticate": 'Bearer realm="https://registry.test/token",service="registry.test"'}
        network.serve(
            "https://registry.test",
            lambda request: httpx.Response(429 if request.url.path == "/token" else 401, headers=challenge),
        )
        await refused(client, image)
        await refused(client, image)
        assert network.asked() == ["GET registry.test/v2/team/os/manifests/1.0", "GET registry.test/token"]

    async def test_a_probe_waits_as_well(
        self, network: Network, client: RegistryClient, registry: FakeRegistry, image: Reference
    ) -> None:
        registry.fail(rate_limited(retry_after=timedelta(hours=1)))
        await refused(client, image)
        with pytest.raises(RateLimitedError):
            await client.probe("registry.test")
        assert len(network.requests) == 1

    async def test_a_refusal_is_no_failure_that_opens_the_circuit(
        self, client: RegistryClient, registry: FakeRegistry, image: Reference, clock: StillClock
    ) -> None:
        registry.fail(rate_limited(retry_after=timedelta(seconds=1)))
        for _ in range(10):
            await refused(client, image)
            clock.advance(seconds=1)
        assert client.refusal(image) is None

    async def test_what_the_registry_says_is_told_without_the_secret(
        self, network: Network, client: RegistryClient, image: Reference
    ) -> None:
        planted = secrets.token_hex(16)
        own = Credential(username="somebody", password=planted, source="Secret team-a/quay")
        network.serve(
            "https://registry.test",
            lambda _: httpx.Response(429, headers={"Content-Type": "text/plain"}, text=f"{planted} is too fast"),
        )
        assert planted not in (await refused(client, image, credential=own)).message


class TestNearTheEnd:
    @pytest.fixture
    def little(self, registry: FakeRegistry) -> None:
        headers = {"ratelimit-limit": "100;w=21600", "ratelimit-remaining": "5;w=21600"}
        registry.fail(HeaderChange(headers), kind="manifest")

    @pytest.mark.usefixtures("little")
    async def test_reading_is_spaced_out_and_looking_is_not(
        self, client: RegistryClient, image: Reference, clock: StillClock, digest: str
    ) -> None:
        assert (await client.inspect(image)).complete, "what has begun is read to its end"
        error = await refused(client, OTHER)
        assert error.retry_after == timedelta(hours=1)
        assert "nearly used up" in error.message
        assert (await client.inspect(OTHER, known=digest)).unchanged
        clock.advance(hours=1)
        assert (await client.inspect(OTHER)).complete

    async def test_what_was_given_back_is_used(
        self, client: RegistryClient, registry: FakeRegistry, image: Reference, digest: str
    ) -> None:
        failing = registry.fail(HeaderChange({"ratelimit-remaining": "0;w=3600"}), kind="manifest")
        await client.inspect(image, known=digest)
        registry.recover(failing)
        registry.fail(HeaderChange({"ratelimit-remaining": "90;w=3600"}), kind="manifest")
        await client.inspect(image, known=digest)
        for _ in range(3):
            assert (await client.inspect(OTHER)).complete

    @pytest.mark.parametrize(
        ("headers", "quota"),
        [
            pytest.param({"ratelimit-remaining": "20;w=21600"}, Quota(20, timedelta(hours=6)), id="as Docker Hub"),
            pytest.param(
                {"ratelimit-remaining": "20;w=21600", "ratelimit-limit": "100;w=21600"},
                Quota(20, timedelta(hours=6), 100),
                id="with its limit",
            ),
            pytest.param({"RateLimit-Remaining": " 7 ; w=60 "}, Quota(7, timedelta(minutes=1)), id="spaces"),
            pytest.param({}, None, id="none"),
            pytest.param({"ratelimit-remaining": "20"}, None, id="no window"),
            pytest.param({"ratelimit-remaining": "20;w=0"}, None, id="an empty window"),
            pytest.param({"ratelimit-remaining": "-1;w=60"}, None, id="negative"),
            pytest.param({"ratelimit-remaining": "1e3;w=60"}, None, id="no integer"),
            pytest.param({"ratelimit-remaining": "20;w=60;q=1"}, None, id="more parameters"),
            pytest.param({"ratelimit-remaining": "20;w=60, 10;w=1"}, None, id="several policies"),
            pytest.param({"ratelimit-remaining": "9" * 40 + ";w=60"}, None, id="too many digits"),
            pytest.param({"ratelimit-remaining": "٢;w=60"}, None, id="other digits"),
            pytest.param(
                {"ratelimit-remaining": "200;w=60", "ratelimit-limit": "100;w=60"}, None, id="above the limit"
            ),
        ],
    )
    def test_headers_are_read_and_odd_ones_ignored(self, headers: dict[str, str], quota: Quota | None) -> None:
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        assert read_quota(httpx.Headers(raw)) == quota

    @pytest.mark.parametrize(
        ("quota", "pause"),
        [
            pytest.param(Quota(11, timedelta(hours=6), 100), None, id="enough"),
            pytest.param(Quota(10, timedelta(hours=6), 100), timedelta(hours=6) / 11, id="the last tenth"),
            pytest.param(Quota(0, timedelta(hours=6), 100), RETRY_AFTER, id="nothing, and never more than an hour"),
            pytest.param(Quota(6, timedelta(minutes=1)), None, id="enough of an unknown limit"),
            pytest.param(Quota(5, timedelta(minutes=1)), timedelta(seconds=10), id="the last of an unknown limit"),
            pytest.param(Quota(1, timedelta(minutes=1), 5), timedelta(seconds=30), id="a small limit"),
        ],
    )
    def test_what_is_left_is_spread_over_its_time(self, quota: Quota, pause: timedelta | None) -> None:
        assert quota.pause == pause

    async def test_errors_teach_as_well(
        self, client: RegistryClient, registry: FakeRegistry, image: Reference, digest: str
    ) -> None:
        del digest
        registry.fail(server_error(), kind="manifest")
        with pytest.raises(CatalogError):
            await client.inspect(image)
        registry.recover()
        assert (await client.inspect(image)).complete
