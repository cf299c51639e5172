"""The API as a process: how it starts, what it refuses, how it stops."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from image_catalog.local.clients import IN_CLEAR
from image_catalog.local.functions import free_port
from image_catalog.testing.forking import Forked

pytestmark = pytest.mark.story

_COMMAND = (sys.executable, "-m", "image_catalog_functions.api")
_NO_CLUSTER = {
    name: value for name, value in os.environ.items() if not name.startswith(("KUBE", "IMAGE_CATALOG", "PORT"))
}


@contextmanager
def asking(port: int) -> Iterator[httpx.Client]:
    """Give a client of a process that is well."""
    transport = httpx.HTTPTransport(retries=7, verify=IN_CLEAR)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", transport=transport) as client:
        client.get("/healthz").raise_for_status()
        yield client


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    """Serve for every test that only looks: a start takes longer than any of them."""
    port = free_port()
    process = subprocess.Popen(
        [*_COMMAND, "--auth", "none"],
        env={**_NO_CLUSTER, "PORT": str(port)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if b"API listening" in line:
                break
        with asking(port) as client:
            yield process, client
    finally:
        process.kill()
        process.communicate()


def test_what_is_wrong_with_its_command_line_is_told_in_a_line() -> None:
    done = subprocess.run(
        [*_COMMAND, "--auth", "none", "--host", "192.0.2.1"],
        env=_NO_CLUSTER,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "192.0.2.1" in done.stderr


def test_without_a_cluster_it_lives_and_is_not_ready(served: tuple[subprocess.Popen[bytes], httpx.Client]) -> None:
    _, client = served
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json()["reason"]) == (503, "IndexNotFilled")
    answer = client.get("/api/v1alpha1/catalog/images")
    assert (answer.status_code, answer.json()["reason"]) == (503, "IndexNotFilled")
    assert answer.headers["retry-after"] == "1"
    assert "image_catalog_api_index_age_seconds" in client.get("/metrics").text


@pytest.mark.skipif(sys.platform != "linux", reason="the policy is Linux's")
def test_no_thread_of_it_is_pushed_aside_because_another_is_woken(
    served: tuple[subprocess.Popen[bytes], httpx.Client],
) -> None:
    process, _ = served
    threads = [int(task.name) for task in Path(f"/proc/{process.pid}/task").iterdir()]
    assert len(threads) > 1
    assert {os.sched_getscheduler(thread) for thread in threads} == {os.SCHED_BATCH}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_stops_cleanly_on_a_signal(number: signal.Signals, started: tuple[Forked, int, Path]) -> None:
    process, port, log = started
    with asking(port):
        process.send_signal(number)
        assert process.wait(20) == 0
    output = log.read_bytes()
    assert b"API stopped" in output
    assert b"Traceback" not in output
