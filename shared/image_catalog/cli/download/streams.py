"""One answer, read piece by piece: the standard library's client, into a buffer that is used again and again."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final, Self
from urllib.parse import urljoin, urlsplit

from image_catalog import __version__
from image_catalog.cli.errors import CommandError, SettingsError
from image_catalog.cli.proxies import proxy_address, proxy_for, proxy_headers

__all__ = ["Client", "Stream", "TransferError", "origin_of"]

CONNECT_TIMEOUT: Final = timedelta(seconds=10)
SILENCE: Final = timedelta(seconds=30)
"""Longest that a server may say nothing: a registry that fetches a blob from its own store takes some seconds."""

_REDIRECTS = 5
_REDIRECTING = frozenset({301, 302, 303, 307, 308})
_PORTS = {"http": 80, "https": 443}


class TransferError(CommandError):
    """A transfer failed in a way that another attempt may not.

    Parameters
    ----------
    message
        One sentence for people.
    status
        HTTP status of the answer; 0 where there was none.
    retry_after
        How long the server asks to wait.
    """

    reason = "TransferFailed"

    def __init__(self, message: str, *, status: int = 0, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


_Opened = tuple[http.client.HTTPConnection, str, Mapping[str, str]]


class Stream:
    """An answer whose body is still to be read; use it in a ``with`` block.

    Parameters
    ----------
    connection, response
        Of the standard library.
    """

    def __init__(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        self._connection = connection
        self._response = response
        self.status = response.status
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.getheaders()}
        # A body that comes in chunks has no length, and one that is over has nothing to be read from.
        self._left = None if response.fp is None else response.length

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read_into(self, buffer: memoryview) -> int:
        """Put what has come into a buffer, as soon as anything has; 0 at the end, or when the connection was cut.

        Raises
        ------
        TransferError
            Raised if the connection broke.
        """
        try:
            if self._left is None:
                piece = self._response.read1(len(buffer))
                buffer[: len(piece)] = piece
                return len(piece)
            # Past the library, which would make a new buffer each time, or wait until this one is full.
            count: int = self._response.fp.readinto1(buffer[: self._left])
        except (OSError, http.client.HTTPException) as e:
            raise TransferError(f"the connection broke: {_words(e)}") from e
        self._left -= count
        return count

    def close(self) -> None:
        """Give the connection up."""
        self._response.close()
        self._connection.close()


class Client:
    """Opens streams.

    Parameters
    ----------
    certificate_authority
        File with certificates that are trusted beside the system's own.
    """

    def __init__(self, *, certificate_authority: Path | None = None) -> None:
        self._authority = certificate_authority
        self._context: ssl.SSLContext | None = None

    def get(self, url: str, *, headers: Mapping[str, str]) -> Stream:
        """Ask for a file and follow redirects; ``Authorization`` goes to the URL's own origin alone.

        Parameters
        ----------
        url
            Where it is.
        headers
            What to send beside what every request has.

        Raises
        ------
        TransferError
            Raised if there is no answer.
        CommandError
            Raised if the URL, a redirect or the certificate cannot be trusted.
        """
        origin = origin_of(url)
        for _ in range(_REDIRECTS + 1):
            stream = self._ask(url, headers)
            location = stream.headers.get("location")
            if stream.status not in _REDIRECTING or location is None:
                return stream
            stream.close()
            following = urljoin(url, location)
            if origin_of(url)[0] == "https" and origin_of(following)[0] != "https":
                raise CommandError(f"{urlsplit(url).netloc} redirects from https to plain http, which is not followed")
            if origin_of(following) != origin:
                # For good: a way back to the first host may have been chosen by another one.
                headers = {name: value for name, value in headers.items() if name.lower() != "authorization"}
            url = following
        raise CommandError(f"{urlsplit(url).netloc} redirects again and again")

    def _ask(self, url: str, headers: Mapping[str, str]) -> Stream:
        scheme, host, port = origin_of(url)
        connection: http.client.HTTPConnection | None = None
        try:
            connection, target, more = self._connect(url, scheme, host, port)
            sent = {"User-Agent": f"caib/{__version__}", "Accept-Encoding": "identity", **headers, **more}
            connection.request("GET", target, headers=sent)
            return Stream(connection, connection.getresponse())
        except (OSError, http.client.HTTPException) as e:
            if connection is not None:
                connection.close()
            if isinstance(e, ssl.SSLCertVerificationError):
                raise CommandError(
                    f"the certificate of {host} is not trusted: {e.verify_message}",
                    hint="give its CA's certificates with --certificate-authority FILE",
                ) from e
            raise TransferError(f"{host} cannot be reached: {_words(e)}") from e
        except ValueError as e:
            # What http.client refuses to send: a URL with spaces, a header with a line break.
            raise CommandError(f"{host} cannot be asked: the address is no proper one") from e

    def _connect(self, url: str, scheme: str, host: str, port: int) -> _Opened:
        """Connect, and return what is asked for and what is told beside, which a proxy wants otherwise."""
        proxy = proxy_for(scheme, host, port)
        address = proxy_address(proxy) if proxy else (host, port)
        timeout = CONNECT_TIMEOUT.total_seconds()
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        told: Mapping[str, str] = {}
        connection: http.client.HTTPConnection
        if scheme == "https":
            connection = http.client.HTTPSConnection(*address, timeout=timeout, context=self._tls())
            if proxy:
                connection.set_tunnel(host, port, headers=proxy_headers(proxy))
        else:
            connection = http.client.HTTPConnection(*address, timeout=timeout)
            if proxy:
                target, told = url, proxy_headers(proxy)
        connection.connect()
        connection.sock.settimeout(SILENCE.total_seconds())
        return connection, target, told

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            context = ssl.create_default_context()
            if self._authority is not None:
                try:
                    context.load_verify_locations(self._authority)
                except (OSError, ValueError) as e:
                    raise SettingsError(f"certificate authority {self._authority} cannot be read") from e
            self._context = context
        return self._context


def origin_of(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of a URL.

    Raises
    ------
    CommandError
        Raised if it is none that a file is fetched from.
    """
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme, parts.hostname, parts.port
    except ValueError:
        scheme, host, port = "", None, None
    if scheme not in _PORTS or not host or "@" in parts.netloc:
        raise CommandError("the artifact's address is no http or https URL")
    return scheme, host, port or _PORTS[scheme]


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
