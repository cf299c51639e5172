"""The in-process cluster itself: a fake that is wrong makes every test that uses it wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import timedelta
from typing import Any

import pytest

from image_catalog.cluster import CONFIG_MAP, IMAGE_BUILD, StreamingResponse
from image_catalog.errors import ClusterUnavailableError
from image_catalog.testing.cluster import Call, Effect, Fault, InProcessCluster
from image_catalog.testing.cluster_asgi import ASGITransport
from image_catalog.testing.cluster_faults import parse_call

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("method", "path", "query", "expected"),
    [
        pytest.param("GET", "/api/v1/namespaces/a/secrets/s", {}, ("get", "", "secrets", "", "a", "s"), id="get"),
        pytest.param("GET", "/api/v1/secrets", {}, ("list", "", "secrets", "", "", ""), id="list everywhere"),
        pytest.param("GET", "/api/v1/namespaces", {}, ("list", "", "namespaces", "", "", ""), id="namespaces"),
        pytest.param("GET", "/api/v1/namespaces/a", {}, ("get", "", "namespaces", "", "", "a"), id="a namespace"),
        pytest.param(
            "GET", "/apis/g/v1/namespaces/a/x", {"watch": "true"}, ("watch", "g", "x", "", "a", ""), id="watch"
        ),
        pytest.param("POST", "/apis/g/v1/namespaces/a/x", {}, ("create", "g", "x", "", "a", ""), id="create"),
        pytest.param("PUT", "/apis/g/v1/x/n", {}, ("update", "g", "x", "", "", "n"), id="update"),
        pytest.param(
            "PATCH", "/apis/g/v1/namespaces/a/x/n/status", {}, ("patch", "g", "x", "status", "a", "n"), id="status"
        ),
        pytest.param("DELETE", "/apis/g/v1/namespaces/a/x/n", {}, ("delete", "g", "x", "", "a", "n"), id="delete"),
        pytest.param(
            "DELETE", "/apis/g/v1/namespaces/a/x", {}, ("deletecollection", "g", "x", "", "a", ""), id="delete all"
        ),
        pytest.param("GET", "/healthz", {}, ("get", "", "/healthz", "", "", ""), id="no resource"),
    ],
)
def test_request_is_read_as_an_authorizer_does(
    method: str, path: str, query: dict[str, str], expected: tuple[str, ...]
) -> None:
    assert parse_call("me", method, path, query) == Call("me", *expected)


def test_fault_hits_the_calls_that_it_names() -> None:
    fault = Fault(Effect.CONFLICT, verb="write", resource="x", nth=2, times=2)
    patch, read, other = Call("me", "patch", "", "x"), Call("me", "get", "", "x"), Call("me", "patch", "", "y")
    assert [fault.strikes(call) for call in (patch, read, other, patch, patch, patch)] == [
        False,
        False,
        False,
        True,
        True,
        False,
    ]


async def test_calls_are_logged_by_who_made_them(cluster: InProcessCluster) -> None:
    for actor in ("publish", "verify"):
        await cluster.api(actor).get(CONFIG_MAP, "a", "team-a")
    assert [call.actor for call in cluster.calls] == ["publish", "verify"]


async def test_only_stored_objects_can_be_spoiled(cluster: InProcessCluster) -> None:
    with pytest.raises(LookupError, match="ImageBuild team-a/absent"):
        cluster.store_unchecked(IMAGE_BUILD, "absent", "team-a", {"spec": {}})


async def test_watch_that_cannot_connect_says_so(cluster: InProcessCluster) -> None:
    cluster.fail(Effect.TIMEOUT_BEFORE, verb="watch")
    transport = cluster.transport()
    with pytest.raises(ClusterUnavailableError):
        async with transport.stream("/api/v1/configmaps", query={"watch": "true"}, timeout=SECOND):
            pytest.fail("it connected")


async def answer(send: Send, body: bytes, *, more: bool) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-a", b"b")]})
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def read_all(stream: StreamingResponse) -> list[bytes]:
    return [line async for line in stream.lines]


async def test_application_that_hangs_is_left() -> None:
    async def hang(_scope: MutableMapping[str, Any], receive: Receive, _send: Send) -> None:
        await receive()
        await receive()

    transport = ASGITransport(hang)
    with pytest.raises(ClusterUnavailableError, match="no answer in time"):
        await transport.request("GET", "/", timeout=timedelta(milliseconds=20))


async def test_stream_ends_with_the_answer() -> None:
    async def once(_scope: MutableMapping[str, Any], _receive: Receive, send: Send) -> None:
        await answer(send, b"one\ntwo\n", more=False)

    async with ASGITransport(once).stream("/", timeout=SECOND) as stream:
        assert (stream.status, stream.headers) == (200, {"x-a": "b"})
        assert await read_all(stream) == [b"one", b"two"]


async def test_stream_that_takes_too_long_breaks() -> None:
    async def endless(_scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        await answer(send, b"one\n", more=True)
        await receive()
        await receive()

    async with ASGITransport(endless).stream("/", timeout=timedelta(milliseconds=20)) as stream:
        with pytest.raises(ClusterUnavailableError, match="took too long"):
            await read_all(stream)


@pytest.mark.parametrize("started", [False, True], ids=["before its answer", "within its answer"])
async def test_application_that_fails_is_heard(*, started: bool) -> None:
    async def fail(_scope: MutableMapping[str, Any], _receive: Receive, send: Send) -> None:
        if started:
            await answer(send, b"one\n", more=True)
        raise LookupError

    async def read() -> None:
        async with ASGITransport(fail).stream("/", timeout=SECOND) as stream:
            await read_all(stream)

    with pytest.raises(LookupError):
        await read()


async def test_application_learns_that_its_reader_has_gone() -> None:
    learned = asyncio.Event()

    async def stubborn(_scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        await receive()
        await answer(send, b"one\n", more=True)
        try:
            message = await receive()
        except asyncio.CancelledError:
            learned.set()
            raise
        assert message["type"] == "http.disconnect"
        learned.set()

    async with ASGITransport(stubborn).stream("/", timeout=SECOND):
        pass
    assert learned.is_set()


async def test_closed_transport_ends_its_streams() -> None:
    async def endless(_scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        await answer(send, b"one\n", more=True)
        await receive()
        await receive()

    transport = ASGITransport(endless)
    async with transport.stream("/", timeout=SECOND) as stream:
        await transport.close()
        assert await read_all(stream) == [b"one"]
