"""A watch survives what happens to watches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager

import orjson
import pytest

from image_catalog.cluster import (
    CONFIG_MAP,
    Bookmarked,
    Changed,
    ChangeType,
    Interrupted,
    KubernetesAPI,
    Relisted,
    Response,
    StreamingResponse,
    WatchItem,
)
from image_catalog.errors import ForbiddenError
from image_catalog.testing.cluster import Effect, InProcessCluster

NS = "team-a"


async def make(api: KubernetesAPI, name: str) -> None:
    await api.create(CONFIG_MAP, {"metadata": {"name": name}}, NS)


class Follower:
    """Reads a watch item by item, never waiting for ever."""

    def __init__(self, items: AsyncGenerator[WatchItem]) -> None:
        self._items = items

    async def next(self) -> WatchItem:
        async with asyncio.timeout(5):
            return await anext(self._items)


@asynccontextmanager
async def following(api: KubernetesAPI, *, resource_version: str | None = None) -> AsyncIterator[Follower]:
    async with aclosing(api.watch(CONFIG_MAP, NS, resource_version=resource_version)) as items:
        yield Follower(items)


def names(item: WatchItem) -> list[str]:
    assert isinstance(item, Relisted)
    return [found["metadata"]["name"] for found in item.objects]


def change(item: WatchItem) -> tuple[ChangeType, str]:
    assert isinstance(item, Changed), item
    return item.type, item.object["metadata"]["name"]


async def test_list_comes_first_then_every_change(api: KubernetesAPI) -> None:
    await make(api, "a")
    async with following(api) as watch:
        first = await watch.next()
        assert names(first) == ["a"]
        assert isinstance(first, Relisted)
        assert (first.first, first.last) == (True, True)
        pending = asyncio.create_task(watch.next())
        await make(api, "b")
        assert change(await pending) == (ChangeType.ADDED, "b")
        await api.patch(CONFIG_MAP, "b", NS, {"data": {"k": "v"}})
        assert change(await watch.next()) == (ChangeType.MODIFIED, "b")
        await api.delete(CONFIG_MAP, "a", NS)
        assert change(await watch.next()) == (ChangeType.DELETED, "a")


async def test_long_list_comes_in_pages(cluster: InProcessCluster) -> None:
    api = cluster.api(page_size=1)
    await make(api, "a")
    await make(api, "b")
    async with following(api) as watch:
        pages = [await watch.next(), await watch.next(), await watch.next()]
    assert [names(page) for page in pages] == [["a"], ["b"], []]
    ends = [(page.first, page.last) for page in pages if isinstance(page, Relisted)]
    assert ends == [(True, False), (False, False), (False, True)]


async def test_nothing_is_missed_over_a_broken_connection(cluster: InProcessCluster, api: KubernetesAPI) -> None:
    async with following(api) as watch:
        assert names(await watch.next()) == []
        pending = asyncio.create_task(watch.next())
        await make(api, "a")
        assert change(await pending) == (ChangeType.ADDED, "a")
        cluster.disconnect_watches()
        assert isinstance(await watch.next(), Interrupted)
        assert isinstance(await watch.next(), Bookmarked)
        await make(api, "b")
        assert change(await watch.next()) == (ChangeType.ADDED, "b")


async def test_server_that_cannot_be_reached_is_tried_again(cluster: InProcessCluster, api: KubernetesAPI) -> None:
    cluster.fail(Effect.UNAVAILABLE, verb="watch")
    cluster.fail(Effect.INTERNAL, verb="watch", nth=2)
    cluster.fail(Effect.TIMEOUT_BEFORE, verb="watch", nth=4)
    async with following(api) as watch:
        assert isinstance(await watch.next(), Interrupted)
        assert isinstance(await watch.next(), Interrupted)
        assert names(await watch.next()) == []
        cluster.disconnect_watches()
        assert isinstance(await watch.next(), Interrupted)
        assert isinstance(await watch.next(), Interrupted)
        assert isinstance(await watch.next(), Bookmarked)
        pending = asyncio.create_task(watch.next())
        await make(api, "a")
        assert change(await pending) == (ChangeType.ADDED, "a")


async def test_expired_version_lists_again(cluster: InProcessCluster, api: KubernetesAPI) -> None:
    await make(api, "a")
    async with following(api) as watch:
        assert names(await watch.next()) == ["a"]
        cluster.fail(Effect.GONE, verb="watch")
        cluster.end_watches()
        assert names(await watch.next()) == ["a"]


async def test_version_that_expires_under_an_open_watch_lists_again(
    cluster: InProcessCluster, api: KubernetesAPI
) -> None:
    async with following(api) as watch:
        assert names(await watch.next()) == []
        pending = asyncio.create_task(watch.next())
        await make(api, "a")
        assert change(await pending) == (ChangeType.ADDED, "a")
        cluster.expire_watches()
        assert names(await watch.next()) == ["a"]


async def test_watch_goes_on_from_a_version(api: KubernetesAPI) -> None:
    await make(api, "a")
    pages = [page async for page in api.pages(CONFIG_MAP, NS)]
    await make(api, "b")
    async with following(api, resource_version=pages[0].resource_version) as watch:
        assert change(await watch.next()) == (ChangeType.ADDED, "b")


async def test_denied_watch_ends(cluster: InProcessCluster, api: KubernetesAPI) -> None:
    cluster.fail(Effect.FORBIDDEN, verb="watch")
    async with following(api) as watch:
        with pytest.raises(ForbiddenError, match="watch configmaps in namespace team-a"):
            await watch.next()


async def nothing() -> AsyncIterator[bytes]:
    for line in list[bytes]():
        yield line


class ScriptedServer:
    """Answers each watch with the lines that it was told, streams no list, and lists nothing."""

    def __init__(self, *streams: list[bytes]) -> None:
        self._streams = list(streams)
        self.versions: list[str] = []
        self.refusals = 0

    async def request(self, *_args: object, **_options: object) -> Response:
        return Response(200, {}, b'{"metadata": {"resourceVersion": "1"}, "items": []}')

    @asynccontextmanager
    async def stream(
        self, path: str, *, query: Mapping[str, str] | None = None, **_options: object
    ) -> AsyncIterator[StreamingResponse]:
        assert query is not None, path
        if "sendInitialEvents" in query:
            yield StreamingResponse(422, {}, nothing())
            return
        self.versions.append(query["resourceVersion"])
        if self.refusals:
            self.refusals -= 1
            yield StreamingResponse(410, {}, nothing())
            return
        lines = self._streams.pop(0) if self._streams else []

        async def each() -> AsyncIterator[bytes]:
            for line in lines:
                yield line

        yield StreamingResponse(200, {}, each())

    async def close(self) -> None:
        """Nothing is open."""


def scripted(*streams: list[bytes]) -> tuple[ScriptedServer, KubernetesAPI]:
    server = ScriptedServer(*streams)
    return server, KubernetesAPI(transport=server)


def event(kind: str, version: int) -> bytes:
    metadata = {"name": "a", "resourceVersion": str(version)}
    return orjson.dumps({"type": kind, "object": {"metadata": metadata}})


async def test_watch_that_ends_as_announced_goes_on_from_its_last_version() -> None:
    server, api = scripted([event("ADDED", 7)], [event("BOOKMARK", 20)], [event("MODIFIED", 21)])
    async with following(api) as watch:
        assert names(await watch.next()) == []
        assert change(await watch.next()) == (ChangeType.ADDED, "a")
        assert await watch.next() == Bookmarked("20")
        assert change(await watch.next()) == (ChangeType.MODIFIED, "a")
    assert server.versions == ["1", "7", "20"]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b'{"type": "ADDED", "obj', id="cut short"),
        pytest.param(b'{"type": "RENAMED", "object": {"metadata": {"resourceVersion": "9"}}}', id="unknown type"),
        pytest.param(b'{"type": "ADDED", "object": {}}', id="without metadata"),
        pytest.param(b'{"type": "ERROR", "object": {"kind": "Status", "code": 500, "message": "m"}}', id="error 500"),
        pytest.param(b'{"type": "ERROR", "object": {"kind": "Status", "code": 400, "message": "m"}}', id="error 400"),
        pytest.param(b'{"type": "ERROR", "object": {"kind": "Status", "message": "m"}}', id="error without a code"),
    ],
)
async def test_event_that_makes_no_sense_ends_the_connection_not_the_watch(line: bytes) -> None:
    server, api = scripted([event("ADDED", 7), line], [event("MODIFIED", 8)])
    async with following(api) as watch:
        assert names(await watch.next()) == []
        assert change(await watch.next()) == (ChangeType.ADDED, "a")
        assert isinstance(await watch.next(), Interrupted)
        assert isinstance(await watch.next(), Bookmarked)
        assert change(await watch.next()) == (ChangeType.MODIFIED, "a")
    assert server.versions == ["1", "7"]


async def test_server_that_ends_every_watch_at_once_is_not_asked_in_a_tight_loop() -> None:
    server, api = scripted()
    async with following(api) as watch:
        assert names(await watch.next()) == []
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await watch.next()
    assert 2 <= len(server.versions) <= 6


async def test_version_that_is_too_old_for_a_connection_lists_again() -> None:
    server, api = scripted()
    server.refusals = 1
    async with following(api, resource_version="3") as watch:
        assert names(await watch.next()) == []
    assert server.versions == ["3"]


async def test_cancelled_watch_closes_its_connection(cluster: InProcessCluster, api: KubernetesAPI) -> None:
    opened = asyncio.Event()

    async def follow() -> None:
        async with following(api) as watch:
            await watch.next()
            opened.set()
            await watch.next()

    task = asyncio.create_task(follow())
    await opened.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cluster.open_watches == 0
