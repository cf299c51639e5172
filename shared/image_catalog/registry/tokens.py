"""Bearer tokens: asked of a realm, kept until they expire, refreshed once at a time.

The flows are distribution's `token
<https://github.com/distribution/distribution/blob/main/docs/content/spec/auth/token.md>`__
and `oauth2
<https://github.com/distribution/distribution/blob/main/docs/content/spec/auth/oauth.md>`__
specifications, as servers in the field understand them.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote, urlencode

import orjson

from image_catalog.errors import CatalogError, RegistryFaultError
from image_catalog.registry.access import Access
from image_catalog.registry.answers import Answer, failure
from image_catalog.registry.credentials import Credential
from image_catalog.registry.limits import (
    DEFAULT_TOKEN_LIFE,
    EXPIRY_MARGIN,
    MAX_TOKEN_LIFE,
    TOKEN_BYTES,
    TOKEN_LENGTH,
    TOKENS_KEPT,
)
from image_catalog.registry.questions import Question, RawHeaders
from image_catalog.registry.realms import Realm
from image_catalog.registry.transport import RegistryTransport

__all__ = ["Token", "TokenKey", "TokenSource"]

_OK = 200
_CLIENT_ID = "image-catalog"

_POST_REFUSED = frozenset({400, 401, 403, 404, 405, 501})
"""How servers say that they know no POST: Azure 400, Artifactory 401, old GCR 404, distribution without oauth 405."""

_PLAIN: RawHeaders = [(b"Accept", b"application/json"), (b"Accept-Encoding", b"identity")]
_FORM: RawHeaders = [*_PLAIN, (b"Content-Type", b"application/x-www-form-urlencoded")]


class TokenKey(NamedTuple):
    """What a token is good for, and whose it is.

    Without the credential's identity one tenant would use another's token.
    """

    registry: str
    realm: str
    service: str
    scope: str
    identity: str


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it is sent.

    Attributes
    ----------
    header
        Value of the ``Authorization`` header.
    expires
        When it is not used any more, on the source's clock.
    """

    header: bytes
    expires: float

    def __repr__(self) -> str:
        return f"Token(expires={self.expires})"


class TokenSource:
    """Gets tokens and keeps them.

    Parameters
    ----------
    transport
        Sends the requests.
    clock
        Seconds that only go forward.
    """

    def __init__(self, *, transport: RegistryTransport, clock: Callable[[], float] = time.monotonic) -> None:
        self._transport = transport
        self._clock = clock
        self._kept: OrderedDict[TokenKey, Token] = OrderedDict()
        self._under_way: dict[TokenKey, asyncio.Task[Token]] = {}

    def find(self, key: TokenKey) -> Token | None:
        """Return a kept token that is still good.

        Parameters
        ----------
        key
            What it is for.
        """
        token = self._kept.get(key)
        if token is None:
            return None
        if token.expires <= self._clock():
            del self._kept[key]
            return None
        return token

    def drop(self, key: TokenKey, token: Token) -> None:
        """Forget a token that the registry did not take.

        Parameters
        ----------
        key
            What it was for.
        token
            The token; a newer one under the same key stays.
        """
        if self._kept.get(key) is token:
            del self._kept[key]

    async def get(self, key: TokenKey, realm: Realm, access: Access) -> Token:
        """Return a token, asking for it if none is kept.

        Requests for one key that come at once share one answer.

        Parameters
        ----------
        key
            What it is for.
        realm
            Where to ask. Only one that is trusted is shown the credential.
        access
            Who asks; the request counts for it, if it is this call that makes it.

        Raises
        ------
        AuthenticationError
            Raised if the token server answers 401.
        AccessDeniedError
            Raised if it answers 403.
        TransientError
            Raised if it does not answer, or not with a token.
        """
        token = self.find(key)
        if token is not None:
            return token
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.create_task(self._fetch(key, realm, access))
            self._under_way[key] = task
            task.add_done_callback(lambda done: self._finish(key, done))
        # One caller that gives up must not take the others' answer away.
        return await asyncio.shield(task)

    async def aclose(self) -> None:
        """Stop the requests that are under way."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _finish(self, key: TokenKey, task: asyncio.Task[Token]) -> None:
        self._under_way.pop(key, None)
        if not task.cancelled():
            # Read here too: when every caller has given up, nobody else does.
            task.exception()

    async def _fetch(self, key: TokenKey, realm: Realm, access: Access) -> Token:
        # Without tag and digest: whoever waits for the same answer is told it, and may have asked for others.
        subject = f"{access.target.registry}/{access.repository}: token server {realm.origin.authority}"
        credential = access.credential if realm.trusted else None
        answer: Answer | None = None
        if credential is not None and credential.identity_token:
            question = _form_question(key, realm, credential.identity_token, subject)
            answer = await self._transport.send(access, question)
        if answer is None or answer.status in _POST_REFUSED:
            question = _query_question(key, realm, subject)
            header = credential.basic if credential is not None else None
            answer = await self._transport.send(access, question, authorization=header)
        if answer.status != _OK:
            raise _denial(answer, subject, credential)
        value, life = _read_token(answer.body, subject)
        margin = min(EXPIRY_MARGIN.total_seconds(), life / 5)
        token = Token(b"Bearer " + value.encode(), self._clock() + life - margin)
        self._kept[key] = token
        while len(self._kept) > TOKENS_KEPT:
            self._kept.popitem(last=False)
        return token


def _query_question(key: TokenKey, realm: Realm, subject: str) -> Question:
    query = [("service", key.service)] if key.service else []
    query += [("scope", scope) for scope in key.scope.split()]
    # Encoded, because registries fill in service and scope: a & in one of
    # them must not become a parameter of the token server.
    url = f"{realm.url}{'&' if '?' in realm.url else '?'}{urlencode(query, quote_via=quote)}"
    return Question("GET", url, _PLAIN, subject, TOKEN_BYTES, security=realm.security, purpose="token")


def _form_question(key: TokenKey, realm: Realm, refresh_token: str, subject: str) -> Question:
    form = {
        "grant_type": "refresh_token",
        "refresh_token": refresh_token,
        "service": key.service,
        "scope": key.scope,
        "client_id": _CLIENT_ID,
    }
    content = urlencode(form).encode()
    return Question(
        "POST", realm.url, _FORM, subject, TOKEN_BYTES, security=realm.security, content=content, purpose="token"
    )


def _denial(answer: Answer, subject: str, credential: Credential | None) -> CatalogError:
    secrets = credential.secrets if credential else ()
    if answer.status in {404, 410}:
        # Here it is the realm that is missing, not the image.
        return RegistryFaultError(f"{subject}: it answered {answer.status}, the registry names a wrong realm")
    who = credential.source if credential else "no credential"
    return failure(answer, subject, remedy=f"; asked with {who}", secrets=secrets)


def _read_token(body: bytes, subject: str) -> tuple[str, float]:
    """Return the token and its life in seconds, counted from now.

    ``issued_at`` is not used: a server whose clock is wrong would make a token
    that never lives or never dies.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as e:
        raise RegistryFaultError(f"{subject}: it answered with what is no JSON") from e
    fields = document if isinstance(document, dict) else {}
    value = fields.get("token") or fields.get("access_token")
    if not isinstance(value, str) or len(value) > TOKEN_LENGTH or not value.isascii() or not value.isprintable():
        raise RegistryFaultError(f"{subject}: it answered without a token that can be used")
    try:
        life = float(fields.get("expires_in") or 0)
    except (TypeError, ValueError):
        life = 0.0
    if not life > 0:
        life = DEFAULT_TOKEN_LIFE.total_seconds()
    return value, min(life, MAX_TOKEN_LIFE.total_seconds())
