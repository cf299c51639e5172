"""Requests to a registry's API with whatever authorization it asks for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from image_catalog.errors import AuthenticationError
from image_catalog.registry.access import Access
from image_catalog.registry.answers import Answer, describe
from image_catalog.registry.challenge import parse_challenges
from image_catalog.registry.credentials import ANONYMOUS, Credential
from image_catalog.registry.hosts import HostPolicy, Target
from image_catalog.registry.limits import KNOWN_CHALLENGES
from image_catalog.registry.questions import Question
from image_catalog.registry.realms import Realm, judge_realm
from image_catalog.registry.tokens import Token, TokenKey, TokenSource
from image_catalog.registry.transport import RegistryTransport

__all__ = ["AuthorizedTransport"]

_UNAUTHORIZED = 401
_REJECTIONS = frozenset({400, 401, 403})
"""How registries turn down a token that has expired: 401 by the book, ECR with 403, public.ecr.aws with 400."""

_ATTEMPTS = 2
"""Most challenges of one request that are answered: with a token, and with the scope that the registry insists on."""


_PULL = ("repository:", ":pull")
"""The right to pull, before and after the repository's name."""


class _Grant(NamedTuple):
    """What is shown with a request, and where it comes from."""

    header: bytes | None = None
    key: TokenKey | None = None
    token: Token | None = None
    realm: Realm | None = None
    kept: bool = False
    """Whether the token is from an earlier operation."""


_NOTHING = _Grant()


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
    scope: tuple[str, str] = _PULL
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

    async def send(self, access: Access, question: Question) -> Answer:
        """Send a request; a 401 is answered as far as we can.

        Parameters
        ----------
        access
            Who asks.
        question
            What, on the registry's own origin.

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
        grant = await self._prepare(access)
        answer = await self._ask(access, question, grant)
        if grant.kept and answer.status in _REJECTIONS and answer.origin == access.target.origin:
            # Its token was good once. Before this means a denial, a new one is tried.
            grant = await self._renew(access, grant, answer)
            answer = await self._ask(access, question, grant)
        for _ in range(_ATTEMPTS):
            if answer.status != _UNAUTHORIZED:
                break
            grant = await self._answer_challenge(access, answer, grant)
            answer = await self._ask(access, question, grant)
        if answer.status == _UNAUTHORIZED:
            raise _unauthorized(access, answer, grant.realm)
        return answer

    async def _ask(self, access: Access, question: Question, grant: _Grant) -> Answer:
        return await self._transport.send(access, question, authorization=grant.header)

    async def _prepare(self, access: Access) -> _Grant:
        """Return what can be shown without having been asked."""
        known = self._known.get((access.target.registry, access.identity))
        if known is None or known.target is not access.target:
            return _NOTHING
        if known.realm is None:
            return _Grant(known.header)
        key = known.key(access)
        token = self._tokens.find(key)
        if token is not None:
            return _Grant(token.header, key, token, known.realm, kept=key not in access.tally.tokens)
        return await self._fetch(access, known.realm, key)

    async def _renew(self, access: Access, grant: _Grant, answer: Answer) -> _Grant:
        """Replace a token that was turned down."""
        if grant.key is None or grant.token is None or grant.realm is None:
            return grant  # pragma: no cover  # only grants with a token are kept; this tells the type checker
        self._tokens.drop(grant.key, grant.token)
        if answer.status == _UNAUTHORIZED:
            # The challenge tells more than we know: another scope, another realm.
            return await self._answer_challenge(access, answer, _NOTHING)
        return await self._fetch(access, grant.realm, grant.key)

    async def _fetch(self, access: Access, realm: Realm, key: TokenKey) -> _Grant:
        access.tally.tokens.add(key)
        token = await self._tokens.get(key, realm, access)
        return _Grant(token.header, key, token, realm)

    async def _answer_challenge(self, access: Access, answer: Answer, tried: _Grant) -> _Grant:
        """Get what the registry asks for, or say why that is not to be had."""
        if answer.origin != access.target.origin:
            raise AuthenticationError(
                f"{access.subject}: {answer.origin}, where the registry redirects, wants a credential, and gets none"
            )
        challenges = parse_challenges(answer.headers.get_list("www-authenticate"))
        bearer = next((found.parameters for found in challenges if found.scheme == "bearer"), None)
        has_basic = any(found.scheme == "basic" for found in challenges)
        place = (access.target.registry, access.identity)
        header = _own_header(access.credential, has_bearer=bearer is not None, has_basic=has_basic)
        if header is not None:
            if header == tried.header:
                raise _unauthorized(access, answer)
            self._remember(place, _Known(access.target, header=header))
            return _Grant(header)
        if bearer is None or "realm" not in bearer:
            raise _unauthorized(access, answer)
        realm, known, key = self._understand(access, bearer)
        if bearer.get("error") == "insufficient_scope" and bearer.get("scope"):
            # What we asked for was not enough, so this once the registry's own words are used.
            key = key._replace(scope=bearer["scope"])
        if key == tried.key:
            raise _unauthorized(access, answer, realm)
        self._remember(place, known)
        return await self._fetch(access, realm, key)

    def _understand(self, access: Access, parameters: Mapping[str, str]) -> tuple[Realm, _Known, TokenKey]:
        """Read a Bearer challenge as the way to ask for this and every other repository."""
        realm = judge_realm(parameters["realm"], access.target, self._hosts)
        service = parameters.get("service", "")
        scope = _pull_scope(parameters.get("scope", ""), access.repository)
        before, found, after = scope.partition(access.repository)
        # A scope without the repository's name says nothing about others.
        pattern = (before, after) if found else _PULL
        known = _Known(access.target, realm=realm, service=service, scope=pattern)
        return realm, known, known.key(access)._replace(scope=scope)

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


def _own_header(credential: Credential | None, *, has_bearer: bool, has_basic: bool) -> bytes | None:
    """Return the header that a credential is without any token server."""
    if credential is None:
        return None
    if has_bearer:
        return b"Bearer " + credential.registry_token.encode() if credential.registry_token else None
    return credential.basic if has_basic else None


def _unauthorized(access: Access, answer: Answer, realm: Realm | None = None) -> AuthenticationError:
    remedy = access.remedy
    if access.credential is not None and realm is not None and not realm.trusted:
        remedy = (
            f"the credential was not sent to {realm.origin.authority}, which is not the registry's own host; "
            "an administrator allows it in the CatalogRegistry's tokenRealms"
        )
    return AuthenticationError(f"{access.subject}: {remedy} ({describe(answer, secrets=access.secrets)})")
