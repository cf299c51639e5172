"""Requests to a registry's API with whatever authorization it asks for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from image_catalog.errors import AuthenticationError, CatalogError, RegistryFaultError
from image_catalog.registry.answers import Answer, describe
from image_catalog.registry.challenge import parse_challenges
from image_catalog.registry.credentials import ANONYMOUS, Credential
from image_catalog.registry.hosts import HostPolicy, Target
from image_catalog.registry.limits import KNOWN_CHALLENGES
from image_catalog.registry.realms import Realm, judge_realm
from image_catalog.registry.tokens import Token, TokenKey, TokenSource
from image_catalog.registry.transport import RawHeaders, RegistryTransport, Tally

__all__ = ["Access", "AuthorizedTransport"]

_UNAUTHORIZED = 401
_REJECTIONS = frozenset({400, 401, 403})
"""How registries turn down a token that has expired: 401 by the book, ECR with 403, public.ecr.aws with 400."""

_ATTEMPTS = 3
"""Most times that one request is sent: as we are, with a token, and with the scope that the registry insists on."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who asks for what.

    Attributes
    ----------
    target
        The registry.
    repository
        The repository; tokens are for one.
    credential
        What may be shown, `None` for anonymous access.
    subject
        What it is about, for messages.
    tally
        Counts the requests.
    """

    target: Target
    repository: str
    credential: Credential | None
    subject: str
    tally: Tally

    @property
    def identity(self) -> str:
        """Whose tokens may be used."""
        return self.credential.identity if self.credential else ANONYMOUS

    @property
    def secrets(self) -> tuple[str, ...]:
        """Texts that no message may repeat."""
        return self.credential.secrets if self.credential else ()


@dataclass(frozen=True, slots=True)
class _Known:
    """How a registry wants to be asked, learnt from an earlier challenge.

    A new repository at a known registry is asked for with a token right away,
    which saves the request that would only bring the challenge.
    """

    target: Target
    """The registry as it was; under another policy the realm must be judged again."""
    header: bytes | None = None
    """The header itself, where it is the same for every repository."""
    realm: Realm | None = None
    service: str = ""
    scope: tuple[str, str] = ("repository:", ":pull")
    """What stands before and after the repository."""

    def key(self, access: Access) -> TokenKey:
        realm, trusted = (self.realm.url, self.realm.trusted) if self.realm else ("", False)
        scope = self.scope[0] + access.repository + self.scope[1]
        # A realm that is not shown the credential gives a token that is nobody's.
        identity = access.identity if trusted else ANONYMOUS
        return TokenKey(access.target.registry, realm, self.service, scope, identity)


class AuthorizedTransport:
    """Sends requests, answering the registry's challenges.

    Parameters
    ----------
    transport
        Sends each request.
    tokens
        Gets and keeps bearer tokens.
    hosts
        What may be contacted.
    """

    def __init__(self, *, transport: RegistryTransport, tokens: TokenSource, hosts: HostPolicy) -> None:
        self._transport = transport
        self._tokens = tokens
        self._hosts = hosts
        self._known: OrderedDict[tuple[str, str], _Known] = OrderedDict()

    async def send(
        self,
        access: Access,
        method: str,
        url: str,
        headers: RawHeaders,
        *,
        body_limit: int,
        oversize: type[CatalogError] = RegistryFaultError,
    ) -> Answer:
        """Send a request; a 401 is answered once.

        Parameters
        ----------
        access
            Who asks for what.
        method
            ``HEAD`` or ``GET``.
        url
            Where to, on the registry's own origin.
        headers
            What to send beside host and authorization.
        body_limit
            Most bytes of a good answer.
        oversize
            What an answer over the limit is.

        Returns
        -------
        Answer
            Of any status but 401.

        Raises
        ------
        AuthenticationError
            Raised if the registry wants a credential that we do not have, or
            does not take the one that we do.
        CatalogError
            Raised for whatever keeps a request or its token from an answer.
        """
        known = self._known.get((access.target.registry, access.identity))
        if known and known.target is not access.target:
            known = None
        key, token, kept = await self._prepare(access, known)
        header = token.header if token else known.header if known else None
        answer = await self._attempt(access, method, url, headers, header, body_limit, oversize)
        if token and key and kept and answer.status in _REJECTIONS and answer.origin == access.target.origin:
            # It was good once. Before this means a denial, a new one is tried.
            self._tokens.drop(key, token)
            if answer.status != _UNAUTHORIZED and known and known.realm:
                token = await self._token(access, known.realm, key)
                return await self._attempt(access, method, url, headers, token.header, body_limit, oversize)
            token = None
        for _ in range(_ATTEMPTS - 1):
            if answer.status != _UNAUTHORIZED:
                return answer
            key, token = await self._answer_challenge(access, answer, key if token else None)
            header = token.header if token else self._known[access.target.registry, access.identity].header
            answer = await self._attempt(access, method, url, headers, header, body_limit, oversize)
        if answer.status == _UNAUTHORIZED:
            raise _unauthorized(access, answer)
        return answer

    async def _prepare(self, access: Access, known: _Known | None) -> tuple[TokenKey | None, Token | None, bool]:
        """Return the token to send at once, and whether it is an old one."""
        if known is None or known.realm is None:
            return None, None, False
        key = known.key(access)
        token = self._tokens.find(key)
        if token is not None:
            return key, token, key not in access.tally.tokens
        return key, await self._token(access, known.realm, key), False

    async def _attempt(  # noqa: PLR0917 (three call sites, above)
        self,
        access: Access,
        method: str,
        url: str,
        headers: RawHeaders,
        header: bytes | None,
        body_limit: int,
        oversize: type[CatalogError],
    ) -> Answer:
        return await self._transport.send(
            access.target,
            method,
            url,
            headers if header is None else [*headers, (b"Authorization", header)],
            tally=access.tally,
            body_limit=body_limit,
            subject=access.subject,
            oversize=oversize,
        )

    async def _token(self, access: Access, realm: Realm, key: TokenKey) -> Token:
        access.tally.tokens.add(key)
        return await self._tokens.get(
            key,
            realm,
            access.credential if realm.trusted else None,
            target=access.target,
            tally=access.tally,
            subject=access.subject,
        )

    async def _answer_challenge(
        self, access: Access, answer: Answer, tried: TokenKey | None
    ) -> tuple[TokenKey | None, Token | None]:
        """Get what the registry asks for, or say why that is not to be had.

        ``tried`` is what the fresh token was for that was just turned down.
        """
        if answer.origin != access.target.origin:
            raise AuthenticationError(
                f"{access.subject}: {answer.origin}, where the registry redirects, wants a credential, and gets none"
            )
        challenges = parse_challenges(answer.headers.get_list("www-authenticate"))
        bearer = next((found for found in challenges if found.scheme == "bearer"), None)
        place = (access.target.registry, access.identity)
        credential = access.credential
        header: bytes | None = None
        if bearer is not None and credential and credential.registry_token:
            header = b"Bearer " + credential.registry_token.encode()
        elif bearer is None and credential and any(found.scheme == "basic" for found in challenges):
            header = credential.basic
        if header is not None:
            known = self._known.get(place)
            if known and known.header == header:
                raise _unauthorized(access, answer)
            self._remember(place, _Known(access.target, header=header))
            return None, None
        if bearer is None or "realm" not in bearer.parameters:
            raise _unauthorized(access, answer)
        known, key = self._understand(access, bearer.parameters)
        if bearer.parameters.get("error") == "insufficient_scope" and bearer.parameters.get("scope"):
            # What we asked for was not enough, so this once the registry's own words are used.
            key = key._replace(scope=bearer.parameters["scope"])
        if key == tried or known.realm is None:
            raise _unauthorized(access, answer, known.realm)
        self._remember(place, known)
        return key, await self._token(access, known.realm, key)

    def _understand(self, access: Access, parameters: Mapping[str, str]) -> tuple[_Known, TokenKey]:
        """Read a Bearer challenge as the way to ask for this and every other repository."""
        realm = judge_realm(parameters["realm"], access.target, self._hosts)
        scope = _pull_scope(parameters.get("scope", ""), access.repository)
        before, found, after = scope.partition(access.repository)
        pattern = (before, after) if found else (scope, "")
        known = _Known(access.target, realm=realm, service=parameters.get("service", ""), scope=pattern)
        if not found:
            # A scope without the repository's name says nothing about others.
            known = _Known(access.target, realm=realm, service=known.service)
        return known, known.key(access)._replace(scope=scope)

    def _remember(self, place: tuple[str, str], known: _Known) -> None:
        self._known[place] = known
        self._known.move_to_end(place)
        while len(self._known) > KNOWN_CHALLENGES:
            self._known.popitem(last=False)


def _pull_scope(scope: str, repository: str) -> str:
    """Return the registry's scope with no more than the right to pull.

    Registries turn down actions that they do not know or do not grant, and
    `pull` is all that is needed. The name is kept: behind a mirror's path it
    differs from ours.
    """
    first = scope.split(" ", 1)[0]
    kind, _, rest = first.partition(":")
    name, separator, _ = rest.rpartition(":")
    if kind != "repository" or not separator or not name:
        return f"repository:{repository}:pull"
    return f"repository:{name}:pull"


def _unauthorized(access: Access, answer: Answer, realm: Realm | None = None) -> AuthenticationError:
    words = describe(answer, secrets=access.secrets)
    if access.credential is None:
        remedy = "it needs a credential, or does not exist; name a Secret in authSecretRef"
    elif realm is not None and not realm.trusted:
        remedy = (
            f"the credential was not sent to {realm.origin.authority}, which is not the registry's own host; "
            "an administrator allows it in the CatalogRegistry's tokenRealms"
        )
    else:
        remedy = f"it does not take the credential ({access.credential.source})"
    return AuthenticationError(f"{access.subject}: {remedy} ({words})")
