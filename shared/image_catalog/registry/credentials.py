"""Credentials: what is presented to a registry, and how it is kept out of sight."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass, field

__all__ = ["ANONYMOUS", "Credential", "identity_of"]

ANONYMOUS = "anonymous"
"""Identity of the absence of a credential, where tokens are kept by identity."""

_PROCESS_KEY = secrets.token_bytes(32)


def identity_of(*parts: str) -> str:
    """Return a name for secret text that says nothing about it.

    Parameters
    ----------
    parts
        The secret text. Keyed with what this process alone knows, so that the
        name cannot be guessed back, and is of no use in another process.
    """
    digest = hashlib.blake2b(key=_PROCESS_KEY, digest_size=16)
    for part in parts:
        digest.update(len(part).to_bytes(8) + part.encode(errors="surrogatepass"))
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Credential:
    """A user name and password, or a token.

    Attributes
    ----------
    username
        Sent with the password.
    password
        Sent to the registry, or to a token server that the registry's
        administrators vouch for. Never shown.
    identity_token
        A refresh token that a token server takes instead of both.
    registry_token
        A bearer token that the registry takes as it is.
    source
        Where it comes from, for people: ``Secret team-a/quay, key quay.io``.
    identity
        Tells this credential from every other without saying what it is;
        tokens are kept by it.
    """

    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)
    source: str = "given directly"
    identity: str = ""

    def __post_init__(self) -> None:
        if not self.identity:
            parts = (self.username, self.password, self.identity_token, self.registry_token)
            object.__setattr__(self, "identity", identity_of(*parts))

    @property
    def basic(self) -> bytes:
        """Value of the ``Authorization`` header of the Basic scheme.

        An identity token stands in for a password where a server does not
        take it by POST; ``<token>`` is the user name that docker gives it.
        """
        username, password = (
            (self.username, self.password) if self.password else (self.username or "<token>", self.identity_token)
        )
        return b"Basic " + base64.b64encode(f"{username}:{password}".encode())

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every text that must not be repeated by a message."""
        texts = (self.password, self.identity_token, self.registry_token)
        return tuple(text for text in texts if text)
