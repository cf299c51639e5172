"""Connections of one server cost the requests to another nothing, and are closed when nobody needs them."""

from __future__ import annotations

import time

import httpx
import pytest
from starlette.responses import Response

from image_catalog.local.serving import LoopbackServer
from image_catalog.registry import connect
from image_catalog.registry.hosts import Security
from image_catalog.registry.pools import PoolPerServer
from image_catalog.testing.simulation.virtual_time import VirtualLoop, run_virtually

IDLE = 30.0


class Pool(httpx.AsyncBaseTransport):
    """A pool that tells what becomes of it."""

    def __init__(self) -> None:
        self.asked = 0
        self.closed = False
        self.breaks = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert not self.closed
        self.asked += 1
        if self.breaks:
            raise httpx.ConnectError("refused", request=request)
        return httpx.Response(200, stream=httpx.ByteStream(b"body"))

    async def aclose(self) -> None:
        assert not self.closed
        self.closed = True


class Pools:
    """The pools that were made, and whoever sends requests over them."""

    def __init__(self, kept: int = 1024) -> None:
        self.made: list[Pool] = []
        self.transport = PoolPerServer(self._make, idle_seconds=IDLE, kept=kept)

    async def begin(self, url: str) -> httpx.Response:
        return await self.transport.handle_async_request(httpx.Request("GET", url))

    async def get(self, url: str) -> bytes:
        answer = await self.begin(url)
        try:
            return await answer.aread()
        finally:
            await answer.aclose()

    def _make(self) -> Pool:
        self.made.append(Pool())
        return self.made[-1]


async def test_each_server_has_its_own() -> None:
    pools = Pools()
    for url in ("https://a.test/x", "https://a.test/y", "https://a.test:8443/x", "http://a.test/x", "https://b.test/"):
        assert await pools.get(url) == b"body"
    assert [pool.asked for pool in pools.made] == [2, 1, 1, 1]
    await pools.transport.aclose()
    assert all(pool.closed for pool in pools.made)


def test_one_that_nobody_has_used_for_a_while_is_closed() -> None:
    async def work(loop: VirtualLoop) -> list[bool]:
        pools = Pools()
        held = await pools.begin("https://held.test/")
        await pools.get("https://old.test/")
        loop.seconds += IDLE / 2
        await pools.get("https://young.test/")
        loop.seconds += IDLE / 2 + 1
        await pools.get("https://new.test/")
        states = [pool.closed for pool in pools.made]
        assert await held.aread() == b"body"
        await held.aclose()
        await pools.get("https://old.test/")
        assert len(pools.made) == 5
        await pools.transport.aclose()
        return states

    assert run_virtually(work) == [False, True, False, False]


async def test_of_those_that_nobody_uses_there_are_not_more_than_are_kept() -> None:
    pools = Pools(kept=2)
    for name in "abcde":
        await pools.get(f"https://{name}.test/")
    assert [pool.closed for pool in pools.made] == [True, True, False, False, False]
    await pools.transport.aclose()


@pytest.mark.parametrize("breaks", [False, True], ids=["answered", "failed"])
async def test_one_that_is_let_go_twice_is_let_go_once(*, breaks: bool) -> None:
    pools = Pools(kept=0)
    await pools.get("https://a.test/")
    (pool,) = pools.made
    pool.breaks = breaks
    if breaks:
        with pytest.raises(httpx.ConnectError):
            await pools.begin("https://a.test/")
    else:
        answer = await pools.begin("https://a.test/")
        await answer.aclose()
        await answer.stream.aclose()  # type: ignore[union-attr]  # as a caller that closes again would
    await pools.get("https://b.test/")
    assert [pool.closed for pool in pools.made] == [True, False]


@pytest.mark.story
async def test_request_takes_no_longer_because_many_others_were_asked_a_moment_ago() -> None:
    """Whoever owns a domain has as many registries as he likes: with two hundred, it was twenty times as long."""

    async def look_up(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    async with LoopbackServer(Response("here")) as server:
        transport = connect(Security(allow_private=True), resolver=look_up)
        port = server.host.rpartition(":")[2]

        async def get(host: str) -> float:
            begun = time.process_time()
            answer = await transport.handle_async_request(httpx.Request("GET", f"http://{host}:{port}/"))
            await answer.aread()
            await answer.aclose()
            return time.process_time() - begun

        alone = min([await get("well.test") for _ in range(20)])
        for number in range(200):
            await get(f"r{number}.other.test")
        beside = min([await get("well.test") for _ in range(20)])
        await transport.aclose()
    assert beside < 5 * alone
