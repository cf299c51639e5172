"""What a signal does to a function that the real server serves in a process of its own."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from image_catalog.local.functions import free_port
from image_catalog.testing.forking import Forked, Forker
from image_catalog.testing.looking import NotYetError, look

pytestmark = pytest.mark.story

FUNCTION = """
import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

from image_catalog.events import EventType, catalog_function, exact
from image_catalog.models.events import PublishRequest
from image_catalog.testing.forking import Forked, Forker
from image_catalog.testing.looking import look

HERE = Path(__file__).parent


class Context:
    sink = reviewer = None

    def clock(self):
        return datetime.now(UTC)

    async def ready(self):
        pass

    async def aclose(self):
        await asyncio.to_thread((HERE / "closed").touch)


async def build():
    (HERE / "built").touch()
    return Context()


@catalog_function(
    triggers=[exact(type=EventType.PUBLISH_REQUESTED, payload=PublishRequest)], emits=[], context=build
)
async def main(event, context):
    (HERE / f"begun-{event.id}").touch()
    if event.id == "slow":
        async for attempt in look(every=timedelta(milliseconds=10), limit=timedelta(minutes=1), on=(OSError,)):
            with attempt:
                (HERE / "release").stat()
    (HERE / f"handled-{event.id}").touch()
    return []
"""

PATIENCE = 20.0
"""Seconds until a wait is a failure; a start on a loaded machine takes a few."""


def eventually(condition: Callable[[], bool]) -> None:
    for attempt in look(every=timedelta(milliseconds=10), limit=timedelta(seconds=PATIENCE)):
        with attempt:
            if not condition():
                raise NotYetError


@dataclass
class Process:
    folder: Path
    port: int
    forked: Forked

    def request(self, method: str, path: str, event_id: str = "1") -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        headers = {
            "ce-specversion": "1.0",
            "ce-id": event_id,
            "ce-source": "/tests",
            "ce-type": "com.redhat.automotive.catalog.publish.requested",
            "content-type": "application/json",
        }
        try:
            connection.request(method, path, json.dumps({"registryUrl": "quay.io/acme/autosd:1"}), headers)
            return connection.getresponse().status
        finally:
            connection.close()

    def is_listening(self) -> bool:
        try:
            return self.request("GET", "/healthz") == 200
        except OSError:
            return False

    def has(self, name: str) -> bool:
        return (self.folder / name).exists()

    def post_aside(self, event_id: str) -> tuple[threading.Thread, list[int]]:
        answers: list[int] = []
        thread = threading.Thread(target=lambda: answers.append(self.request("POST", "/", event_id)))
        thread.start()
        return thread, answers

    def stop(self, number: signal.Signals) -> float:
        """Send a signal to the server, wait until it is gone, and return the seconds that took."""
        begun = time.monotonic()
        self.forked.send_signal(number)
        self.forked.wait(PATIENCE)
        return time.monotonic() - begun


@pytest.fixture(scope="module")
def forker() -> Iterator[Forker]:
    """Import once what each process would: the framework, its servers, and what the function needs."""
    served = ("functions_framework.aio", "gunicorn.app.base", "gunicorn.arbiter", "uvicorn_worker", "uvicorn.main")
    with Forker.importing(*served, "image_catalog.events", "image_catalog.testing.looking") as parent:
        yield parent


@pytest.fixture(params=["gunicorn", "uvicorn"])
def process(request: pytest.FixtureRequest, tmp_path: Path, forker: Forker) -> Iterator[Process]:
    (tmp_path / "main.py").write_text(FUNCTION)
    port = free_port()
    command = ["functions_framework", "--target=main", f"--source={tmp_path / 'main.py'}", "--asgi"]
    # --debug serves with uvicorn alone, without gunicorn's arbiter and its worker.
    command += ["--host=127.0.0.1", f"--port={port}", *(["--debug"] if request.param == "uvicorn" else [])]
    with forker.running(*command, environment=os.environ | {"WORKERS": "1"}, log=tmp_path / "log") as forked:
        process = Process(tmp_path, port, forked)
        eventually(lambda: forked.poll() is not None or process.is_listening())
        yield process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_closes_the_context_and_ends_the_process_promptly(process: Process, number: signal.Signals) -> None:
    assert not process.has("built")
    assert process.request("POST", "/") == 204
    assert process.has("built")
    assert not process.has("closed")

    assert process.stop(number) < 5
    assert process.has("closed")
    lines = (process.folder / "log").read_text().splitlines()
    (line,) = [json.loads(line) for line in lines if '"event handled"' in line]
    assert (line["outcome"], line["function"], line["cause"]) == ("ok", process.folder.name, "1")


def test_an_event_in_flight_is_finished_first(process: Process) -> None:
    thread, answers = process.post_aside("slow")
    eventually(lambda: process.has("begun-slow"))

    process.forked.send_signal(signal.SIGTERM)
    # The server still answers while it drains, and new work is sent back to the broker.
    eventually(lambda: process.request("GET", "/readyz") == 503)
    assert process.request("POST", "/", "late") == 503
    assert not process.has("closed")
    (process.folder / "release").touch()

    thread.join(PATIENCE)
    process.forked.wait(PATIENCE)
    assert answers == [204]
    assert process.has("handled-slow")
    assert process.has("closed")
    assert not process.has("begun-late")


def test_an_interrupt_does_not_wait_for_an_event_that_hangs(process: Process) -> None:
    thread, answers = process.post_aside("slow")
    eventually(lambda: process.has("begun-slow"))

    assert process.stop(signal.SIGINT) < 5
    thread.join(PATIENCE)
    assert answers == [503]
    assert process.has("closed")
    assert not process.has("handled-slow")


def test_a_process_without_an_event_has_nothing_to_close(process: Process) -> None:
    assert process.stop(signal.SIGTERM) < 5
    assert not process.has("built")
