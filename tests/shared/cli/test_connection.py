"""The connection of ``caib``: TLS, proxies, time-outs, servers that are not there."""

from __future__ import annotations

import contextlib
import gzip
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from image_catalog.cli.connection import Connection
from image_catalog.cli.errors import ExitCode, RequestTimedOutError, ServerUnreachableError, SettingsError
from image_catalog.testing.catalog_api import BASE, ScriptedAnswer, ScriptedCatalog

Run = Callable[..., Any]
SECOND = timedelta(seconds=1)


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def secured(authority: trustme.CA) -> Iterator[ScriptedCatalog]:
    """Serve the scripted catalog over TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with ScriptedCatalog(tls=context) as served:
        served.answers["GET", "/images"] = ScriptedAnswer(200, {"items": []})
        yield served


def test_a_certificate_that_is_not_trusted_gets_the_remedy(
    caib: Run, secured: ScriptedCatalog, authority: trustme.CA, tmp_path: Path
) -> None:
    ran = caib("catalog", "list", "--server", secured.url)
    error, hint = ran.err.splitlines()
    assert ran.code == ExitCode.ERROR
    assert error.startswith(f"Error: the certificate of {secured.url} is not trusted: ")
    assert "--certificate-authority" in hint
    assert caib("catalog", "list", "--server", secured.url, "--insecure").code == 0
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    trusting = ("--certificate-authority", tmp_path / "ca.pem")
    assert caib("catalog", "list", "--server", secured.url, *trusting).code == 0


def test_a_server_that_speaks_no_tls_is_told_apart(caib: Run, catalog: ScriptedCatalog) -> None:
    ran = caib("catalog", "list", "--server", catalog.url.replace("http:", "https:"))
    assert "TLS failed" in ran.err
    assert "http://" in ran.err.splitlines()[1]


def test_a_server_that_speaks_no_http_is_told(caib: Run) -> None:
    with serving(b"SSH-2.0-x\r\n") as url:
        ran = caib("catalog", "list", "--server", url)
    assert ran.err.startswith(f"Error: {url} gives no whole HTTP answer\n")


def test_an_answer_that_breaks_off_is_no_answer(caib: Run) -> None:
    half = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"items"'
    with serving(half) as url:
        ran = caib("catalog", "list", "--server", url)
    assert ran.err.startswith(f"Error: {url} gives no whole HTTP answer\n")


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab"], ids=["nothing", "half of it"]
)
def test_a_server_that_does_not_answer_in_time_has_a_code_of_its_own(caib: Run, answer: bytes) -> None:
    with serving(answer, keep=True) as url:
        ran = caib("catalog", "list", "--server", url, "--request-timeout", "50ms")
    assert ran.code == ExitCode.TIMED_OUT
    assert ran.err.startswith(f"Error: {url} did not answer within 0.05s\nHint: ")


@pytest.mark.parametrize(
    ("server", "said"),
    [("http://127.0.0.1:1", "connection refused"), ("http://catalog.invalid", "its name has no address")],
    ids=["nobody listens", "no name"],
)
def test_a_server_that_is_down_is_one_line_and_the_remedy(caib: Run, server: str, said: str) -> None:
    ran = caib("catalog", "list", "--server", server)
    error, hint = ran.err.splitlines()
    assert (ran.code, ran.out, error) == (1, "", f"Error: {server} cannot be reached: {said}")
    assert "CAIB_SERVER" in hint


Connect = Callable[..., Connection]


@pytest.fixture
def connection() -> Iterator[Connect]:
    """Make connections, and close them."""
    with contextlib.ExitStack() as stack:

        def make(server: str, **settings: Any) -> Connection:
            made = Connection(server, **{"certificate_authority": None, "insecure": False} | settings)
            stack.callback(made.close)
            return made

        yield make


def test_a_certificate_authority_that_is_none_is_named(connection: Connect, tmp_path: Path) -> None:
    (tmp_path / "ca").write_text("x")
    for path, said in ((tmp_path / "ca", "no certificate that can be read"), (tmp_path / "b", "is not there")):
        with pytest.raises(SettingsError, match=said):
            ask(connection("https://127.0.0.1:1", certificate_authority=path))


def ask(made: Connection, method: str = "GET", path: str = f"{BASE}/x") -> Any:
    return made.request(method, path, headers={}, body=None, timeout=SECOND)


def test_a_connection_is_kept_and_made_again_when_the_server_closed_it(
    connection: Connect, catalog: ScriptedCatalog
) -> None:
    catalog.answers["GET", "/x"] = [
        ScriptedAnswer(),
        ScriptedAnswer(200, None, {"Connection": "close"}),
        ScriptedAnswer(),
    ]
    made = connection(catalog.url)
    assert [ask(made).status for _ in range(4)] == [200] * 4


def test_what_writes_is_asked_once_on_a_connection_of_its_own(connection: Connect, catalog: ScriptedCatalog) -> None:
    catalog.answers["GET", "/x"] = catalog.answers["POST", "/x"] = ScriptedAnswer()
    made = connection(catalog.url)
    assert [ask(made).status, ask(made, "POST").status] == [200, 200]
    with serving(b"") as url, pytest.raises(ServerUnreachableError):
        ask(connection(url), "POST")


def test_a_compressed_answer_is_read(connection: Connect) -> None:
    body = gzip.compress(b"{}")
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with serving(head + body) as url:
        assert ask(connection(url)).body == b"{}"


def test_a_proxy_is_asked_for_the_whole_url_with_its_credential(
    connection: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[bytes] = []
    with serving(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", said) as proxy:
        monkeypatch.setenv("http_proxy", proxy.replace("http://", "http://me:p%40ss@"))
        assert ask(connection("http://catalog.invalid")).status == 200
    assert said[0].startswith(f"GET http://catalog.invalid{BASE}/x HTTP/1.1\r\n".encode())
    assert b"Proxy-Authorization: Basic bWU6cEBzcw==\r\n" in said[0]


def test_a_proxy_is_asked_for_a_tunnel_to_a_server_with_tls(
    connection: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[bytes] = []
    with serving(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n", said) as proxy:
        monkeypatch.setenv("https_proxy", proxy.removeprefix("http://"))
        with pytest.raises(
            ServerUnreachableError, match=r"through the proxy 127\.0\.0\.1: tunnel connection failed: 407"
        ):
            ask(connection("https://catalog.invalid"))
    assert said[0].startswith(b"CONNECT catalog.invalid:443 HTTP/1.")


@pytest.mark.parametrize("exempt", ["127.0.0.1", "catalog.invalid"], ids=["this machine", "NO_PROXY"])
def test_a_server_that_is_exempt_is_asked_directly(
    connection: Connect, monkeypatch: pytest.MonkeyPatch, exempt: str
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "catalog.invalid")
    with pytest.raises(ServerUnreachableError) as raised:
        ask(connection(f"http://{exempt}:2"))
    assert "proxy" not in raised.value.message


def test_a_proxy_of_another_kind_is_told_without_its_password(
    connection: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("all_proxy", "socks5://me:pw@127.0.0.1:1")
    with pytest.raises(SettingsError, match=r"proxy 127\.0\.0\.1:1 is no http:// proxy"):
        connection("http://catalog.invalid")


def test_no_time_left_is_a_time_out(connection: Connect) -> None:
    made = connection("http://127.0.0.1:1")
    with pytest.raises(RequestTimedOutError):
        made.request("GET", "/", headers={}, body=None, timeout=timedelta(0))


class serving:  # noqa: N801 - reads as a word in a with statement
    """A server that reads one request, says some bytes and closes, or keeps its silence.

    Parameters
    ----------
    answer
        What it says.
    said
        Where it puts what it read.
    keep
        Whether it leaves the connection open.
    """

    def __init__(self, answer: bytes, said: list[bytes] | None = None, *, keep: bool = False) -> None:
        self._answer, self._said, self._keep = answer, said if said is not None else [], keep
        self._over = threading.Event()

    def __enter__(self) -> str:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self._over.set()
        # Whoever was never asked is woken by a connection of our own.
        with socket.socket() as waker:
            waker.connect_ex(self._listener.getsockname())
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        connected, _ = self._listener.accept()
        with connected:
            if not self._over.is_set():
                self._said.append(connected.recv(65536))
                connected.sendall(self._answer)
            if self._keep:
                self._over.wait(10)
