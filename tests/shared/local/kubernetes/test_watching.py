"""Watches, from their first event to their end."""

from __future__ import annotations

from random import Random

import pytest

from image_catalog.local.kubernetes import Cluster
from image_catalog.testing.clock import StillClock
from image_catalog.testing.kubernetes_requests import KubernetesRequests

WIDGETS = "/apis/test.example.com/v1/namespaces/team/widgets"
STREAMED = "?watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan"


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
    path = f"{WIDGETS}{STREAMED}"
    async with ask.watch(path, accept=accept) as watch:
        bookmark = await watch.event()
        assert (bookmark["type"], bookmark["object"]["kind"]) == ("BOOKMARK", "Table")
        assert bookmark["object"]["columnDefinitions"]
        await ask("POST", WIDGETS, widget("a"))
        added = (await watch.event())["object"]
        assert (added["columnDefinitions"], added["rows"][0]["cells"][0]) == (None, "a")


async def test_initial_events_can_be_left_out(ask: KubernetesRequests) -> None:
    await ask("POST", WIDGETS, widget("a"))
    async with ask.watch(f"{WIDGETS}?watch=true&sendInitialEvents=false&resourceVersionMatch=NotOlderThan") as watch:
        await ask("POST", WIDGETS, widget("b"))
        assert await watch.events(1) == [("ADDED", "b")]


async def test_metadata_alone_can_be_watched(ask: KubernetesRequests) -> None:
    accept = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
    path = f"{WIDGETS}{STREAMED}"
    async with ask.watch(path, accept=accept) as watch:
        assert (await watch.event())["object"]["kind"] == "PartialObjectMetadata"
        await ask("POST", WIDGETS, widget("a"))
        assert set((await watch.event())["object"]) == {"kind", "apiVersion", "metadata"}


async def test_a_streamed_list_ends_with_a_bookmark_and_goes_on_as_a_watch(ask: KubernetesRequests) -> None:
    await ask("POST", WIDGETS, widget("a"))
    async with ask.watch(f"{WIDGETS}{STREAMED}") as watch:
        assert await watch.events(1) == [("ADDED", "a")]
        end = await watch.event()
        assert end["type"] == "BOOKMARK"
        assert end["object"]["metadata"] == {
            "resourceVersion": await version(ask),
            "annotations": {"k8s.io/initial-events-end": "true"},
        }
        await ask("POST", WIDGETS, widget("b"))
        assert await watch.events(1) == [("ADDED", "b")]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        pytest.param(
            "watch=true&sendInitialEvents=true",
            "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            id="without match",
        ),
        pytest.param(
            "watch=true&resourceVersionMatch=NotOlderThan",
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is "
            "provided",
            id="match alone",
        ),
        pytest.param(
            "watch=true&sendInitialEvents=true&resourceVersionMatch=Exact",
            "[resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
            ", "
            'resourceVersionMatch: Unsupported value: "Exact": supported values: "NotOlderThan"]',
            id="another match",
        ),
        pytest.param(
            "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&continue=x",
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided",
            id="watch with continue",
        ),
        pytest.param(
            "sendInitialEvents=true",
            "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list",
            id="list",
        ),
        pytest.param(
            "resourceVersionMatch=Exact",
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
            id="list without version",
        ),
        pytest.param(
            "resourceVersionMatch=Newest&resourceVersion=1&continue=x",
            "[resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided, "
            'resourceVersionMatch: Unsupported value: "Newest": supported values: "Exact", "NotOlderThan", ""]',
            id="list with continue and unknown match",
        ),
        pytest.param(
            "resourceVersionMatch=Exact&resourceVersion=0",
            'resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
            id="exactly anything",
        ),
    ],
)
async def test_options_that_do_not_go_together_are_refused(ask: KubernetesRequests, query: str, said: str) -> None:
    answer = await ask("GET", f"{WIDGETS}?{query}")
    body = answer.json()
    assert (answer.status_code, body["reason"], body["details"]["kind"]) == (422, "Invalid", "ListOptions")
    assert body["message"] == f'ListOptions.meta.k8s.io "" is invalid: {said}'


async def test_a_streamed_list_is_refused_with_the_feature_gate_off(clock: StillClock) -> None:
    cluster = Cluster(clock=clock, random=Random(7), streaming_lists=False)  # noqa: S311 - no secrets
    answer = await KubernetesRequests(cluster)("GET", f"/api/v1/configmaps{STREAMED}")
    (cause,) = answer.json()["details"]["causes"]
    assert (answer.status_code, cause["reason"], cause["field"]) == (422, "FieldValueForbidden", "sendInitialEvents")
    assert "WatchList feature gate" in cause["message"]
