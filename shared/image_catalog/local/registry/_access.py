"""Private repositories: Basic authentication for the embedded registry."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Iterable, Mapping

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from image_catalog.local.registry._answers import error_answer

__all__ = ["BasicAccess", "read_basic"]

_REPOSITORY_OF = re.compile(r"/v2/(?P<repository>.+)/(?:manifests|blobs|tags|referrers)/")


def read_basic(header: str) -> tuple[str, str] | None:
    """Return user and password of an ``Authorization`` header, `None` when it is not Basic.

    https://www.rfc-editor.org/rfc/rfc7617
    """
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (user, password) if colon else None


class BasicAccess:
    """Ask for a password where a repository is private.

    ``/v2/`` asks too, also when all else is public: clients look there to learn
    whether to send what they have, and go on without when they have nothing.

    Parameters
    ----------
    app
        The registry.
    accounts
        Passwords by user.
    private
        First path components, or whole repositories, that need an account.
    """

    def __init__(self, app: ASGIApp, *, accounts: Mapping[str, str], private: Iterable[str]) -> None:
        self._app = app
        self._accounts = dict(accounts)
        self._private = tuple(private)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 401 with a challenge."""
        if self._open(scope["path"]) or self._known(Headers(scope=scope).get("authorization", "")):
            await self._app(scope, receive, send)
            return
        challenge = {"WWW-Authenticate": 'Basic realm="Image Catalog registry"'}
        answer = error_answer(401, "UNAUTHORIZED", "authentication required", headers=challenge)
        await answer(scope, receive, send)

    def _open(self, path: str) -> bool:
        found = _REPOSITORY_OF.match(path)
        if found is None:
            return False
        repository = found["repository"]
        return not any(repository == prefix or repository.startswith(f"{prefix}/") for prefix in self._private)

    def _known(self, header: str) -> bool:
        credential = read_basic(header)
        if credential is None:
            return False
        user, password = credential
        expected = self._accounts.get(user)
        return expected is not None and hmac.compare_digest(expected.encode(), password.encode())
