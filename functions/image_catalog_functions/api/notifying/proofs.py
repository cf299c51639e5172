"""What a registry proves its notifications with.

None of the four signs what it sends. distribution and Harbor send a header field
that their administrators choose; Quay and Docker Hub send none, and their proof is
in the URL that they were given: its user information, which is sent as Basic
authentication, or its query.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable
from typing import Final

__all__ = ["digest_of_token", "is_proof", "tokens_in"]

_SCHEME: Final = re.compile(rb"(bearer|basic) +", re.IGNORECASE)


def digest_of_token(token: bytes) -> bytes:
    """Return what a token is kept and compared as: so that its length cannot be measured either."""
    return hashlib.sha256(token).digest()


def tokens_in(authorization: bytes | None, query: str | None) -> tuple[bytes, ...]:
    """Return what a request may mean as its token.

    Parameters
    ----------
    authorization
        The header field as it came: ``Bearer``, ``Basic`` with the token as
        password, or the token alone, as Harbor has it.
    query
        What stands in the URL's query.
    """
    found = [] if query is None else [query.encode("utf-8", "surrogatepass")]
    if authorization is not None:
        found.append(authorization)
        scheme = _SCHEME.match(authorization)
        if scheme is not None:
            credential = authorization[scheme.end() :].strip()
            found.append(credential if scheme[1].lower() == b"bearer" else _password(credential))
    return tuple(found)


def is_proof(sent: Iterable[bytes], expected: Iterable[bytes]) -> bool:
    """Tell whether a token that was sent is one of those that are expected; it takes as long whichever it is.

    Parameters
    ----------
    sent
        Tokens.
    expected
        Digests of tokens.
    """
    expected = tuple(expected)
    matches = [hmac.compare_digest(digest_of_token(token), each) for token in sent for each in expected]
    return any(matches)


def _password(credential: bytes) -> bytes:
    try:
        return base64.b64decode(credential, validate=True).partition(b":")[2]
    except binascii.Error:
        return b""
