"""A watch begins with its list where the API server has that, and lists in pages where it has not."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from enum import Enum
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from image_catalog.cluster._failures import Operation
from image_catalog.cluster._watch import Watch
from image_catalog.errors import ClusterUnavailableError
from image_catalog.testing.cluster import Effect, InProcessCluster

NS = "team-a"


class Hasty(random.Random):
    """Waits for nothing."""

    def uniform(self, a: float, b: float) -> float:
        del a, b
        return 0.0


async def soon(items: AsyncGenerator[WatchItem]) -> WatchItem:
    async with asyncio.timeout(5):
        return await anext(items)


def names(item: WatchItem) -> list[str]:
    assert isinstance(item, Relisted), item
    return [found["metadata"]["name"] for found in item.objects]


def verbs(cluster: InProcessCluster) -> list[str]:
    return [call.verb for call in cluster.calls if call.verb in ("list", "watch")]


@pytest.fixture
async def old_cluster() -> AsyncIterator[InProcessCluster]:
    """Provide an API server whose feature gate WatchList is off."""
    async with InProcessCluster(streaming_lists=False) as cluster:
        yield cluster


async def test_list_needs_no_request_of_its_own(cluster: InProcessCluster, api: KubernetesAPI) -> None:
    await api.create(CONFIG_MAP, {"metadata": {"name": "a"}}, NS)
    async with aclosing(api.watch(CONFIG_MAP, NS)) as items:
        listed = await soon(items)
        assert names(listed) == ["a"]
        assert isinstance(listed, Relisted)
        assert (listed.first, listed.last) == (True, True)
        await api.create(CONFIG_MAP, {"metadata": {"name": "b"}}, NS)
        assert isinstance(await soon(items), Changed)
    assert verbs(cluster) == ["watch"]


async def test_watch_that_ends_goes_on_from_the_version_of_its_list(
    cluster: InProcessCluster, api: KubernetesAPI
) -> None:
    async with aclosing(api.watch(CONFIG_MAP, NS)) as items:
        assert names(await soon(items)) == []
        cluster.end_watches()
        pending = asyncio.create_task(soon(items))
        await api.create(CONFIG_MAP, {"metadata": {"name": "a"}}, NS)
        assert isinstance(await pending, Changed)
    assert verbs(cluster) == ["watch", "watch"]


async def test_list_after_an_expired_version_is_streamed_too(cluster: InProcessCluster, api: KubernetesAPI) -> None:
    async with aclosing(api.watch(CONFIG_MAP, NS)) as items:
        assert names(await soon(items)) == []
        cluster.expire_watches()
        await api.create(CONFIG_MAP, {"metadata": {"name": "a"}}, NS)
        assert names(await soon(items)) == ["a"]
    assert verbs(cluster) == ["watch", "watch"]


async def test_server_that_refuses_is_asked_for_pages_from_then_on(old_cluster: InProcessCluster) -> None:
    api = old_cluster.api()
    await api.create(CONFIG_MAP, {"metadata": {"name": "a"}}, NS)
    async with aclosing(api.watch(CONFIG_MAP, NS)) as items:
        assert names(await soon(items)) == ["a"]
        pending = asyncio.create_task(soon(items))
        await api.create(CONFIG_MAP, {"metadata": {"name": "b"}}, NS)
        assert isinstance(await pending, Changed)
        old_cluster.expire_watches()
        assert names(await soon(items)) == ["a", "b"]
    assert verbs(old_cluster) == ["watch", "list", "watch", "list"]


@pytest.mark.parametrize(
    ("status", "asked"),
    [
        pytest.param(400, ["stream", "list"], id="400"),
        pytest.param(422, ["stream", "list"], id="422"),
        pytest.param(501, ["stream", "list"], id="501"),
        pytest.param(503, ["stream", "stream"], id="503 is no refusal"),
        pytest.param(429, ["stream", "stream"], id="429 is no refusal"),
        pytest.param(410, ["stream", "stream"], id="410 is no refusal"),
    ],
)
async def test_refusals(status: int, asked: list[str]) -> None:
    server = ModelServer(fates=[Fate(Way.REFUSED, status=status)])
    async with aclosing(server.watch()) as items:
        while not isinstance(await soon(items), Relisted):
            pass
    assert server.asked == asked


@pytest.mark.parametrize("way", ["CUT", "ENDED", "GONE"])
async def test_list_that_breaks_off_is_asked_for_in_pages_and_the_next_one_streamed_again(way: str) -> None:
    server = ModelServer(fates=[Fate(Way[way], after=1)])
    for name in ("a", "b"):
        server.put(name)
    async with aclosing(server.watch()) as items:
        item = await soon(items)
        assert isinstance(item, Interrupted) == (way == "CUT")
        assert names(await soon(items) if isinstance(item, Interrupted) else item) == ["a", "b"]
        server.fates = [Fate(Way.GONE, after=0)]
        assert names(await soon(items)) == ["a", "b"]
    assert server.asked == ["stream", "list", "watch", "stream"]


async def test_list_whose_end_never_comes_is_asked_for_in_pages() -> None:
    server = ModelServer(fates=[Fate(Way.SILENT, after=1)])
    for name in ("a", "b"):
        server.put(name)
    async with aclosing(server.watch(patience=timedelta(milliseconds=20))) as items:
        assert names(await soon(items)) == ["a", "b"]
    assert server.asked == ["stream", "list"]
    assert server.open_streams == 0


async def test_bookmark_that_says_nothing_of_the_list_does_not_end_it() -> None:
    server = ModelServer()
    server.put("a")
    server.early_bookmark = True
    async with aclosing(server.watch()) as items:
        assert names(await soon(items)) == ["a"]
    assert server.asked == ["stream"]


async def test_what_changes_while_the_list_comes_is_in_it() -> None:
    server = ModelServer(pending=[("a", False), ("b", True), ("c", True)])
    for name in ("a", "b"):
        server.put(name)
    async with aclosing(server.watch()) as items:
        first, deleted, last = [await soon(items) for _ in range(3)]
    assert names(first) == ["a", "b"]
    assert isinstance(deleted, Changed)
    assert (deleted.type, deleted.object["metadata"]["name"]) == (ChangeType.DELETED, "a")
    assert names(last) == ["b", "c"]
    assert isinstance(last, Relisted)
    assert (last.first, last.last, last.resource_version) == (False, True, str(server.version))


async def test_fault_of_the_network_before_the_list_streams_it_later(
    cluster: InProcessCluster, api: KubernetesAPI
) -> None:
    cluster.fail(Effect.TIMEOUT_BEFORE, verb="watch")
    async with aclosing(api.watch(CONFIG_MAP, NS)) as items:
        assert isinstance(await soon(items), Interrupted)
        assert names(await soon(items)) == []
    assert verbs(cluster) == ["watch", "watch"]


# A model: whatever happens to connections, who follows knows in the end what the server has.


class Way(Enum):
    """How a connection ends."""

    GOOD = "good"
    REFUSED = "refused"
    CUT = "cut"
    ENDED = "ended"
    GONE = "gone"
    SILENT = "silent"


class Fate:
    """What happens to one stream, after how many of its lines."""

    def __init__(self, way: Way, *, after: int = 0, status: int = 422) -> None:
        self.way = way
        self.after = after
        self.status = status

    def __repr__(self) -> str:
        return f"Fate({self.way.name}, after={self.after})"


class ModelServer:
    """A collection with a history; changes that are pending happen while it is being read."""

    def __init__(self, *, fates: list[Fate] | None = None, pending: list[tuple[str, bool]] | None = None) -> None:
        self.fates = fates or []
        self.pending = pending or []
        self.version = 1
        self.objects: dict[str, dict[str, Any]] = {}
        self.history: list[tuple[int, bytes]] = []
        self.asked: list[str] = []
        self.early_bookmark = False
        self.open_streams = 0

    def put(self, name: str) -> None:
        self.version += 1
        kind = "MODIFIED" if name in self.objects else "ADDED"
        self.objects[name] = {"metadata": {"name": name, "resourceVersion": str(self.version)}}
        self.history.append((self.version, self._line(kind, self.objects[name])))

    def delete(self, name: str) -> None:
        if (gone := self.objects.pop(name, None)) is not None:
            self.version += 1
            gone = {"metadata": {**gone["metadata"], "resourceVersion": str(self.version)}}
            self.history.append((self.version, self._line("DELETED", gone)))

    def change(self, count: int) -> None:
        """Let pending changes happen."""
        for _ in range(min(count, len(self.pending))):
            name, stays = self.pending.pop(0)
            (self.put if stays else self.delete)(name)

    def watch(self, *, patience: timedelta = timedelta(seconds=5), page_size: int = 500) -> AsyncGenerator[WatchItem]:
        api = KubernetesAPI(transport=self, page_size=page_size, rng=Hasty())
        return Watch(
            transport=self,
            operation=Operation("watch", CONFIG_MAP, NS),
            query={},
            pages=lambda: api.pages(CONFIG_MAP, NS),
            rng=Hasty(),
            page_size=page_size,
            patience=patience,
        ).items(None)

    async def request(self, method: str, path: str, **options: Any) -> Response:
        del method, path, options
        self.asked.append("list")
        listed = {"metadata": {"resourceVersion": str(self.version)}, "items": list(self.objects.values())}
        self.change(1)
        return Response(200, {}, orjson.dumps(listed))

    @asynccontextmanager
    async def stream(
        self, path: str, *, query: Mapping[str, str] | None = None, **options: Any
    ) -> AsyncIterator[StreamingResponse]:
        del path, options
        assert query is not None
        fate = self.fates.pop(0) if self.fates else Fate(Way.GOOD)
        listing = query.get("sendInitialEvents") == "true"
        self.asked.append("stream" if listing else "watch")
        if fate.way is Way.REFUSED:
            yield StreamingResponse(fate.status, {}, self._lines(fate, []))
            return
        start = self.version if listing else int(query["resourceVersion"])
        self.open_streams += 1
        try:
            initial = [self._line("ADDED", each) for each in self.objects.values()] if listing else []
            yield StreamingResponse(200, {}, self._lines(fate, initial, start=start, listing=listing))
        finally:
            self.open_streams -= 1

    async def close(self) -> None:
        """Nothing is open."""

    async def _lines(
        self, fate: Fate, initial: list[bytes], *, start: int = 0, listing: bool = False
    ) -> AsyncIterator[bytes]:
        if fate.way is Way.REFUSED:
            return
        lines = self._good(initial, start=start, listing=listing)
        count = 0
        async for line in lines:
            if fate.way is not Way.GOOD and count == fate.after:
                break
            count += 1
            yield line
        if fate.way is Way.CUT:
            raise ClusterUnavailableError("the connection was reset")
        if fate.way is Way.GONE:
            yield orjson.dumps({"type": "ERROR", "object": {"kind": "Status", "code": 410}})
        if fate.way is Way.SILENT:
            await asyncio.get_running_loop().create_future()

    async def _good(self, initial: list[bytes], *, start: int, listing: bool) -> AsyncIterator[bytes]:
        for line in initial:
            yield line
        if self.early_bookmark:
            yield self._bookmark()
        seen = start
        self.change(3)
        for version, line in [(version, line) for version, line in self.history if version > seen]:
            seen = version
            yield line
        if listing:
            yield self._bookmark(**{"k8s.io/initial-events-end": "true"})
        while True:
            self.change(1)
            for version, line in [(version, line) for version, line in self.history if version > seen]:
                seen = version
                yield line
            if not self.pending:
                yield self._bookmark()

    def _bookmark(self, **annotations: str) -> bytes:
        return self._line(
            "BOOKMARK", {"metadata": {"resourceVersion": str(self.version), "annotations": annotations or None}}
        )

    @staticmethod
    def _line(kind: str, obj: dict[str, Any]) -> bytes:
        return orjson.dumps({"type": kind, "object": obj})


class Follower:
    """Knows what it was told."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}
        self._listed: set[str] = set()

    def take(self, item: WatchItem) -> None:
        if isinstance(item, Relisted):
            if item.first:
                self._listed = set()
            for obj in item.objects:
                self._put(obj)
                self._listed.add(obj["metadata"]["name"])
            if item.last:
                self.known = {name: version for name, version in self.known.items() if name in self._listed}
        elif isinstance(item, Changed) and item.type is ChangeType.DELETED:
            self.known.pop(item.object["metadata"]["name"], None)
        elif isinstance(item, Changed):
            self._put(item.object)

    def _put(self, obj: dict[str, Any]) -> None:
        self.known[obj["metadata"]["name"]] = obj["metadata"]["resourceVersion"]


FATES = st.builds(
    lambda way, after: Fate(way, after=after),
    st.sampled_from([Way.REFUSED, Way.CUT, Way.ENDED, Way.GONE]),
    st.integers(0, 8),
)
CHANGES = st.lists(st.tuples(st.sampled_from("abcde"), st.booleans()), max_size=30)


@given(
    there=st.sets(st.sampled_from("abcde")), fates=st.lists(FATES, max_size=6), changes=CHANGES, size=st.integers(1, 4)
)
def test_follower_knows_in_the_end_what_the_server_has(
    there: set[str], fates: list[Fate], changes: list[tuple[str, bool]], size: int
) -> None:
    # A refusal is for good and about lists alone; one that comes later would be another server.
    fates = [fate for number, fate in enumerate(fates) if fate.way is not Way.REFUSED or number == 0]

    async def follow() -> None:
        server, follower = ModelServer(fates=fates, pending=list(changes)), Follower()
        for name in sorted(there):
            server.put(name)
        async with asyncio.timeout(5), aclosing(server.watch(page_size=size)) as items:
            async for item in items:
                follower.take(item)
                if not server.fates and isinstance(item, Bookmarked) and item == Bookmarked(str(server.version)):
                    break
        assert follower.known == {name: obj["metadata"]["resourceVersion"] for name, obj in server.objects.items()}
        assert server.open_streams == 0

    asyncio.run(follow())
