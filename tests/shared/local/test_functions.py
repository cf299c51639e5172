from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from image_catalog.errors import PermanentError
from image_catalog.local.functions import FunctionProcess, free_port, free_ports, function_source
from image_catalog.testing.looking import look

FUNCTIONS = ["audit", "cleanup", "publish", "reverify", "verify"]


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        yield client


def process_of(tmp_path: Path, name: str, **environment: str) -> FunctionProcess:
    return FunctionProcess(name, environment=environment, log=tmp_path / f"{name}.log", port=free_port())


def test_of_many_free_ports_each_is_another_one() -> None:
    # As many, drawn one by one, would hold the same one twice.
    assert len(set(free_ports(1000))) == 1000


def test_a_free_port_is_one_that_nobody_listens_on() -> None:
    with socket.create_server(("127.0.0.1", free_port())):
        pass


def test_a_preferred_port_is_taken_if_it_is_free() -> None:
    preferred = free_port()
    assert free_port(preferred) == preferred
    with socket.create_server(("127.0.0.1", preferred)):
        assert free_port(preferred) != preferred


async def test_what_the_manifest_runs_is_run_in_place_of_the_framework(
    tmp_path: Path, client: httpx.AsyncClient
) -> None:
    command = ("python", "-c", "import os; print('listens on', os.environ['PORT'], 'as', os.environ['K_SERVICE'])")
    process = FunctionProcess("api", environment={}, log=tmp_path / "api.log", port=free_port(), command=command)
    await process.start()
    with pytest.raises(PermanentError, match="api did not start"):
        await process.wait_ready(client)
    assert process.log.read_text() == f"listens on {process.port} as api\n"
    await process.stop()


async def test_where_traces_go_is_handed_on_and_nothing_else_of_the_shell(
    tmp_path: Path, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    monkeypatch.setenv("IMAGE_CATALOG_LOG_LEVEL", "debug")
    command = ("python", "-c", "import os; print(*sorted(v for v in os.environ if v.startswith(('OTEL', 'IMAGE_C'))))")
    process = FunctionProcess("api", environment={}, log=tmp_path / "api.log", port=free_port(), command=command)
    await process.start()
    with pytest.raises(PermanentError, match="api did not start"):
        await process.wait_ready(client)
    assert process.log.read_text() == "OTEL_EXPORTER_OTLP_ENDPOINT\n"
    await process.stop()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_source_of_a_function_is_its_main(name: str) -> None:
    assert function_source(name).is_file()


async def test_a_function_that_cannot_start_tells_the_end_of_its_log(tmp_path: Path, client: httpx.AsyncClient) -> None:
    process = process_of(tmp_path, "no-such-function")
    await process.start()
    with pytest.raises(PermanentError, match="no-such-function did not start") as raised:
        await process.wait_ready(client)
    assert str(process.log) in raised.value.message
    assert "no-such-function" in raised.value.message.partition("\n")[2]
    await process.stop()


async def test_a_function_that_was_never_started_can_be_stopped(tmp_path: Path) -> None:
    process = process_of(tmp_path, "audit")
    assert process.pid is None
    await process.stop()


async def test_stopping_ends_the_server_and_its_workers(tmp_path: Path, client: httpx.AsyncClient) -> None:
    process = process_of(tmp_path, "audit", IMAGE_CATALOG_LOG_FORMAT="console")
    await process.start()
    # Alive before it is ready: without a cluster it never is.
    async for attempt in look(every=timedelta(milliseconds=10), limit=timedelta(seconds=60), on=(httpx.HTTPError,)):
        with attempt:
            assert (await client.get(f"{process.url}/healthz")).status_code == 200

    await process.stop()

    with pytest.raises(httpx.ConnectError):
        await client.get(f"{process.url}/healthz")
    # Nobody holds the port any more, a worker that was forgotten would.
    with socket.create_server(("127.0.0.1", process.port)):
        pass
    await process.stop()
