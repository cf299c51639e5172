"""Connections over real sockets: addresses, certificates, and servers that hang, drip or hang up."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import httpcore
import pytest
import trustme
from starlette.types import ASGIApp, Receive, Scope, Send

from image_catalog.errors import (
    CatalogError,
    HostNotAllowedError,
    ManifestInvalidError,
    RegistryFaultError,
    RegistryUnreachableError,
    TLSVerificationError,
)
from image_catalog.local.registry import SampleImage
from image_catalog.models import CatalogRegistry, Reference
from image_catalog.registry import HostPolicy, RegistryClient, connect
from image_catalog.registry.connections import GuardedBackend
from image_catalog.registry.limits import HEADER_BYTES, MANIFEST_BYTES, Timeouts
from image_catalog.testing.registry import BearerAuth, FakeRegistry
from image_catalog.testing.registry_faults import Oversized, gzip_body

PINNED = "sha256:" + "a" * 64
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def names(*addresses: str) -> Callable[[str, int], Awaitable[Sequence[str]]]:
    async def look_up(_: str, __: int) -> Sequence[str]:
        return addresses

    return look_up


@asynccontextmanager
async def server(serve: Serve) -> AsyncIterator[str]:
    """Serve raw bytes on loopback and yield ``host:port``."""
    done = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            done.set()

    listening = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with listening:
        yield f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"


@pytest.fixture
async def plain(rule: Callable[..., CatalogRegistry]) -> AsyncIterator[Callable[[str], RegistryClient]]:
    """Make clients for a plain http registry on loopback, with little patience."""
    clients: list[RegistryClient] = []

    def make(host: str) -> RegistryClient:
        policy = HostPolicy([rule(host, tls={"plainHTTP": True}, allowPrivateNetworks=True)])
        patience = Timeouts(timedelta(seconds=1), timedelta(seconds=0.3), timedelta(seconds=0.6))
        clients.append(RegistryClient.create(hosts=policy, timeouts=patience))
        return clients[-1]

    yield make
    for client in clients:
        await client.aclose()


def pinned(host: str) -> Reference:
    return Reference.parse(f"{host}/team/os@{PINNED}")


class Wire(httpcore.AsyncMockBackend):
    """A backend that writes down where it was told to connect."""

    def __init__(self, *, dead: Sequence[str] = ()) -> None:
        super().__init__([])
        self.asked: list[str] = []
        self.dead = dead

    async def connect_tcp(self, host: str, *_: object, **__: object) -> httpcore.AsyncNetworkStream:
        self.asked.append(host)
        if host in self.dead:
            raise httpcore.ConnectError("dead")
        return httpcore.AsyncMockStream([])


async def test_connection_goes_to_the_address_that_was_checked() -> None:
    wire = Wire()
    backend = GuardedBackend(allow_private=False, resolver=names("8.8.8.8"), backend=wire)
    await backend.connect_tcp("registry.test", 443)
    assert wire.asked == ["8.8.8.8"]


@pytest.mark.parametrize(
    ("addresses", "allow_private"),
    [
        pytest.param(["127.0.0.1"], False, id="loopback"),
        pytest.param(["10.0.0.1", "::1"], False, id="private"),
        pytest.param(["169.254.169.254"], True, id="metadata-service-even-if-private-is-allowed"),
        pytest.param(["fe80::1", "224.0.0.1"], True, id="link-local-and-multicast"),
        pytest.param(["::ffff:169.254.169.254"], True, id="mapped"),
    ],
)
async def test_forbidden_addresses_are_not_connected_to(addresses: list[str], *, allow_private: bool) -> None:
    wire = Wire()
    backend = GuardedBackend(allow_private=allow_private, resolver=names(*addresses), backend=wire)
    with pytest.raises(HostNotAllowedError, match=r"registry\.test"):
        await backend.connect_tcp("registry.test", 443)
    assert wire.asked == []


async def test_only_permitted_addresses_of_a_name_are_tried_in_turn() -> None:
    wire = Wire(dead=["2606:4700::1"])
    addresses = ["127.0.0.1", "2606:4700::1", "169.254.169.254", "8.8.8.8", "1.1.1.1"]
    backend = GuardedBackend(allow_private=False, resolver=names(*addresses), backend=wire)
    await backend.connect_tcp("registry.test", 443, timeout=1)
    assert wire.asked == ["2606:4700::1", "8.8.8.8"]
    with pytest.raises(httpcore.ConnectError, match="dead"):
        await GuardedBackend(
            allow_private=False, resolver=names("8.8.8.8"), backend=Wire(dead=["8.8.8.8"])
        ).connect_tcp("registry.test", 443)


async def test_name_without_an_address_cannot_be_reached() -> None:
    backend = GuardedBackend(allow_private=False, resolver=names(), backend=Wire())
    with pytest.raises(httpcore.ConnectError, match="no address"):
        await backend.connect_tcp("registry.test", 443)
    with pytest.raises(httpcore.ConnectError, match="resolved"):
        await GuardedBackend(allow_private=False).connect_tcp("name.invalid", 443)
    with pytest.raises(httpcore.ConnectError, match="resolved"):
        await GuardedBackend(allow_private=False).connect_tcp("a" * 64 + ".test", 443)


async def test_slow_resolver_is_given_up() -> None:
    async def never(_: str, __: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    with pytest.raises(httpcore.ConnectTimeout):
        await GuardedBackend(allow_private=False, resolver=never).connect_tcp("registry.test", 443, timeout=0.01)


async def test_private_address_needs_leave_for_its_very_host(rule: Callable[..., CatalogRegistry]) -> None:
    hosts = HostPolicy([rule("127.0.0.1:1", allowPrivateNetworks=True)])
    async with RegistryClient.create(hosts=hosts) as client:
        with pytest.raises(RegistryUnreachableError, match="refused"):
            await client.inspect(pinned("127.0.0.1:1"))
        with pytest.raises(HostNotAllowedError, match="allowPrivateNetworks"):
            await client.inspect(pinned("127.0.0.1:2"))


async def test_rebinding_a_name_gains_nothing(rule: Callable[..., CatalogRegistry]) -> None:
    """A name that is public once and private after that is refused when it is connected to again."""
    answers = iter([["127.0.0.1"], ["169.254.169.254"]])

    async def look_up(_: str, __: int) -> Sequence[str]:
        return next(answers)

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async with server(hang_up) as host:
        name = f"rebind.test:{host.rpartition(':')[2]}"
        hosts = HostPolicy([rule(name, tls={"plainHTTP": True}, allowPrivateNetworks=True)])
        async with RegistryClient.create(hosts=hosts, connect=partial(connect, resolver=look_up)) as client:
            assert (await client.inspect(pinned(name), known=PINNED)).unchanged
            with pytest.raises(HostNotAllowedError, match="never"):
                await client.inspect(pinned(name))


async def test_certificates_are_checked(tmp_path: Path, rule: Callable[..., CatalogRegistry]) -> None:
    ca, registry = trustme.CA(), FakeRegistry(tmp_path, auth=BearerAuth())
    sample = SampleImage()
    registry.put(sample, "team/os", "1.0")
    async with registry.serve(certificate=ca):
        image = Reference.parse(f"{registry.host}/team/os:1.0")
        bundle = ca.cert_pem.bytes().decode()

        def client(**tls: object) -> RegistryClient:
            return RegistryClient.create(hosts=HostPolicy([rule(registry.host, allowPrivateNetworks=True, tls=tls)]))

        async with client(caBundle=bundle) as trusting:
            assert (await trusting.inspect(image)).resolved_digest == sample.digest
        async with client(insecureSkipVerify=True) as careless:
            assert (await careless.inspect(image)).resolved_digest == sample.digest
        async with client() as careful:
            with pytest.raises(TLSVerificationError, match="caBundle"):
                await careful.inspect(image)
        async with client(caBundle="no certificate") as broken:
            with pytest.raises(TLSVerificationError, match="PEM"):
                await broken.inspect(image)
        async with client(plainHTTP=True) as plain:
            with pytest.raises(CatalogError):
                await plain.inspect(image)


async def test_certificate_for_another_name_is_not_trusted(rule: Callable[..., CatalogRegistry]) -> None:
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("other.test").configure_cert(context)
    listening = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    host = f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    bundle = ca.cert_pem.bytes().decode()
    hosts = HostPolicy([rule(host, allowPrivateNetworks=True, tls={"caBundle": bundle})])
    async with listening, RegistryClient.create(hosts=hosts) as client:
        with pytest.raises(TLSVerificationError, match="127"):
            await client.inspect(pinned(host))


async def test_plain_http_where_tls_was_expected_is_told(rule: Callable[..., CatalogRegistry]) -> None:
    async def page(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with server(page) as host:
        hosts = HostPolicy([rule(host, allowPrivateNetworks=True)])
        async with RegistryClient.create(hosts=hosts) as client:
            with pytest.raises(RegistryUnreachableError, match="plainHTTP"):
                await client.inspect(pinned(host))


async def test_connection_that_was_closed_while_idle_is_replaced(plain: Callable[[str], RegistryClient]) -> None:
    served = 0
    closed = asyncio.Event()

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal served
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        served += 1
        # Closed when the next request is already on its way, which is when it hurts.
        await reader.readuntil(b"\r\n\r\n")
        closed.set()

    async with server(once) as host:
        client = plain(host)
        assert (await client.inspect(pinned(host), known=PINNED)).unchanged
        assert (await client.inspect(pinned(host), known=PINNED)).unchanged
    assert closed.is_set()
    assert served == 2


@pytest.mark.parametrize(
    ("said", "error"),
    [
        pytest.param(b"", RegistryFaultError, id="nothing"),
        pytest.param(b"SSH-2.0-OpenSSH\r\n", RegistryFaultError, id="another-protocol"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nX: " + b"x" * 2 * HEADER_BYTES + b"\r\n\r\n", RegistryFaultError, id="long-head"
        ),
        pytest.param(b"HTTP/1.1 99999999 OK\r\n\r\n", RegistryFaultError, id="status-that-is-none"),
        pytest.param(b"HTTP/1.1 500 No\r\nContent-Length: 50\r\n\r\nshort", CatalogError, id="body-cut-short"),
    ],
)
async def test_server_that_does_not_speak_http(
    plain: Callable[[str], RegistryClient], said: bytes, error: type[CatalogError]
) -> None:
    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        await writer.drain()

    async with server(say) as host:
        with pytest.raises(error, match=host):
            await plain(host).inspect(Reference.parse(f"{host}/team/os"))


async def test_server_that_hangs_is_unreachable(plain: Callable[[str], RegistryClient]) -> None:
    async def hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with server(hang) as host:
        with pytest.raises(RegistryUnreachableError, match="in time"):
            await plain(host).inspect(pinned(host))


async def test_server_that_drips_is_unreachable(plain: Callable[[str], RegistryClient]) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x")
            await writer.drain()
            try:
                # A byte within each read's patience, for ever.
                await asyncio.wait_for(reader.read(1), 0.05)
            except TimeoutError:
                continue
            break

    async with server(drip) as host:
        with pytest.raises(RegistryUnreachableError, match="in time"):
            await plain(host).inspect(Reference.parse(f"{host}/team/os"))


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "undeclared"])
async def test_manifest_that_is_too_large_is_not_read(
    tmp_path: Path, plain: Callable[[str], RegistryClient], *, declared: bool
) -> None:
    registry = FakeRegistry(tmp_path)
    async with registry.serve():
        registry.fail(Oversized(MANIFEST_BYTES + 1, declared=declared), kind="manifest")
        client = plain(registry.host)
        with pytest.raises(ManifestInvalidError, match="larger than"):
            await client.inspect(Reference.parse(f"{registry.host}/team/os"))


async def test_encoded_answer_is_refused(tmp_path: Path, plain: Callable[[str], RegistryClient]) -> None:
    registry = FakeRegistry(tmp_path)
    async with registry.serve():
        registry.put(SampleImage(), "team/os", "1.0")
        registry.fail(gzip_body())
        with pytest.raises(RegistryFaultError, match="encoded"):
            await plain(registry.host).inspect(Reference.parse(f"{registry.host}/team/os:1.0"))


async def test_requests_at_once_are_bounded(tmp_path: Path, rule: Callable[..., CatalogRegistry]) -> None:
    registry = FakeRegistry(tmp_path)
    most = 0

    class Meter:
        """Counts how many requests are under way."""

        def __init__(self) -> None:
            self.now = 0

        async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
            nonlocal most
            self.now += 1
            most = max(most, self.now)
            await app(scope, receive, send)
            self.now -= 1

    async with registry.serve():
        sample = SampleImage()
        registry.put(sample, "team/os", "1.0")
        registry.fail(Meter())
        limits = {"maxConcurrentRequests": 2}
        hosts = HostPolicy([rule(registry.host, tls={"plainHTTP": True}, allowPrivateNetworks=True, limits=limits)])
        image = Reference.parse(f"{registry.host}/team/os:1.0")
        async with RegistryClient.create(hosts=hosts) as client:
            looks = [client.inspect(image, known=sample.digest) for _ in range(12)]
            assert all(look.unchanged for look in await asyncio.gather(*looks))
    assert 1 <= most <= 2
