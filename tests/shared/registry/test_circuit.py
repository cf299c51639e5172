"""A registry that does not answer is left alone after five requests, and looked at now and then."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY

from image_catalog.errors import CatalogError, CircuitOpenError, RegistryUnreachableError, TransientError
from image_catalog.local.registry import Blob, SampleImage
from image_catalog.models import CatalogRegistry, Reference
from image_catalog.registry import HostPolicy, RegistryClient
from image_catalog.registry.circuit import FAILURES, RECOVERY
from image_catalog.testing.clock import StillClock
from image_catalog.testing.network import Handler, Network
from image_catalog.testing.registry import FakeRegistry
from image_catalog.testing.registry_faults import server_error

OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"

Rule = Callable[..., CatalogRegistry]


@pytest.fixture
def clock() -> StillClock:
    return StillClock(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
async def client(network: Network, hosts: HostPolicy, clock: StillClock) -> AsyncIterator[RegistryClient]:
    async with RegistryClient.create(hosts=hosts, connect=network.connect, now=clock) as client:
        yield client


def raising(error: Exception) -> Handler:
    def serve(_: httpx.Request) -> httpx.Response:
        raise error

    return serve


def answering(status: int, **headers: str) -> Handler:
    return lambda _: httpx.Response(status, headers=headers)


async def ask(client: RegistryClient, name: str = "registry.test/team/os:1.0") -> CatalogError:
    with pytest.raises(CatalogError) as caught:
        await client.inspect(Reference.parse(name))
    return caught.value


async def open_circuit(client: RegistryClient, network: Network) -> None:
    network.serve("https://registry.test", raising(httpx.ConnectError("down")))
    for _ in range(FAILURES):
        assert not isinstance(await ask(client), CircuitOpenError)
    network.requests.clear()


def shown(registry: str) -> float | None:
    return REGISTRY.get_sample_value("image_catalog_registry_circuit_state", {"registry": registry})


@pytest.mark.parametrize(
    "serve",
    [
        pytest.param(raising(httpx.ConnectError("down")), id="refused"),
        pytest.param(raising(httpx.ConnectTimeout("late")), id="connect time-out"),
        pytest.param(raising(httpx.ReadTimeout("late")), id="read time-out"),
        pytest.param(answering(500), id="500"),
        pytest.param(answering(502), id="502"),
        pytest.param(answering(503), id="503"),
        pytest.param(answering(504), id="504"),
    ],
)
async def test_five_failures_in_a_row_open_it(network: Network, client: RegistryClient, serve: Handler) -> None:
    network.serve("https://registry.test", serve)
    for _ in range(FAILURES):
        assert not isinstance(await ask(client), CircuitOpenError)
    requests = len(network.requests)
    error = await ask(client, "registry.test/another/os:2.0")
    assert isinstance(error, CircuitOpenError)
    assert error.reason == "RegistryUnreachable"
    assert "5 requests in a row failed" in error.message
    assert "2026-01-01T00:00:00Z" in error.message
    assert "team/os" not in error.message, "what one tenant asked for is nobody else's business"
    assert len(network.requests) == requests


async def test_registry_for_which_no_connection_came_free_is_not_blamed(
    network: Network, client: RegistryClient
) -> None:
    """Else a tenant whose registries hold every connection would shut those of all others."""
    network.serve("https://registry.test", raising(httpx.PoolTimeout("crowded")))
    for _ in range(2 * FAILURES):
        error = await ask(client)
        assert not isinstance(error, RegistryUnreachableError)
        assert isinstance(error, TransientError)
        assert "no connection came free" in error.message


@pytest.mark.parametrize("status", [401, 403, 404, 400, 418, 429, 501])
async def test_what_a_registry_denies_opens_nothing(network: Network, client: RegistryClient, status: int) -> None:
    network.serve("https://registry.test", answering(status, **{"Retry-After": "0"} if status == 429 else {}))
    for _ in range(2 * FAILURES):
        assert not isinstance(await ask(client), CircuitOpenError)


async def test_certificates_and_addresses_open_nothing(network: Network, client: RegistryClient) -> None:
    network.serve("https://registry.test", raising(httpx.RemoteProtocolError("no HTTP")))
    for _ in range(2 * FAILURES):
        assert not isinstance(await ask(client), CircuitOpenError)


async def test_an_answer_in_between_starts_the_count_anew(network: Network, client: RegistryClient) -> None:
    for _ in range(3):
        network.serve("https://registry.test", answering(500))
        for _ in range(FAILURES - 1):
            await ask(client)
        network.serve("https://registry.test", answering(404))
        await ask(client)
    network.serve("https://registry.test", answering(500))
    assert not isinstance(await ask(client), CircuitOpenError)


async def test_one_image_whose_blobs_are_broken_does_not_speak_for_its_registry(
    client: RegistryClient, registry: FakeRegistry
) -> None:
    layers = [Blob(content=str(number).encode(), media_type=OCI_LAYER) for number in range(2 * FAILURES)]
    registry.put(SampleImage(layers=layers), "team/os", "1.0")
    registry.fail(server_error(), kind="blob", method="HEAD")
    image = Reference.parse("registry.test/team/os:1.0")
    with pytest.raises(CatalogError):
        await client.inspect(image, deep=True)
    assert len(registry.requests) > FAILURES
    assert client.refusal(image) is None


async def test_repositories_that_fail_do_not_speak_for_a_registry_that_answers(
    network: Network, client: RegistryClient
) -> None:
    """A tenant may have a repository there that is a proxy of a server of his, and as many images in it as he likes."""

    def serve(request: httpx.Request) -> httpx.Response:
        if "/v2/proxy/" in request.url.path:
            raise httpx.ReadTimeout("late")
        return httpx.Response(401 if request.url.path == "/v2/" else 404)

    network.serve("https://registry.test", serve)
    for number in range(4 * FAILURES):
        assert not isinstance(await ask(client, f"registry.test/proxy/os:{number}"), CircuitOpenError)
    assert network.asked().count("GET registry.test/v2/") == 4
    assert (await ask(client)).reason == "ImageNotFound"
    assert client.circuits.take_opened() == []


async def test_repositories_that_fail_do_not_keep_a_registry_shut_that_is_back(
    network: Network, client: RegistryClient, clock: StillClock
) -> None:
    await open_circuit(client, network)
    clock.now += RECOVERY
    network.serve("https://registry.test", lambda r: httpx.Response(200 if r.url.path == "/v2/" else 500))
    assert not isinstance(await ask(client), CircuitOpenError)
    assert client.refusal(Reference.parse("registry.test/team/os:1.0")) is None


async def test_another_registry_has_a_circuit_of_its_own(network: Network, client: RegistryClient) -> None:
    await open_circuit(client, network)
    assert not isinstance(await ask(client, "another.test/team/os:1.0"), CircuitOpenError)


class TestHalfOpen:
    async def test_one_request_tries_again_after_the_recovery_time(
        self, network: Network, client: RegistryClient, clock: StillClock
    ) -> None:
        await open_circuit(client, network)
        clock.now += RECOVERY - timedelta(seconds=1)
        assert isinstance(await ask(client), CircuitOpenError)
        clock.advance(seconds=1)
        assert not isinstance(await ask(client), CircuitOpenError)
        assert isinstance(await ask(client), CircuitOpenError)
        assert network.asked() == ["GET registry.test/v2/team/os/manifests/1.0", "GET registry.test/v2/"]

    async def test_its_success_closes_it(self, network: Network, client: RegistryClient, clock: StillClock) -> None:
        await open_circuit(client, network)
        clock.now += RECOVERY
        network.serve("https://registry.test", answering(404))
        for _ in range(3):
            assert (await ask(client)).reason == "ImageNotFound"

    async def test_while_it_is_under_way_all_others_wait(
        self, network: Network, client: RegistryClient, clock: StillClock
    ) -> None:
        await open_circuit(client, network)
        clock.now += RECOVERY
        arrived, released = asyncio.Event(), asyncio.Event()

        async def serve(_: httpx.Request) -> httpx.Response:
            arrived.set()
            await released.wait()
            return httpx.Response(404)

        network.serve("https://registry.test", serve)
        trying = asyncio.create_task(ask(client))
        async with asyncio.timeout(5):
            await arrived.wait()
            assert isinstance(await ask(client), CircuitOpenError)
            released.set()
            assert (await trying).reason == "ImageNotFound"
            assert (await ask(client)).reason == "ImageNotFound"

    async def test_one_that_was_given_up_lets_another_try(
        self, network: Network, client: RegistryClient, clock: StillClock
    ) -> None:
        await open_circuit(client, network)
        clock.now += RECOVERY
        arrived = asyncio.Event()

        async def serve(_: httpx.Request) -> httpx.Response:
            arrived.set()
            await asyncio.Event().wait()
            raise AssertionError

        network.serve("https://registry.test", serve)
        trying = asyncio.create_task(client.inspect(Reference.parse("registry.test/team/os:1.0")))
        async with asyncio.timeout(5):
            await arrived.wait()
        trying.cancel()
        await asyncio.gather(trying, return_exceptions=True)
        network.serve("https://registry.test", answering(404))
        assert (await ask(client)).reason == "ImageNotFound"

    async def test_a_probe_asks_whatever_the_circuit_says_and_closes_it(
        self, network: Network, client: RegistryClient
    ) -> None:
        await open_circuit(client, network)
        network.serve("https://registry.test", answering(401))
        await client.probe("registry.test")
        assert network.asked() == ["GET registry.test/v2/"]
        assert not isinstance(await ask(client), CircuitOpenError)


class TestOtherHosts:
    async def test_a_dead_token_server_is_left_alone_and_the_registry_is_not(
        self, network: Network, client: RegistryClient
    ) -> None:
        challenge = 'Bearer realm="https://auth.test/token",service="registry.test"'
        network.serve("https://registry.test", answering(401, **{"WWW-Authenticate": challenge}))
        for _ in range(2 * FAILURES):
            await ask(client)
        asked = network.asked()
        assert asked.count("GET auth.test/token") == FAILURES
        assert client.refusal(Reference.parse("registry.test/team/os:1.0")) is None
        assert client.circuits.take_opened() == []

    async def test_a_registry_cannot_have_another_ones_token_server_left_alone(
        self, network: Network, client: RegistryClient
    ) -> None:
        challenge = 'Bearer realm="https://auth.test/token",service="x"'
        for host in ("hostile.test", "registry.test"):
            network.serve(f"https://{host}", answering(401, **{"WWW-Authenticate": challenge}))
        for _ in range(2 * FAILURES):
            await ask(client, "hostile.test/team/os:1.0")
        network.requests.clear()
        await ask(client)
        assert "GET auth.test/token" in network.asked()


class TestCrowd:
    async def test_requests_that_wait_for_their_turn_are_not_made_any_more(
        self, network: Network, hosts: HostPolicy, clock: StillClock, rule: Rule
    ) -> None:
        hosts.replace([rule("registry.test", limits={"maxConcurrentRequests": 2})])
        network.serve("https://registry.test", raising(httpx.ConnectError("down")))
        async with RegistryClient.create(hosts=hosts, connect=network.connect, now=clock) as client:
            errors = await asyncio.gather(*(ask(client, f"registry.test/team/os:{n}") for n in range(50)))
        images = [request for request in network.requests if request.url.path != "/v2/"]
        assert len(images) <= FAILURES + 1
        assert sum(isinstance(error, CircuitOpenError) for error in errors) == 50 - len(images)
        assert len(network.requests) == len(images) + 1


class TestTold:
    """What a CatalogRegistry's status says holds for every process."""

    @staticmethod
    def status(**fields: Any) -> dict[str, Any]:
        return {"circuit": "Open", "circuitSince": "2026-01-01T00:00:00Z", "observedGeneration": 0, **fields}

    def told(self, rule: Rule, **status: Any) -> CatalogRegistry:
        made = rule("registry.test").to_dict()
        return CatalogRegistry.model_validate({**made, "status": self.status(**status)})

    async def test_open_means_no_request(
        self, network: Network, hosts: HostPolicy, client: RegistryClient, rule: Rule
    ) -> None:
        reachable = {
            "type": "Reachable",
            "status": "False",
            "reason": "RegistryUnreachable",
            "message": "nobody is there",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        hosts.replace([self.told(rule, lastProbeTime="2025-12-31T23:59:00Z", conditions=[reachable])])
        error = await ask(client)
        assert isinstance(error, CircuitOpenError)
        assert "last probe at 2025-12-31T23:59:00Z: nobody is there" in error.message
        assert not network.requests

    @pytest.mark.parametrize(
        "status",
        [
            pytest.param({"circuit": "Closed"}, id="closed"),
            pytest.param({"circuitSince": "2025-12-31T23:55:00Z"}, id="not renewed for five minutes"),
            pytest.param({"circuitSince": None}, id="without a time"),
            pytest.param({"observedGeneration": 7}, id="of another spec"),
        ],
    )
    async def test_anything_else_does_not(
        self, hosts: HostPolicy, client: RegistryClient, rule: Rule, status: dict[str, Any]
    ) -> None:
        hosts.replace([self.told(rule, **status)])
        assert not isinstance(await ask(client), CircuitOpenError)

    async def test_a_probe_renews_it(
        self, hosts: HostPolicy, client: RegistryClient, rule: Rule, clock: StillClock
    ) -> None:
        clock.advance(hours=3)
        hosts.replace([self.told(rule, lastProbeTime="2026-01-01T02:59:00Z")])
        assert isinstance(await ask(client), CircuitOpenError)

    async def test_a_probe_of_another_process_closes_what_opened_here(
        self, network: Network, hosts: HostPolicy, client: RegistryClient, rule: Rule, clock: StillClock
    ) -> None:
        await open_circuit(client, network)
        clock.advance(seconds=10)
        hosts.replace([self.told(rule, circuit="Closed", lastProbeTime="2026-01-01T00:00:05Z")])
        assert not isinstance(await ask(client), CircuitOpenError)


class TestTelling:
    async def test_what_opened_here_is_told_once(self, network: Network, client: RegistryClient) -> None:
        await open_circuit(client, network)
        (opened,) = client.circuits.take_opened()
        assert (opened.registry, opened.at) == ("registry.test", datetime(2026, 1, 1, tzinfo=UTC))
        assert client.circuits.take_opened() == []

    async def test_the_metric_follows(self, network: Network, client: RegistryClient, clock: StillClock) -> None:
        network.serve("https://shown.test", answering(500))
        name = "shown.test/team/os:1.0"
        for _ in range(FAILURES):
            await ask(client, name)
        assert shown("shown.test") == 2
        clock.now += RECOVERY
        network.serve("https://shown.test", lambda _: httpx.Response(404 if shown("shown.test") == 1 else 500))
        assert (await ask(client, name)).reason == "ImageNotFound"
        assert shown("shown.test") == 0

    async def test_the_metric_forgets_what_nobody_has_looked_at_since(
        self, network: Network, client: RegistryClient, clock: StillClock
    ) -> None:
        """A process that publishes may not ask that registry again for days."""
        await open_circuit(client, network)
        assert shown("registry.test") == 2
        clock.now += RECOVERY
        assert shown("registry.test") == 1, "the next request decides"
        clock.advance(minutes=13)
        assert shown("registry.test") == 1, "an entry is due after ten minutes, more or less"
        clock.advance(minutes=2)
        assert shown("registry.test") == 0

    async def test_the_metric_believes_whoever_probes(
        self, network: Network, hosts: HostPolicy, client: RegistryClient, rule: Rule, clock: StillClock
    ) -> None:
        def told(**status: Any) -> list[CatalogRegistry]:
            status = {"observedGeneration": 0, "lastProbeTime": "2025-12-31T23:59:30Z", **status}
            return [CatalogRegistry.model_validate({**rule("registry.test").to_dict(), "status": status})]

        hosts.replace(told(circuit="Closed"))
        await open_circuit(client, network)
        assert shown("registry.test") == 2
        hosts.replace(told(circuit="Open", circuitSince="2026-01-01T00:00:00Z"))
        clock.advance(minutes=4)
        assert shown("registry.test") == 2
        clock.advance(minutes=1)
        assert shown("registry.test") == 0, "nobody has renewed what the status said"
        clock.now = datetime(2026, 1, 1, 0, 0, 10, tzinfo=UTC)
        hosts.replace(told(circuit="Closed", lastProbeTime="2026-01-01T00:00:05Z"))
        assert shown("registry.test") == 0, "it was found well while this process did nothing"
