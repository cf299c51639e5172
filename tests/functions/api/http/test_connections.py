"""What clients do to the API's connections, against the real server: no one of them may cost the others anything."""

from __future__ import annotations

import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import stamina

from image_catalog.local.functions import free_port
from image_catalog.testing.forking import Forked

pytestmark = pytest.mark.story

COMMAND = ("-m", "image_catalog_functions.api", "--auth", "none")
NO_CLUSTER = {
    name: value for name, value in os.environ.items() if not name.startswith(("KUBE", "IMAGE_CATALOG", "PORT"))
}
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: api\r\n\r\n"
LARGE = b"GET /openapi.json HTTP/1.1\r\nHost: api\r\nConnection: close\r\n\r\n"
UNFINISHED = (
    b"POST /api/v1alpha1/catalog/verify HTTP/1.1\r\nHost: api\r\nContent-Type: application/json\r\n"
    b"Content-Length: 2\r\n\r\n{"
)
CONNECTIONS = 4096
"""How many the server serves at once."""

STUBBORN = """
import asyncio
from datetime import timedelta
from image_catalog_functions.api.serving import serve

async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while True:
        await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})

async def main():
    await serve(app, host="127.0.0.1", port=PORT, drain=timedelta(milliseconds=300))
    print("the rest is written", flush=True)

asyncio.run(main())
"""


class Api:
    """The process, and connections to it."""

    def __init__(self, process: subprocess.Popen[bytes] | Forked, port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self.log = log

    def connect(self, *, buffer: int | None = None, timeout: float = 10) -> socket.socket:
        connection = socket.socket()
        if buffer is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        connection.settimeout(timeout)
        try:
            connection.connect(("127.0.0.1", self.port))
        except OSError:
            connection.close()
            raise
        return connection

    def refuses(self) -> bool:
        """Whether it takes no connection any more."""
        try:
            self.connect().close()
        except ConnectionRefusedError:
            return True
        return False

    def ask(self, request: bytes) -> bytes:
        """Send a request and read its answer and the connection to their end."""
        with self.connect() as connection:
            connection.sendall(request)
            return read_all(connection)

    def is_healthy(self) -> bool:
        with self.connect() as connection:
            connection.sendall(HEALTH)
            return connection.recv(15) == b"HTTP/1.1 200 OK"

    @property
    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def stop(self) -> float:
        """Ask it to stop, and return how many seconds that took."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)
        return time.monotonic() - started


def read_all(connection: socket.socket) -> bytes:
    whole = b""
    while part := connection.recv(65536):
        whole += part
    return whole


def listening(api: Api) -> Api:
    """Wait until it can be connected to."""
    for attempt in stamina.retry_context(on=OSError, attempts=None, timeout=30, wait_initial=0.05, wait_max=0.1):
        with attempt:
            api.connect().close()
    return api


@contextmanager
def running(log: Path, *command: str) -> Iterator[Api]:
    port = free_port()
    arguments = [argument.replace("PORT", str(port)) for argument in command]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments], env={**NO_CLUSTER, "PORT": str(port)}, stdout=output, stderr=output
        )
    try:
        yield listening(Api(process, port, log))
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """One process for what must leave it as it was."""
    with running(tmp_path_factory.mktemp("api") / "log", *COMMAND) as api:
        assert api.is_healthy()
        api.ask(LARGE)
        yield api


@pytest.fixture
def own(started: tuple[Forked, int, Path]) -> Api:
    """Return a process for what ends it."""
    return listening(Api(*started))


@pytest.fixture
def api(shared: Api) -> Iterator[Api]:
    """Check that a test leaves nothing open, and no line that tells of an error."""
    before = shared.descriptors
    yield shared
    for attempt in stamina.retry_context(on=AssertionError, timeout=10, wait_initial=0.01, wait_max=0.1):
        with attempt:
            assert shared.descriptors <= before
    assert b'"level": "error"' not in shared.log.read_bytes()
    assert b"Traceback" not in shared.log.read_bytes()
    assert shared.is_healthy()


def test_requests_that_are_sent_at_once_are_answered_in_their_order(api: Api) -> None:
    paths = [b"/healthz", b"/readyz", b"/nix", b"/healthz"]
    requests = [b"GET %s HTTP/1.1\r\nHost: api\r\n\r\n" % path for path in paths]
    last = b"GET /healthz HTTP/1.1\r\nHost: api\r\nConnection: close\r\n\r\n"
    answers = api.ask(b"".join([*requests, last]))
    statuses = [part[:3] for part in answers.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"503", b"404", b"200", b"200"]


def test_client_that_reads_slowly_gets_everything_and_holds_up_nobody(api: Api) -> None:
    whole = api.ask(LARGE).partition(b"\r\n\r\n")[2]
    with api.connect(buffer=2048) as slow:
        slow.sendall(LARGE)
        got = b""
        for number in range(len(whole)):
            if number % 16 == 0:
                assert api.is_healthy()
            if not (part := slow.recv(1024)):
                break
            got += part
    assert got.partition(b"\r\n\r\n")[2] == whole


def test_clients_that_vanish_leave_nothing(api: Api) -> None:
    for _ in range(40):
        reader = api.connect(buffer=2048)
        reader.sendall(LARGE * 5)
        assert reader.recv(10)
        # Closed with a reset, as by a machine that was switched off.
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        reader.close()
        for beginning in (b"GET /hea", UNFINISHED, HEALTH[:-2]):
            writer = api.connect()
            writer.sendall(beginning)
            writer.close()
    assert api.is_healthy()


def test_a_thousand_silent_connections_cost_nobody_anything(api: Api) -> None:
    with ExitStack() as stack:
        for _ in range(1000):
            stack.enter_context(api.connect())
        assert api.is_healthy()
        assert api.ask(LARGE).startswith(b"HTTP/1.1 200")


def test_one_connection_too_many_waits_until_another_leaves(api: Api) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS + 200
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"a process may open {hard} files here, {wanted} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    limit = getattr(resource, "prlimit", None)
    assert limit is not None
    limit(api.process.pid, resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    try:
        with ExitStack() as stack:
            open_ones = [stack.enter_context(api.connect()) for _ in range(CONNECTIONS)]
            with api.connect(timeout=1) as late:
                late.sendall(HEALTH)
                with pytest.raises(TimeoutError):
                    late.recv(15)
                late.settimeout(10)
                for connection in open_ones[:2]:
                    connection.close()
                assert late.recv(15) == b"HTTP/1.1 200 OK"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_clients_that_say_nothing_or_too_little_are_cut_off(api: Api) -> None:
    with api.connect(timeout=25) as silent, api.connect(timeout=25) as kept, api.connect(timeout=1) as trickling:
        kept.sendall(HEALTH)
        assert kept.recv(1000).startswith(b"HTTP/1.1 200")
        started = time.monotonic()
        with pytest.raises(ConnectionError):  # noqa: PT012 - the loop is what is cut off
            while time.monotonic() - started < 25:
                trickling.sendall(b"X")
                try:
                    if trickling.recv(1) == b"":
                        raise ConnectionResetError
                except TimeoutError:
                    continue
        assert 10 < time.monotonic() - started < 25
        assert (silent.recv(1), kept.recv(1)) == (b"", b"")


def test_clients_that_have_vanished_are_not_waited_for(own: Api) -> None:
    for beginning in (LARGE, UNFINISHED, HEALTH, b"GET /hea"):
        with own.connect(buffer=2048) as gone:
            gone.sendall(beginning * 3)
    assert own.is_healthy()
    assert own.stop() < 5
    assert own.process.returncode == 0
    assert "requests cut off" not in own.log.read_text()


def test_requests_in_flight_are_answered_after_sigterm_and_new_ones_refused(own: Api) -> None:
    with own.connect() as flying, own.connect() as idle:
        flying.sendall(UNFINISHED)
        idle.sendall(HEALTH)
        assert idle.recv(1000).startswith(b"HTTP/1.1 200")
        own.process.send_signal(signal.SIGTERM)
        for attempt in stamina.retry_context(on=AssertionError, timeout=10, wait_initial=0.01, wait_max=0.05):
            with attempt:
                assert own.refuses()
        assert own.process.poll() is None
        flying.sendall(b"}")
        assert flying.recv(1000).startswith(b"HTTP/1.1 400")
        assert own.process.wait(10) == 0
        assert b"Traceback" not in own.log.read_bytes()


def test_client_that_does_not_read_its_answer_cannot_keep_the_server_from_stopping(tmp_path: Path) -> None:
    with running(tmp_path / "log", "-c", STUBBORN) as api, api.connect(buffer=2048) as stubborn:
        stubborn.sendall(HEALTH)
        assert stubborn.recv(10)
        assert api.stop() < 5
        assert api.process.returncode == 0
        log = api.log.read_text()
        assert "requests cut off" in log
        assert log.endswith("the rest is written\n")
