import asyncio
import socket
import ssl
import time
from pathlib import Path

import httpx
import pytest
import trustme
from starlette.types import Receive, Scope, Send

from image_catalog.errors import PermanentError
from image_catalog.local.registry import EmbeddedRegistry, SampleImage
from image_catalog.local.serving import LoopbackServer, close_connection

ACCEPT = {"Accept": "application/vnd.oci.image.manifest.v1+json"}


async def test_a_registry_serves_what_was_pushed_to_it(tmp_path: Path) -> None:
    image = SampleImage()
    async with EmbeddedRegistry(tmp_path) as registry:
        await image.push(registry.url, "team/os", "1.0")
        async with httpx.AsyncClient(base_url=registry.url) as client:
            response = await client.get("/v2/team/os/manifests/1.0", headers=ACCEPT)
    assert response.content == image.manifest
    assert "server" not in response.headers


async def test_a_registry_that_stops_comes_back_at_the_same_address_with_its_content(tmp_path: Path) -> None:
    registry = EmbeddedRegistry(tmp_path)
    await registry.start()
    url = registry.url
    await SampleImage().push(url, "team/os", "1.0")
    await registry.stop()
    assert not registry.running
    async with httpx.AsyncClient(base_url=url) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("/v2/")
        await registry.start()
        assert registry.url == url
        assert (await client.head("/v2/team/os/manifests/1.0", headers=ACCEPT)).status_code == 200
    await registry.stop()
    await registry.stop()


async def test_tls_is_trusted_by_its_authority_and_nobody_else(tmp_path: Path) -> None:
    authority = trustme.CA()
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with EmbeddedRegistry(tmp_path, certificate=authority) as registry:
        assert registry.url.startswith("https://127.0.0.1:")
        async with httpx.AsyncClient(verify=trusting) as client:
            assert (await client.get(f"{registry.url}/v2/")).status_code == 200
        async with httpx.AsyncClient() as client:
            with pytest.raises(httpx.ConnectError):
                await client.get(f"{registry.url}/v2/")


async def test_a_stop_does_not_wait_for_requests_that_hang() -> None:
    reached = asyncio.Event()

    async def hang(_scope: Scope, _receive: Receive, _send: Send) -> None:
        reached.set()
        await asyncio.Event().wait()

    async with LoopbackServer(hang) as server, httpx.AsyncClient() as client:
        asked = asyncio.create_task(client.get(server.url))
        await asyncio.wait_for(reached.wait(), timeout=5)
        started = time.monotonic()
        await server.stop()
        assert time.monotonic() - started < 1
        with pytest.raises(httpx.RemoteProtocolError):
            await asked


async def test_a_stop_does_not_wait_for_idle_connections(tmp_path: Path) -> None:
    async with EmbeddedRegistry(tmp_path) as registry, httpx.AsyncClient() as client:
        await client.get(f"{registry.url}/v2/")
        started = time.monotonic()
        await registry.stop()
        assert time.monotonic() - started < 1


async def test_an_application_can_drop_its_connection() -> None:
    async def drop(scope: Scope, receive: Receive, _send: Send) -> None:
        close = close_connection(scope)
        assert close is not None
        close()
        while (await receive())["type"] != "http.disconnect":
            pass

    async with LoopbackServer(drop) as server, httpx.AsyncClient() as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(server.url)


async def test_a_cancelled_request_of_a_running_server_stays_cancelled() -> None:
    async def cancelled(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise asyncio.CancelledError

    async with LoopbackServer(cancelled) as server, httpx.AsyncClient() as client:
        assert (await client.get(server.url)).status_code == 500


async def test_a_port_that_is_taken_is_an_error_at_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        registry = EmbeddedRegistry(tmp_path, port=port)
        with pytest.raises(PermanentError, match=f"port {port} of 127.0.0.1 is taken: choose another one"):
            await registry.start()


def test_a_free_port_is_not_known_before_the_start(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="once the server has started"):
        _ = EmbeddedRegistry(tmp_path).url


async def test_a_server_that_hangs_answers_when_it_goes_on(tmp_path: Path) -> None:
    async with EmbeddedRegistry(tmp_path) as registry, httpx.AsyncClient(base_url=registry.url) as client:
        registry.freeze()
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/v2/", timeout=0.05)
        waiting = asyncio.create_task(client.get("/v2/"))
        registry.thaw()
        assert (await waiting).status_code == 200


async def test_a_server_that_breaks_its_connections_serves_the_next() -> None:
    reached, release = asyncio.Event(), asyncio.Event()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        reached.set()
        await release.wait()
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    server = LoopbackServer(app)
    assert server.drop_connections() == 0
    async with server, httpx.AsyncClient(base_url=server.url) as client:
        broken = asyncio.create_task(client.get("/"))
        await reached.wait()
        assert server.drop_connections() == 1
        with pytest.raises(httpx.TransportError):
            await broken
        release.set()
        assert (await client.get("/")).status_code == 204
