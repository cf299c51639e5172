"""Bearer tokens: the challenge, the token server, and what it counts.

https://distribution.github.io/distribution/spec/auth/token/
https://distribution.github.io/distribution/spec/auth/oauth/
"""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response

from image_catalog.testing.planted import MADE
from image_catalog.testing.registry_auth import ANONYMOUS, AccessRules, Accounts, Refusal, requested_action
from image_catalog.testing.registry_log import Target

__all__ = ["BearerAuth", "IssuedToken"]

_SCOPE = re.compile(r"repository:(?P<name>[^:]+):(?P<actions>(?:pull|push)(?:,(?:pull|push))*)")


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token that the token server gave out.

    Attributes
    ----------
    user
        Whose it is; ``anonymous`` for nobody's.
    granted
        Repository and action of every right in it.
    asked
        The scopes that were asked for.
    grant
        ``basic``, ``anonymous``, ``refresh_token`` or ``password``.
    """

    user: str
    granted: frozenset[tuple[str, str]]
    asked: tuple[str, ...]
    grant: str


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request for a token whose credential was accepted."""

    user: str
    grant: str
    scopes: tuple[str, ...]
    service: str | None
    fields: tuple[str, ...]
    refresh_token: str | None


class BearerAuth:
    """Tokens from a token server, as Docker Hub, Quay, GHCR, Harbor and most others want them.

    Tokens never age by themselves, so that no test depends on a clock: call
    `revoke_tokens` for what expiry does at the registry's side.

    Parameters
    ----------
    service
        Named in the challenge and asked for at the token server; `None`
        leaves it out, as OpenShift does.
    realm
        URL of the token server; `None` is ``/token`` of the registry itself.
    expires_in
        Told with each token; `None` leaves it out.
    answer_fields
        Under which names a token is returned: ``token``, ``access_token``, or
        both.
    scope_in_challenge
        False leaves the scope out of the challenge.
    post_status
        What the POST flow answers instead of a token; `None` where it works.
    more_challenges
        Further challenges that come first, for example ``Basic realm="x"``.

    Attributes
    ----------
    accounts
        Who is known.
    issued
        Every token given out.
    """

    token_path = "/token"

    def __init__(
        self,
        *,
        service: str | None = "registry.test",
        realm: str | None = None,
        expires_in: timedelta | None = timedelta(minutes=5),
        answer_fields: tuple[str, ...] = ("token",),
        scope_in_challenge: bool = True,
        post_status: int | None = None,
        more_challenges: tuple[str, ...] = (),
    ) -> None:
        self.service = service
        self.realm = realm
        self.expires_in = expires_in
        self.answer_fields = answer_fields
        self.scope_in_challenge = scope_in_challenge
        self.post_status = post_status
        self.more_challenges = more_challenges
        self.accounts = Accounts()
        self.issued: list[IssuedToken] = []
        self._tokens: dict[str, IssuedToken] = {}
        self._refresh: dict[str, str] = {}

    @property
    def tokens_issued(self) -> int:
        """How many tokens were given out."""
        return len(self.issued)

    def revoke_tokens(self) -> None:
        """Accept none of the tokens that were given out so far."""
        self._tokens.clear()

    def refresh_token(self, user: str) -> str:
        """Make a refresh token of a user, as a docker config keeps it under ``identitytoken``."""
        token = MADE.made("refresh token", secrets.token_urlsafe(24))
        self._refresh[token] = user
        return token

    # At the registry

    def check(self, request: Request, target: Target, rules: AccessRules) -> tuple[str, Refusal | None]:
        """Return who asks, and the refusal where the answer is no."""
        scheme, _, presented = request.headers.get("authorization", "").partition(" ")
        token = self._tokens.get(presented) if scheme.lower() == "bearer" else None
        if token is None:
            return "", self._challenge(request, target, error="invalid_token" if presented else None)
        if target.kind in {"ping", "catalog"}:
            return token.user, None
        rule = rules.rule(target.repository)
        if rules.allows(token.user, target.repository):
            if (target.repository, requested_action(request)) in token.granted:
                return token.user, None
        elif rule is not None and rule.status != 401 and token.user != ANONYMOUS:  # noqa: PLR2004 comes with a challenge
            return token.user, Refusal(rule.status)
        return token.user, self._challenge(request, target, error="insufficient_scope")

    def _challenge(self, request: Request, target: Target, *, error: str | None) -> Refusal:
        parameters = {"realm": self.realm or f"{request.url.scheme}://{request.headers['host']}{self.token_path}"}
        if self.service is not None:
            parameters["service"] = self.service
        if self.scope_in_challenge and target.repository:
            actions = "pull" if requested_action(request) == "pull" else "pull,push"
            parameters["scope"] = f"repository:{target.repository}:{actions}"
        if error is not None:
            parameters["error"] = error
        written = ",".join(f'{name}="{value}"' for name, value in parameters.items())
        return Refusal(401, (*self.more_challenges, f"Bearer {written}"))

    # At the token server

    async def answer(self, request: Request, rules: AccessRules) -> tuple[str, Response]:
        """Answer a request for a token, and tell whose it was."""
        asked = await self._read_post(request) if request.method == "POST" else self._read_get(request, rules)
        if isinstance(asked, Response):
            return "", asked
        if self.service is not None and asked.service != self.service:
            return asked.user, _refused(400, "UNSUPPORTED", f"unknown service {asked.service!r}")
        granted = self._grant(asked, rules)
        if isinstance(granted, Response):
            return asked.user, granted
        value = MADE.made("registry token", secrets.token_urlsafe(24))
        token = IssuedToken(user=asked.user, granted=frozenset(granted), asked=asked.scopes, grant=asked.grant)
        self._tokens[value] = token
        self.issued.append(token)
        document: dict[str, Any] = dict.fromkeys(asked.fields, value)
        if asked.refresh_token is not None:
            document["refresh_token"] = asked.refresh_token
        if self.expires_in is not None:
            document["expires_in"] = int(self.expires_in.total_seconds())
        return asked.user, _json(200, document)

    def _read_get(self, request: Request, rules: AccessRules) -> _Asked | Response:
        header = request.headers.get("authorization", "")
        user = self.accounts.user_of(header) if header else ANONYMOUS
        if user is None or (user == ANONYMOUS and not rules.anonymous):
            return _refused(401, "UNAUTHORIZED", "incorrect username or password")
        offline = bool(header) and "offline_token" in request.query_params
        return _Asked(
            user=user,
            grant="basic" if header else ANONYMOUS,
            scopes=tuple(request.query_params.getlist("scope")),
            service=request.query_params.get("service"),
            fields=self.answer_fields,
            refresh_token=self.refresh_token(user) if offline else None,
        )

    async def _read_post(self, request: Request) -> _Asked | Response:
        if self.post_status is not None:
            return _refused(self.post_status, "UNSUPPORTED", "use GET")
        form = {name: values[-1] for name, values in parse_qs((await request.body()).decode()).items()}
        grant, user = form.get("grant_type", ""), None
        if grant == "refresh_token":
            user = self._refresh.get(form.get("refresh_token", ""))
        elif grant == "password" and self.accounts.check(form.get("username", ""), form.get("password", "")):
            user = form["username"]
        if user is None:
            return _refused(401, "UNAUTHORIZED", "invalid grant")
        return _Asked(
            user=user,
            grant=grant,
            # The form has one scope parameter; several scopes stand in it with a space between.
            scopes=tuple(form.get("scope", "").split()),
            service=form.get("service"),
            fields=("access_token",),
            refresh_token=form.get("refresh_token"),
        )

    def _grant(self, asked: _Asked, rules: AccessRules) -> set[tuple[str, str]] | Response:
        granted: set[tuple[str, str]] = set()
        for scope in asked.scopes:
            read = _SCOPE.fullmatch(scope)
            if read is None:
                return _refused(400, "UNSUPPORTED", f"unknown scope {scope!r}")
            if rules.allows(asked.user, read["name"]):
                granted |= {(read["name"], action) for action in read["actions"].split(",")}
            elif (rule := rules.rule(read["name"])) is not None and rule.at_token:
                return _refused(rule.status, "DENIED", "requested access to the resource is denied")
        return granted


def _refused(status: int, code: str, message: str) -> Response:
    return _json(status, {"errors": [{"code": code, "message": message}]})


def _json(status: int, document: Any) -> Response:
    return Response(json.dumps(document).encode(), status, media_type="application/json")
