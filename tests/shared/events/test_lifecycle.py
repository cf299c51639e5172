"""Signals as the function's process sees them, with a server of our own that only wants to leave."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from image_catalog.events.lifecycle import Lifecycle
from image_catalog.testing.collector import Collector
from image_catalog.testing.functions import SampleContext, SampleFunction
from image_catalog.testing.looking import look
from image_catalog.tracing import SpanKind, span, start_tracing

REQUEST = {"registryUrl": "quay.io/acme/autosd:nightly"}


class Server:
    """Handles SIGTERM as uvicorn does: it remembers that it is to leave."""

    def __init__(self) -> None:
        self.left = asyncio.Event()
        self.signals: list[int] = []

    def handle_exit(self, number: int, _frame: Any) -> None:
        self.signals.append(number)
        self.left.set()


@pytest.fixture
def server() -> Iterator[Server]:
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
    before = {number: signal.getsignal(number) for number in numbers}
    server = Server()
    signal.signal(signal.SIGTERM, server.handle_exit)
    yield server
    for number, handler in before.items():
        signal.signal(number, handler)


async def test_the_server_is_held_back_until_the_context_is_closed(served: SampleFunction, server: Server) -> None:
    begun, release = asyncio.Event(), asyncio.Event()

    async def slowly(_event: Any, _context: Any) -> list[Any]:
        begun.set()
        await release.wait()
        return []

    served.handle = slowly
    in_flight = asyncio.create_task(served.post(REQUEST))
    await begun.wait()

    os.kill(os.getpid(), signal.SIGTERM)
    # The signal comes through the loop, which has no event for it.
    async for attempt in look(every=timedelta(milliseconds=1), limit=timedelta(seconds=5), on=(AssertionError,)):
        with attempt:
            assert (await served.client.get("/readyz")).status_code == 503
    late = await served.post(REQUEST)
    assert (late.status_code, late.headers["connection"]) == (503, "close")
    assert late.json()["reason"] == "ShuttingDown"
    assert not server.left.is_set()
    assert not served.context.closed

    os.kill(os.getpid(), signal.SIGTERM)  # a second one changes nothing
    release.set()
    assert (await in_flight).status_code == 204
    await asyncio.wait_for(server.left.wait(), 5)
    assert served.context.closed
    assert server.signals == [signal.SIGTERM]
    assert len(served.events) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
async def test_an_interrupt_cuts_off_what_hangs(served: SampleFunction, server: Server, number: signal.Signals) -> None:
    begun = asyncio.Event()

    async def hang(_event: Any, _context: Any) -> list[Any]:
        begun.set()
        await asyncio.Event().wait()
        return []

    served.handle = hang
    in_flight = asyncio.create_task(served.post(REQUEST))
    await begun.wait()
    os.kill(os.getpid(), number)

    assert (await asyncio.wait_for(in_flight, 5)).status_code == 503
    await asyncio.wait_for(server.left.wait(), 5)
    assert served.context.closed


async def test_a_context_that_cannot_be_closed_does_not_keep_the_process(
    server: Server, log: list[dict[str, Any]]
) -> None:
    class Stubborn(SampleContext):
        async def aclose(self) -> None:
            raise OSError("no")

    async def build() -> Stubborn:
        return Stubborn(None)

    lifecycle = Lifecycle(build)
    with Collector() as collector:
        start_tracing({"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}, service="sample")
        with lifecycle.request(), span("last", SpanKind.CONSUMER, {}):
            await lifecycle.context()
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(server.left.wait(), 5)
        # What led to the trouble is what somebody will look for.
        assert [sent.name for sent in collector.spans] == ["last"]
    assert [entry["event"] for entry in log] == ["context not closed"]


async def test_a_context_that_only_a_probe_asked_for_is_closed_too(served: SampleFunction, server: Server) -> None:
    assert (await served.client.get("/readyz")).status_code == 200
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(server.left.wait(), 5)
    assert served.context.closed


async def test_a_context_that_was_never_built_needs_no_closing() -> None:
    async def fail() -> SampleContext:
        raise OSError("no cluster")

    lifecycle = Lifecycle(fail)
    await lifecycle.aclose()
    with pytest.raises(OSError, match="no cluster"):
        await lifecycle.context()
    await lifecycle.aclose()


def test_another_loop_gets_a_context_of_its_own() -> None:
    built = []

    async def build() -> SampleContext:
        built.append(asyncio.get_running_loop())
        return SampleContext(None)

    lifecycle = Lifecycle(build)
    asyncio.run(lifecycle.context())
    asyncio.run(lifecycle.context())
    assert len(set(built)) == 2


def test_signals_are_left_alone_outside_the_main_thread(server: Server) -> None:
    async def build() -> SampleContext:
        return SampleContext(None)

    async def serve() -> None:
        with Lifecycle(build).request():
            pass

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) == server.handle_exit
