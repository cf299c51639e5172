"""Who asks: bearer tokens of the administrator and of service accounts, and impersonation.

https://kubernetes.io/docs/reference/access-authn-authz/authentication/
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from image_catalog.local.kubernetes.status import StatusError, unauthorized
from image_catalog.local.kubernetes.storage.store import Store

__all__ = ["ANONYMOUS", "API_AUDIENCE", "Authenticator", "TokenRejectedError", "User", "service_account_user"]

API_AUDIENCE = "https://kubernetes.default.svc"
"""The audience of tokens that the API itself takes."""

_SERVICE_ACCOUNTS = ("", "serviceaccounts")
_SECRETS = ("", "secrets")


@dataclass(frozen=True, slots=True)
class User:
    """Who asks.

    Attributes
    ----------
    extra
        Further facts, such as the id of the token.
    """

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, Sequence[str]] = field(default_factory=dict)


ANONYMOUS = User("system:anonymous", groups=("system:unauthenticated",))
_ADMIN = User("admin", "admin", ("system:masters", "system:authenticated"))


def service_account_user(namespace: str, name: str, uid: str = "") -> User:
    """Return whom a service account's token stands for."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    return User(f"system:serviceaccount:{namespace}:{name}", uid, groups)


class TokenRejectedError(StatusError):
    """A token that is unknown, expired, or meant for another audience.

    Parameters
    ----------
    message
        What the status of a TokenReview tells.
    """

    def __init__(self, message: str) -> None:
        super().__init__(401, "Unauthorized", message)


class Authenticator:
    """Issues and checks tokens.

    Service account tokens are signed with a key that lives as long as this
    object, and are bound to the account's uid, and to a Secret's where that is
    asked for: they end when one of them is deleted.

    Parameters
    ----------
    store
        Where the service accounts are.
    clock
        Tells when tokens are issued and expire.
    admin_token
        The token of the administrator; a random one when it is not given.
    """

    def __init__(self, *, store: Store, clock: Callable[[], datetime], admin_token: str | None = None) -> None:
        self._store = store
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self.admin_token = secrets.token_urlsafe(32) if admin_token is None else admin_token

    def issue(
        self,
        namespace: str,
        name: str,
        *,
        audiences: Sequence[str],
        lifetime: timedelta,
        secret: Mapping[str, str] | None = None,
    ) -> tuple[str, datetime]:
        """Issue a token for a service account that exists.

        Parameters
        ----------
        audiences
            Whom the token is meant for; empty for the API itself.
        lifetime
            How long it is good.
        secret
            Name and uid of the Secret that the token ends with.

        Returns
        -------
        tuple
            The token and when it expires.
        """
        account = self._store.bucket(_SERVICE_ACCOUNTS).get((namespace, name))
        uid = "" if account is None else account.body["metadata"]["uid"]
        now = self._clock()
        expires = now + lifetime
        private = {"namespace": namespace, "serviceaccount": {"name": name, "uid": uid}}
        claims = {
            "aud": list(audiences) or [API_AUDIENCE],
            "exp": int(expires.timestamp()),
            "iat": int(now.timestamp()),
            "iss": API_AUDIENCE,
            "kubernetes.io": private if secret is None else {**private, "secret": dict(secret)},
            "sub": f"system:serviceaccount:{namespace}:{name}",
        }
        signed = f"{_encode({'alg': 'HS256', 'typ': 'JWT'})}.{_encode(claims)}"
        return f"{signed}.{self._signature(signed)}", expires

    def authenticate(self, headers: Mapping[str, str]) -> User:
        """Tell who sends a request.

        Parameters
        ----------
        headers
            Looked up in lower case.

        Raises
        ------
        StatusError
            401 for a token that is not good.
        """
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return ANONYMOUS
        try:
            return self.review(token.strip(), (API_AUDIENCE,))[0]
        except TokenRejectedError as e:
            raise unauthorized() from e

    def review(self, token: str, audiences: Sequence[str]) -> tuple[User, list[str]]:
        """Tell whom a token stands for, and which of the audiences it is good for.

        Raises
        ------
        TokenRejectedError
            When the token is good for none of them, or not good at all.
        """
        if hmac.compare_digest(token.encode(), self.admin_token.encode()):
            return _ADMIN, list(audiences)
        claims = self._claims(token)
        good_for = [audience for audience in audiences if audience in claims["aud"]]
        if not good_for:
            told = (
                f"[invalid bearer token, token audiences {_listed(claims['aud'])} is invalid for the target audiences "
                f"{_listed(audiences)}]"
            )
            raise TokenRejectedError(told)
        private = claims["kubernetes.io"]
        account = private["serviceaccount"]
        return service_account_user(private["namespace"], account["name"], account["uid"]), good_for

    def _claims(self, token: str) -> dict[str, Any]:
        signed, _, signature = token.rpartition(".")
        if not hmac.compare_digest(self._signature(signed).encode(), signature.encode()):
            raise TokenRejectedError("invalid bearer token")
        claims: dict[str, Any] = _decode(signed.partition(".")[2])
        if datetime.fromtimestamp(claims["exp"], UTC) <= self._clock():
            raise TokenRejectedError("[invalid bearer token, service account token has expired]")
        private = claims["kubernetes.io"]
        bound = {_SERVICE_ACCOUNTS: private["serviceaccount"], _SECRETS: private.get("secret")}
        if not all(self._is_there(bucket, private["namespace"], told) for bucket, told in bound.items() if told):
            raise TokenRejectedError("[invalid bearer token, service account token has been invalidated]")
        return claims

    def _is_there(self, bucket: tuple[str, str], namespace: str, told: Mapping[str, str]) -> bool:
        stored = self._store.bucket(bucket).get((namespace, told["name"]))
        return stored is not None and bool(stored.body["metadata"]["uid"] == told["uid"])

    def _signature(self, signed: str) -> str:
        digest = hmac.new(self._key, signed.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _listed(values: Sequence[str]) -> str:
    return "[" + " ".join(f'"{value}"' for value in values) + "]"


def _encode(part: Any) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(part)).decode().rstrip("=")


def _decode(part: str) -> Any:
    try:
        return orjson.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (binascii.Error, orjson.JSONDecodeError) as e:
        raise TokenRejectedError("invalid bearer token") from e
