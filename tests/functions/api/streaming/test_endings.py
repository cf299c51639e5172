"""Who is let in to ``GET /events``, and what ends a stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from image_catalog.audit.records import Record
from image_catalog.cluster import AccessReviewer, TokenReviewer
from image_catalog.errors import AuditUnavailableError
from image_catalog.testing.clock import StillClock
from image_catalog.testing.cluster import InProcessCluster
from image_catalog.testing.event_streams import MemoryLog, StreamClient, Watch, catalog_event, watcher_of
from image_catalog_functions.api.access import Guard
from image_catalog_functions.api.http.asgi import ASGIApp
from image_catalog_functions.api.services import Services
from image_catalog_functions.api.streaming.streams import StreamLimits

if TYPE_CHECKING:
    from image_catalog.audit import AuditStore

Streaming = Callable[[Services], ASGIApp]

GROUP = "automotive.sdv.cloud.redhat.com"


async def refusal(client: StreamClient) -> dict[str, Any]:
    """Return the problem that a request was answered with."""
    await client.until(lambda: client.ended)
    assert client.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = json.loads(client.body)
    assert problem["status"] == client.status
    return problem


@pytest.mark.parametrize(
    ("filter_", "position", "said"),
    [
        pytest.param("type == 'a'", 7, "cannot stand at character 7", id="sign"),
        pytest.param("targets LIKE target", 14, "cannot stand", id="pattern"),
        pytest.param("phase =", 8, "ends where something must follow", id="end"),
        pytest.param("NEAR(target)", 1, "no function NEAR", id="function"),
        pytest.param("NOT " * 500 + "TRUE", 1, "nested too deeply", id="depth"),
    ],
)
async def test_a_filter_that_is_none_is_told_with_the_place(
    watch: Watch, filter_: str, position: int, said: str
) -> None:
    async with watch(filter=filter_) as client:
        problem = await refusal(client)
    assert (problem["status"], problem["reason"]) == (400, "InvalidParameter")
    assert (problem["details"]["parameter"], problem["details"]["position"]) == ("filter", position)
    assert said in problem["detail"]


@pytest.mark.parametrize(
    ("parameters", "headers", "status", "reason"),
    [
        pytest.param({"filter": "x" * 2049}, {}, 400, "InvalidParameter", id="long filter"),
        pytest.param({"filter": ""}, {}, 400, "InvalidParameter", id="empty filter"),
        pytest.param({"since": "yesterday"}, {}, 400, "InvalidParameter", id="no time"),
        pytest.param({"since": "2026-06-01T00:00:00"}, {}, 400, "InvalidParameter", id="time without a zone"),
        pytest.param({"follow": "true"}, {}, 400, "InvalidParameter", id="unknown parameter"),
        pytest.param({}, {"Accept": "application/json"}, 406, "NotAcceptable", id="json"),
        pytest.param({}, {"Accept": "text/event-stream;q=0, application/json"}, 406, "NotAcceptable", id="q=0"),
        pytest.param({}, {"Last-Event-ID": "abc"}, 400, "InvalidParameter", id="no id"),
        pytest.param({}, {"Last-Event-ID": "1"}, 410, "EventIdGone", id="pruned"),
        pytest.param({}, {"Last-Event-ID": "99"}, 410, "EventIdGone", id="from another log"),
    ],
)
async def test_what_cannot_be_streamed_is_a_problem(  # noqa: PLR0917 - a case says what is sent and what is answered
    watch: Watch, log: MemoryLog, parameters: dict[str, str], headers: dict[str, str], status: int, reason: str
) -> None:
    for number in range(1, 6):
        log.write(catalog_event(number))
    del log.records[:2]
    async with watch(headers=headers, **parameters) as client:
        problem = await refusal(client)
    assert (problem["status"], problem["reason"]) == (status, reason)


@pytest.mark.parametrize("accept", ["text/event-stream", "application/json, text/event-stream;q=0.5", "text/*", "*/*"])
async def test_whoever_takes_events_gets_them(watch: Watch, accept: str) -> None:
    async with watch(headers={"Accept": accept}) as client:
        assert client.status == 200


async def test_without_a_database_there_is_no_stream(services: Services, streaming: Streaming) -> None:
    async with watcher_of(streaming(replace(services, audit=None)))() as client:
        problem = await refusal(client)
    assert (problem["status"], problem["reason"]) == (501, "AuditNotConfigured")
    assert problem["details"]["setting"] == "IMAGE_CATALOG_DATABASE_URL"


async def test_a_database_that_is_down_is_waited_for_by_those_who_watch_already(watch: Watch, log: MemoryLog) -> None:
    log.broken = True
    async with watch() as client:
        problem = await refusal(client)
        assert (problem["status"], problem["reason"]) == (503, "AuditUnavailable")
        assert client.headers["retry-after"]
    log.broken = False
    async with watch() as client:
        log.broken = True
        seen = client.comments
        await client.until(lambda: client.comments > seen)
        assert not client.ended


class Forgetful(MemoryLog):
    """A log that breaks down when it is asked for a record of long ago."""

    async def find(self, event_id: str) -> Record | None:
        raise AuditUnavailableError(f"the database does not find {event_id}")


async def test_catching_up_ends_when_the_database_is_down(services: Services, streaming: Streaming) -> None:
    log = Forgetful()
    log.write(catalog_event(1))
    log.write(None, confirms="event-0")
    async with watcher_of(streaming(replace(services, audit=cast("AuditStore", log))))(
        headers={"Last-Event-ID": "0"}
    ) as client:
        problem = await client.end()
    assert problem["reason"] == "AuditUnavailable"


async def test_a_log_that_was_restored_from_a_backup_is_begun_anew(watch: Watch, log: MemoryLog) -> None:
    for number in range(1, 6):
        log.write(catalog_event(number))
    async with watch() as client, watch() as other:
        log.write(catalog_event(6))
        assert await client.ids(1) == ["event-6"]
        del log.records[2:]
        assert {(await each.end())["reason"] for each in (client, other)} == {"EventIdGone"}
        async with watch() as back:
            # Under a place that was passed before.
            log.write(catalog_event(7))
            assert await back.ids(1) == ["event-7"]


async def test_a_reader_of_the_log_goes_on_when_the_database_does(watch: Watch, log: MemoryLog) -> None:
    async with watch() as client:
        log.broken = True
        seen = client.comments
        await client.until(lambda: client.comments > seen)
        log.broken = False
        log.write(catalog_event(1))
        assert await client.ids(1) == ["event-1"]


@pytest.mark.parametrize("limits", [StreamLimits(clients=2), StreamLimits(clients_each=2)], ids=["all", "each"])
async def test_there_are_only_so_many_places(watch: Watch, limits: StreamLimits) -> None:
    del limits
    async with watch(), watch() as second:
        async with watch() as late:
            problem = await refusal(late)
        assert (problem["status"], problem["reason"]) == (503, "TooManyStreams")
        assert late.headers["retry-after"]
        assert second.status == 200
    async with watch() as later:
        assert later.status == 200


@pytest.mark.parametrize(
    "limits",
    [
        pytest.param(StreamLimits(poll=timedelta(milliseconds=2), behind=timedelta(0), kept=20), id="events"),
        pytest.param(StreamLimits(poll=timedelta(milliseconds=2), behind=timedelta(0), kept_bytes=9000), id="bytes"),
    ],
)
async def test_a_client_that_reads_slowly_is_told_so_and_can_go_on(
    watch: Watch, log: MemoryLog, limits: StreamLimits
) -> None:
    del limits
    async with watch() as slow, watch() as quick:
        log.write(catalog_event(0))
        assert await slow.ids(1) == await quick.ids(1) == ["event-0"]
        slow.reading.clear()
        for number in range(1, 101):
            log.write(catalog_event(number))
            assert await quick.ids(1) == [f"event-{number}"]
        slow.reading.set()
        frames = []
        while (frame := await slow.next()) is not None:
            frames.append(frame)
        assert (frames[-1].name, frames[-1].data["reason"], frames[-1].id) == ("end", "TooSlow", None)
        got = [frame.data["id"] for frame in frames[:-1]]
    async with watch(headers={"Last-Event-ID": slow.last or ""}) as again:
        got += await again.ids(100 - len(got))
    assert got == [f"event-{number}" for number in range(1, 101)]


@pytest.mark.parametrize("limits", [StreamLimits(poll=timedelta(milliseconds=2), kept=20)])
async def test_more_at_once_than_is_kept_cuts_nobody_off(watch: Watch, log: MemoryLog, limits: StreamLimits) -> None:
    del limits
    async with watch() as client:
        for number in range(500):
            log.write(catalog_event(number))
        assert await client.ids(500) == [f"event-{number}" for number in range(500)]


@pytest.mark.parametrize("limits", [StreamLimits(poll=timedelta(milliseconds=2), send=timedelta(milliseconds=50))])
async def test_a_client_that_does_not_read_at_all_loses_its_place(
    watch: Watch, log: MemoryLog, limits: StreamLimits
) -> None:
    del limits
    async with watch() as deaf:
        deaf.reading.clear()
        log.write(catalog_event(1))
        async with asyncio.timeout(5):
            await deaf.served
        assert not deaf.ended


async def test_a_stream_ends_when_the_process_is_told_to_stop(watch: Watch, services: Services) -> None:
    async with watch() as client:
        services.stopping.set()
        assert (await client.end())["reason"] == "Stopping"
        assert client.ended


def grant(cluster: InProcessCluster, *verbs: str) -> None:
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "watcher", "namespace": "team-a"}}
    rules = [{"apiGroups": [GROUP], "resources": ["catalogimages"], "verbs": list(verbs)}]
    cluster.server.apply({**role, "kind": "Role", "rules": rules})
    subjects = [{"kind": "ServiceAccount", "name": "watcher", "namespace": "image-catalog"}]
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "watcher"}
    cluster.server.apply({**role, "kind": "RoleBinding", "roleRef": ref, "subjects": subjects})


@pytest.fixture
def guarded(services: Services, cluster: InProcessCluster, clock: StillClock, streaming: Streaming) -> Watch:
    """Open streams of an API that asks about everybody each time."""
    moment = timedelta(microseconds=1)
    api = cluster.api("api")
    tokens = TokenReviewer(api=api, clock=clock, audience=None)
    guard = Guard(tokens=tokens, access=AccessReviewer(api=api), allowed_for=moment, denied_for=moment)
    return watcher_of(streaming(replace(services, guard=guard)))


async def test_a_caller_needs_the_right_to_list_entries_there(guarded: Watch, cluster: InProcessCluster) -> None:
    grant(cluster, "list")
    bearer = {"Authorization": f"Bearer {cluster.token('watcher')}"}
    async with guarded(namespace="team-a") as nobody:
        assert (await refusal(nobody))["status"] == 401
    async with guarded(namespace="team-a", headers=bearer) as allowed:
        assert allowed.status == 200
    for elsewhere in ({"namespace": "team-b"}, {"allNamespaces": "true"}, {}):
        async with guarded(headers=bearer, **elsewhere) as denied:
            problem = await refusal(denied)
            assert (problem["status"], problem["details"]["verb"]) == (403, "list")


@pytest.mark.parametrize("lost", ["right", "token"])
async def test_a_stream_ends_with_the_right_to_it(
    guarded: Watch, cluster: InProcessCluster, clock: StillClock, log: MemoryLog, lost: str
) -> None:
    grant(cluster, "list")
    bearer = {"Authorization": f"Bearer {cluster.token('watcher')}"}
    async with guarded(namespace="team-a", headers=bearer) as client:
        log.write(catalog_event(1, catalognamespace="team-a"))
        assert await client.ids(1) == ["event-1"]
        if lost == "right":
            grant(cluster, "get")
        else:
            clock.advance(hours=25)
        problem = await client.end()
    assert (problem["status"], problem["reason"]) == {
        "right": (403, "Forbidden"),
        "token": (401, "Unauthenticated"),
    }[lost]
