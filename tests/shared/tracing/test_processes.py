"""Processes as they are started: what they import, and what becomes of their last spans."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from image_catalog.local.functions import free_port
from image_catalog.testing.collector import Collector
from image_catalog.testing.forking import Forked, Forker
from image_catalog.testing.looking import look

pytestmark = pytest.mark.story

FUNCTION = """
import sys
from datetime import UTC, datetime
from pathlib import Path

from image_catalog.events import EventType, catalog_function, exact
from image_catalog.models.events import PublishRequest


class Context:
    sink = reviewer = None

    def clock(self):
        return datetime.now(UTC)

    async def ready(self):
        pass

    async def aclose(self):
        Path(__file__).with_name("modules").write_text("\\n".join(sys.modules))


async def build():
    return Context()


@catalog_function(triggers=[exact(type=EventType.PUBLISH_REQUESTED, payload=PublishRequest)], emits=[], context=build)
async def main(event, context):
    return []
"""
EVENT = {
    "ce-specversion": "1.0",
    "ce-id": "1",
    "ce-source": "/tests",
    "ce-type": "com.redhat.automotive.catalog.publish.requested",
}
PROCESS = f"process {EVENT['ce-type']}"


Serve = Callable[[Mapping[str, str]], AbstractContextManager[Forked]]


@pytest.fixture(scope="module")
def forker() -> Iterator[Forker]:
    """Import once what every process needs, traced or not."""
    served = ("functions_framework.aio", "gunicorn.app.base", "gunicorn.arbiter", "uvicorn_worker")
    with Forker.importing(*served, "image_catalog.events") as parent:
        yield parent


@pytest.fixture
def serving(tmp_path: Path, forker: Forker) -> Serve:
    """Serve a function with gunicorn, give it one event, and leave it running."""
    folder = tmp_path / "sample"
    folder.mkdir()
    (folder / "main.py").write_text(FUNCTION)
    untraced = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}

    @contextmanager
    def serve(environment: Mapping[str, str]) -> Iterator[Forked]:
        port = free_port()
        command = ["functions_framework", "--asgi", "--target=main", "--host=127.0.0.1"]
        command += [f"--source={folder / 'main.py'}", f"--port={port}"]
        given = {**untraced, **environment, "WORKERS": "1"}
        with forker.running(*command, environment=given, log=folder / "log") as process:
            for attempt in look(every=timedelta(milliseconds=20), limit=timedelta(seconds=30), on=(httpx.HTTPError,)):
                with attempt:
                    data = {"registryUrl": "quay.io/acme/autosd:cs9"}
                    answer = httpx.post(f"http://127.0.0.1:{port}", headers=EVENT, json=data, trust_env=False)
                    assert answer.status_code == 204
            yield process
            process.send_signal(signal.SIGTERM)
            process.wait(30)

    return serve


def test_a_process_that_is_not_traced_imports_nothing_of_it(tmp_path: Path, serving: Serve) -> None:
    with serving({}):
        pass
    loaded = (tmp_path / "sample" / "modules").read_text().split()
    assert "image_catalog.tracing.spans" in loaded
    assert not [name for name in loaded if name.startswith(("opentelemetry", "google.protobuf", "requests"))]
    assert "image_catalog.tracing.exporting" not in loaded


def test_the_last_spans_of_a_process_are_sent_when_it_is_told_to_end(serving: Serve) -> None:
    with Collector() as collector:
        # The batch would leave in a minute: ending is what sends it.
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "60000"}
        with serving(environment):
            assert collector.spans == []
        span = collector.find(PROCESS)
    assert (span.resource["service.name"], span.attributes["faas.name"]) == ("sample", "sample")
    assert span.error is None


def test_a_process_ends_although_its_collector_hangs(tmp_path: Path, serving: Serve) -> None:
    with Collector(silent=True) as collector:
        with serving({"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}) as process:
            pass
        assert collector.asked.is_set()
    # By itself: gunicorn kills a worker that stays for more than 30 s.
    assert process.returncode == 0
    assert b"did not take the last ones" in (tmp_path / "sample" / "log").read_bytes()
