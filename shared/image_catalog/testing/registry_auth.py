"""How a fake registry asks who is there, and what each may see."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

from image_catalog.local.registry import error_answer, read_basic
from image_catalog.testing.planted import MADE
from image_catalog.testing.registry_log import Target

__all__ = ["ANONYMOUS", "AccessRule", "AccessRules", "Account", "Accounts", "BasicAuth", "Refusal", "requested_action"]

ANONYMOUS = "anonymous"
"""The user of an anonymous token."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the registry; the password is made up at run time.

    Attributes
    ----------
    user
        The name.
    password
        Never shown by ``repr``.
    """

    user: str
    password: str = field(default_factory=lambda: MADE.made("password", secrets.token_urlsafe(18)), repr=False)

    @property
    def credential(self) -> tuple[str, str]:
        """User and password, as httpx takes them for Basic."""
        return (self.user, self.password)


class Accounts:
    """Who is known."""

    def __init__(self) -> None:
        self._by_user: dict[str, Account] = {}

    def add(self, user: str) -> Account:
        """Make an account with a new password; an older one of the same name stops working."""
        account = Account(user)
        self._by_user[user] = account
        return account

    def check(self, user: str, password: str) -> bool:
        """Tell whether the password is the user's."""
        account = self._by_user.get(user)
        return account is not None and secrets.compare_digest(account.password.encode(), password.encode())

    def user_of(self, header: str) -> str | None:
        """Return the user of a Basic header, `None` when user or password are wrong."""
        credential = read_basic(header)
        return credential[0] if credential is not None and self.check(*credential) else None


@dataclass(frozen=True, slots=True)
class AccessRule:
    """Who may see a repository.

    Attributes
    ----------
    prefix
        A repository, or the beginning of some in whole components.
    users
        Who may.
    status
        What everybody else with a valid credential gets: 401, 403 or 404.
    at_token
        Whether the token server denies already, as GHCR's and Google's do;
        else it gives a token without the right, as most do.
    """

    prefix: str
    users: frozenset[str]
    status: Literal[401, 403, 404] = 403
    at_token: bool = False

    def covers(self, repository: str) -> bool:
        """Tell whether the rule is about a repository."""
        return repository == self.prefix or repository.startswith(f"{self.prefix}/")


class AccessRules:
    """All rules; the most specific one counts, and without one a repository is public.

    Parameters
    ----------
    anonymous
        Whether public repositories can be pulled without an account.
    """

    def __init__(self, *, anonymous: bool = True) -> None:
        self.anonymous = anonymous
        self._rules: dict[str, AccessRule] = {}

    def add(self, rule: AccessRule) -> None:
        """Set the rule for a prefix."""
        self._rules[rule.prefix] = rule

    def remove(self, prefix: str) -> None:
        """Make a prefix public again."""
        self._rules.pop(prefix, None)

    def rule(self, repository: str) -> AccessRule | None:
        """Return the rule for a repository, `None` when it is public."""
        covering = [rule for rule in self._rules.values() if rule.covers(repository)]
        return max(covering, key=lambda rule: len(rule.prefix), default=None)

    def allows(self, user: str | None, repository: str) -> bool:
        """Tell whether a user, `None` for nobody, may see a repository."""
        rule = self.rule(repository)
        if rule is not None:
            return user in rule.users
        return self.anonymous or user not in {None, ANONYMOUS}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request gets no further.

    Attributes
    ----------
    status
        401, 403 or 404.
    challenges
        Values of ``WWW-Authenticate``, one header each.
    """

    status: int
    challenges: tuple[str, ...] = ()

    def answer(self) -> Response:
        """Build the answer."""
        code, message = {
            401: ("UNAUTHORIZED", "authentication required"),
            403: ("DENIED", "requested access to the resource is denied"),
            404: ("NAME_UNKNOWN", "repository name not known to registry"),
        }[self.status]
        response = error_answer(self.status, code, message)
        for challenge in self.challenges:
            response.headers.append("WWW-Authenticate", challenge)
        return response


class BasicAuth:
    """Passwords in every request, as htpasswd registries and ECR want them.

    Parameters
    ----------
    realm
        Shown in the challenge.

    Attributes
    ----------
    accounts
        Who is known.
    """

    def __init__(self, *, realm: str = "fake registry") -> None:
        self.realm = realm
        self.accounts = Accounts()

    def check(self, request: Request, target: Target, rules: AccessRules) -> tuple[str, Refusal | None]:
        """Return who asks, and the refusal where the answer is no."""
        header = request.headers.get("authorization", "")
        user = self.accounts.user_of(header)
        challenge = Refusal(401, (f'Basic realm="{self.realm}"',))
        if header and user is None:
            return "", challenge
        if target.kind == "ping":
            return user or "", None if user else challenge
        if rules.allows(user, target.repository):
            return user or "", None
        rule = rules.rule(target.repository)
        if user is None or rule is None or rule.status == 401:  # noqa: PLR2004 the status that comes with a challenge
            return user or "", challenge
        return user, Refusal(rule.status)


def requested_action(request: Request) -> str:
    """Return the action that a request needs: ``pull`` or ``push``."""
    return "pull" if request.method in {"GET", "HEAD"} else "push"
