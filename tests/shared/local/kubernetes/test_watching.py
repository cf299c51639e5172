"""Watches, from their first event to their end."""

from __future__ import annotations

import pytest

from image_catalog.local.kubernetes import Cluster
from image_catalog.testing.kubernetes_requests import KubernetesRequests

WIDGETS = "/apis/test.example.com/v1/namespaces/team/widgets"


def widget(name: str) -> dict[str, object]:
    return {"apiVersion": "test.example.com/v1", "kind": "Widget", "metadata": {"name": name}, "spec": {"url": "u"}}


async def version(ask: KubernetesRequests) -> str:
    return str((await ask("GET", WIDGETS)).json()["metadata"]["resourceVersion"])


async def test_a_watch_of_one_name_sees_no_other(ask: KubernetesRequests) -> None:
    async with ask.watch(f"{WIDGETS}/b?watch=1") as watch:
        await ask("POST", WIDGETS, widget("a"))
        await ask("POST", WIDGETS, widget("b"))
        assert await watch.events(1) == [("ADDED", "b")]


async def test_a_watch_over_all_namespaces_sees_them_all(ask: KubernetesRequests) -> None:
    async with ask.watch("/apis/test.example.com/v1/widgets?watch") as watch:
        await ask("POST", WIDGETS, widget("a"))
        await ask("POST", WIDGETS.replace("team", "default"), widget("b"))
        assert await watch.events(2) == [("ADDED", "a"), ("ADDED", "b")]


async def test_a_watch_of_one_namespace_sees_only_that(ask: KubernetesRequests) -> None:
    async with ask.watch(f"{WIDGETS}?watch=true") as watch:
        await ask("POST", WIDGETS.replace("team", "default"), widget("b"))
        await ask("POST", WIDGETS, widget("a"))
        assert await watch.events(1) == [("ADDED", "a")]


async def test_a_version_older_than_the_history_is_told_as_gone(ask: KubernetesRequests) -> None:
    start = await version(ask)
    await ask("POST", WIDGETS, widget("a"))
    for number in range(20):
        await ask("PATCH", f"{WIDGETS}/a", {"spec": {"url": f"{number}"}})
    async with ask.watch(f"{WIDGETS}?watch=true&resourceVersion={start}") as watch:
        event = await watch.event()
        assert (watch.status, event["type"], event["object"]["code"]) == (200, "ERROR", 410)
        with pytest.raises(EOFError):
            await watch.event()


async def test_compaction_ends_no_watch_that_has_seen_everything(cluster: Cluster, ask: KubernetesRequests) -> None:
    start = await version(ask)
    async with ask.watch(f"{WIDGETS}?watch=true&resourceVersion={start}") as watch:
        await ask("POST", WIDGETS, widget("a"))
        assert await watch.events(1) == [("ADDED", "a")]
        cluster.store.compact()
        await ask("POST", WIDGETS, widget("b"))
        assert await watch.events(1) == [("ADDED", "b")]
    async with ask.watch(f"{WIDGETS}?watch=true&resourceVersion={start}") as late:
        assert (await late.event())["type"] == "ERROR"


async def test_ending_all_watches_lets_clients_start_again(cluster: Cluster, ask: KubernetesRequests) -> None:
    async with ask.watch(f"{WIDGETS}?watch=true") as watch:
        cluster.store.end_watches()
        with pytest.raises(EOFError):
            await watch.event()
    async with ask.watch(f"{WIDGETS}?watch=true") as again:
        await ask("POST", WIDGETS, widget("a"))
        assert await again.events(1) == [("ADDED", "a")]


async def test_a_watch_ends_with_its_time(ask: KubernetesRequests) -> None:
    async with ask.watch(f"{WIDGETS}?watch=true&timeoutSeconds=1") as watch:
        with pytest.raises(EOFError):
            await watch.event()


async def test_a_client_that_leaves_leaves_nothing_behind(cluster: Cluster, ask: KubernetesRequests) -> None:
    async with ask.watch(f"{WIDGETS}?watch=true") as watch:
        await ask("POST", WIDGETS, widget("a"))
        await watch.event()
    assert cluster.store.bucket(("test.example.com", "widgets"))._waiters == []


async def test_a_version_in_the_future_is_refused(ask: KubernetesRequests) -> None:
    answer = await ask("GET", f"{WIDGETS}?watch=true&resourceVersion=99999")
    assert (answer.status_code, answer.json()["reason"]) == (504, "Timeout")


async def test_a_watch_as_table_tells_its_columns_once(ask: KubernetesRequests) -> None:
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
    path = f"{WIDGETS}?watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan"
    async with ask.watch(path, accept=accept) as watch:
        bookmark = await watch.event()
        assert (bookmark["type"], bookmark["object"]["kind"]) == ("BOOKMARK", "Table")
        assert bookmark["object"]["columnDefinitions"]
        await ask("POST", WIDGETS, widget("a"))
        added = (await watch.event())["object"]
        assert (added["columnDefinitions"], added["rows"][0]["cells"][0]) == (None, "a")


async def test_initial_events_can_be_left_out(ask: KubernetesRequests) -> None:
    await ask("POST", WIDGETS, widget("a"))
    async with ask.watch(f"{WIDGETS}?watch=true&sendInitialEvents=false") as watch:
        await ask("POST", WIDGETS, widget("b"))
        assert await watch.events(1) == [("ADDED", "b")]


async def test_metadata_alone_can_be_watched(ask: KubernetesRequests) -> None:
    accept = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
    path = f"{WIDGETS}?watch=true&sendInitialEvents=true&allowWatchBookmarks=true"
    async with ask.watch(path, accept=accept) as watch:
        assert (await watch.event())["object"]["kind"] == "PartialObjectMetadata"
        await ask("POST", WIDGETS, widget("a"))
        assert set((await watch.event())["object"]) == {"kind", "apiVersion", "metadata"}
