"""What clients on this machine trust: reading every certificate authority takes longer than most of what they ask."""

from __future__ import annotations

import ssl
from functools import cache
from typing import Final

import httpx

__all__ = ["IN_CLEAR", "everybody", "trust_for"]

IN_CLEAR: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients that ask plain HTTP alone. It trusts nobody: what asks for TLS with it is refused."""


@cache
def everybody() -> ssl.SSLContext:
    """Return the trust in every public authority, read once in a process."""
    return httpx.create_ssl_context(trust_env=False)


def trust_for(url: str) -> ssl.SSLContext:
    """Return what a client of one server needs.

    Parameters
    ----------
    url
        Of the server; with ``https`` every public authority is trusted.
    """
    return everybody() if url.startswith("https://") else IN_CLEAR
