"""One HTTP connection to one server: TLS, proxies, time-outs.

The standard library's client: it is there in a quarter of the time that an HTTP library takes to import, and a command
asks one or two questions.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from image_catalog.cli.errors import CommandError, RequestTimedOutError, ServerUnreachableError, SettingsError
from image_catalog.cli.proxies import proxy_address, proxy_for, proxy_headers

__all__ = ["Connection", "RawAnswer"]

_PIECE = 65536
_TRUST = "give the CA's certificates with --certificate-authority FILE, or go without the check with --insecure"
_ADDRESS = "is the address right (--server, CAIB_SERVER), and does the server run?"


@dataclass(frozen=True, slots=True, kw_only=True)
class RawAnswer:
    """What the server answered.

    Attributes
    ----------
    status
        HTTP status.
    headers
        Header fields; names in lower case.
    body
        Without its content coding.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class Connection:
    """A connection that is made when it is first needed, and kept.

    Parameters
    ----------
    server
        URL of the server, with a path that every request's path is put behind.
    certificate_authority
        File that the server's certificate is checked against; the system's own when absent.
    insecure
        Whether the certificate goes unchecked.
    """

    def __init__(self, server: str, *, certificate_authority: Path | None, insecure: bool) -> None:
        self.server = server
        parts = urlsplit(server)
        self._tls = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._tls else 80)
        self._prefix = parts.path
        self._proxy = proxy_for(parts.scheme, self._host, self._port)
        self._authority, self._insecure = certificate_authority, insecure
        self._http: http.client.HTTPConnection | None = None

    def request(
        self, method: str, path: str, *, headers: Mapping[str, str], body: bytes | None, timeout: timedelta
    ) -> RawAnswer:
        """Ask, and read the whole answer.

        Parameters
        ----------
        method, path, headers, body
            The request; the path with its query.
        timeout
            How long all of it may take.

        Raises
        ------
        ServerUnreachableError
            Raised if the server cannot be reached or trusted, or speaks no HTTP.
        RequestTimedOutError
            Raised if it takes longer.
        """
        deadline = time.monotonic() + timeout.total_seconds()
        reused = self._http is not None
        if reused and method != "GET":
            # A kept connection may be gone without our knowing, and what writes must not be asked twice.
            self.close()
            reused = False
        try:
            try:
                return self._ask(method, path, headers, body, deadline)
            except (ConnectionError, http.client.BadStatusLine):
                if not reused:
                    raise
                self.close()
                return self._ask(method, path, headers, body, deadline)
        except (OSError, http.client.HTTPException) as e:
            self.close()
            raise self._failure(e, timeout) from e
        except BaseException:
            # Half an answer must not be taken for the start of the next.
            self.close()
            raise

    def stream(
        self, path: str, *, headers: Mapping[str, str], timeout: timedelta, patience: Callable[[], float]
    ) -> tuple[RawAnswer, Iterator[bytes]]:
        """Ask with GET, and return the head of the answer and its lines, which are read as they come.

        Parameters
        ----------
        path, headers
            The request; the path with its query.
        timeout
            How long the head may take, and the whole of an answer other than 200, which has no lines but a body.
        patience
            Says how many seconds the next piece may take.

        Raises
        ------
        ServerUnreachableError
            Raised if the server cannot be reached or trusted, speaks no HTTP, or breaks off; by the lines too.
        RequestTimedOutError
            Raised if it takes longer; by the lines too.
        """
        # It ends with the last line, or is given up in the middle: nothing is asked on it before or after.
        self.close()
        deadline = time.monotonic() + timeout.total_seconds()
        try:
            answer, sock = self._send("GET", path, headers, None, deadline)
            body = b"" if answer.status == HTTPStatus.OK else _read(answer, sock, deadline)
        except (OSError, http.client.HTTPException) as e:
            self.close()
            raise self._failure(e, timeout) from e
        raw = RawAnswer(status=answer.status, headers=_fields(answer), body=body)
        return raw, self._lines(answer, sock, patience)

    def _lines(
        self, answer: http.client.HTTPResponse, sock: socket.socket, patience: Callable[[], float]
    ) -> Iterator[bytes]:
        rest = b""
        try:
            while True:
                seconds = patience()
                try:
                    sock.settimeout(seconds)
                    piece = answer.read1(_PIECE)
                except (OSError, http.client.HTTPException) as e:
                    raise self._failure(e, timedelta(seconds=seconds)) from e
                if not piece:
                    return
                *lines, rest = (rest + piece).split(b"\n")
                yield from lines
        finally:
            self.close()

    def close(self) -> None:
        """Close the connection; the next request makes another one."""
        if self._http is not None:
            self._http.close()
            self._http = None

    def _ask(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, deadline: float
    ) -> RawAnswer:
        answer, sock = self._send(method, path, headers, body, deadline)
        return RawAnswer(status=answer.status, headers=_fields(answer), body=_read(answer, sock, deadline))

    def _send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, deadline: float
    ) -> tuple[http.client.HTTPResponse, socket.socket]:
        # The library drops the socket of a server that said that it closes.
        if self._http is None or self._http.sock is None:
            self._http = self._connect(deadline)
        connection = self._http
        # Taken now: the library forgets the socket of an answer behind which the server closes.
        sock: socket.socket = connection.sock
        sock.settimeout(_left(deadline))
        target = f"{self._prefix}{path}"
        if self._proxy and not self._tls:
            # A proxy for plain HTTP is told the whole URL: RFC 9112, section 3.2.2.
            target = f"{self.server}{path}"
            headers = {**headers, **proxy_headers(self._proxy)}
        connection.request(method, target, body=body, headers=dict(headers))
        return connection.getresponse(), sock

    def _connect(self, deadline: float) -> http.client.HTTPConnection:
        host, port = self._host, self._port
        if self._proxy:
            host, port = proxy_address(self._proxy)
        connection: http.client.HTTPConnection
        if self._tls:
            connection = http.client.HTTPSConnection(host, port, timeout=_left(deadline), context=self._context())
        else:
            connection = http.client.HTTPConnection(host, port, timeout=_left(deadline))
        if self._proxy and self._tls:
            connection.set_tunnel(self._host, self._port, headers=proxy_headers(self._proxy))
        connection.connect()
        return connection

    def _context(self) -> ssl.SSLContext:
        if self._insecure:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return context
        try:
            return ssl.create_default_context(cafile=self._authority)
        except (OSError, ValueError) as e:
            what = "is not there" if isinstance(e, FileNotFoundError) else "has no certificate that can be read"
            raise SettingsError(f"certificate authority {self._authority} {what}") from e

    def _failure(self, error: Exception, timeout: timedelta) -> CommandError:
        """Say in the words of people what a library, or the system, said."""
        if isinstance(error, TimeoutError):
            return RequestTimedOutError(
                f"{self.server} did not answer within {timeout.total_seconds():g}s",
                hint="wait longer with --request-timeout 2m, or look whether the server is well",
            )
        if isinstance(error, ssl.SSLCertVerificationError):
            return ServerUnreachableError(
                f"the certificate of {self.server} is not trusted: {error.verify_message}", hint=_TRUST
            )
        if isinstance(error, ssl.SSLError):
            said = (error.reason or str(error)).replace("_", " ").lower()
            return ServerUnreachableError(
                f"{self.server} cannot be reached: TLS failed ({said})", hint="does it speak TLS at all, or http://?"
            )
        if isinstance(error, socket.gaierror):
            return ServerUnreachableError(f"{self.server} cannot be reached: its name has no address", hint=_ADDRESS)
        if isinstance(error, http.client.HTTPException) and not isinstance(error, ConnectionError):
            return ServerUnreachableError(
                f"{self.server} gives no whole HTTP answer", hint="is it an https:// server, or another one at all?"
            )
        said = (getattr(error, "strerror", None) or str(error)).lower()
        by = f" through the proxy {proxy_address(self._proxy)[0]}" if self._proxy else ""
        return ServerUnreachableError(f"{self.server} cannot be reached{by}: {said}", hint=_ADDRESS)


def _fields(answer: http.client.HTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in answer.getheaders()}


def _read(answer: http.client.HTTPResponse, sock: socket.socket, deadline: float) -> bytes:
    pieces = []
    while True:
        sock.settimeout(_left(deadline))
        if not (piece := answer.read1(_PIECE)):
            break
        pieces.append(piece)
    if answer.length:
        raise http.client.IncompleteRead(b"", answer.length)
    # Read in pieces, it does not notice its own end, and the connection takes no other request before.
    answer.close()
    content = b"".join(pieces)
    if answer.headers.get("content-encoding") == "gzip":
        with suppress(zlib.error):
            content = zlib.decompress(content, wbits=31)
    return content


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
