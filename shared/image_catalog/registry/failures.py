"""Why there was no answer: what the network's exceptions mean to the catalog."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Sequence

import httpcore
import httpx

from image_catalog.errors import (
    CatalogError,
    HostNotAllowedError,
    RegistryFaultError,
    RegistryUnreachableError,
    TLSVerificationError,
)
from image_catalog.registry.hosts import Origin

__all__ = ["CROWDED", "LOST", "NETWORK_FAILURES", "TIMEOUTS", "connection_failure", "outcome_of"]

LOST = (
    httpcore.RemoteProtocolError,
    httpcore.ReadError,
    httpcore.WriteError,
    httpx.RemoteProtocolError,
    httpx.ReadError,
    httpx.WriteError,
)
"""How a connection looks that the server closed while it was idle, at the moment when it is used again."""

CROWDED = (httpx.PoolTimeout, httpcore.PoolTimeout)
"""No connection came free: others are slow, and whoever was to be asked is not to blame."""

TIMEOUTS = (TimeoutError, httpx.TimeoutException, httpcore.TimeoutException)
"""Limits of time, whoever keeps them."""

NETWORK_FAILURES = (httpx.HTTPError, httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError, OSError)
"""Everything else that a connection can do to us; the doors of other libraries raise either family."""

_WORDS: dict[type[CatalogError], str] = {
    RegistryUnreachableError: "unreachable",
    TLSVerificationError: "untrusted",
    HostNotAllowedError: "refused",
}


def outcome_of(error: CatalogError) -> str:
    """Return one word for the metric.

    Parameters
    ----------
    error
        Why there was no answer.
    """
    return next((word for kind, word in _WORDS.items() if isinstance(error, kind)), "invalid")


def connection_failure(error: Exception, origin: Origin, subject: str) -> CatalogError:
    """Return the catalog's error for an exception of the network.

    Parameters
    ----------
    error
        One of `NETWORK_FAILURES`.
    origin
        Who was asked.
    subject
        What it was about, for messages.
    """
    chain = _causes(error)
    for cause in chain:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return TLSVerificationError(
                f"{subject}: the certificate of {origin.authority} is not trusted ({cause.verify_message}); "
                "give its CA in a CatalogRegistry's tls.caBundle"
            )
    if any(isinstance(cause, ssl.SSLError) for cause in chain):
        return RegistryUnreachableError(
            f"{subject}: {origin.authority} does not speak TLS as it should; "
            "if it speaks plain http, say so in a CatalogRegistry's tls.plainHTTP"
        )
    if isinstance(error, (httpx.ProtocolError, httpcore.ProtocolError)):
        return RegistryFaultError(f"{subject}: {origin.authority} does not speak HTTP as it should")
    words = next((f" ({_words(cause)})" for cause in chain if isinstance(cause, OSError) and cause.errno), "")
    return RegistryUnreachableError(f"{subject}: {origin.authority} cannot be reached{words}")


def _words(error: OSError) -> str:
    """Return the system's words; asyncio replaces them by its own, with an address that nobody typed."""
    if isinstance(error, socket.gaierror) or error.errno is None:
        return error.strerror or "unknown"
    return os.strerror(error.errno).lower()


def _causes(error: BaseException) -> Sequence[BaseException]:
    chain: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in chain:
        chain.append(following)
        following = following.__cause__ or following.__context__
    return chain
