"""Tokens of ServiceAccounts, asked of the API server (TokenRequest)."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import SecretStr

from image_catalog.cluster._api import KubernetesAPI
from image_catalog.cluster._kinds import ResourceKind
from image_catalog.errors import ClusterUnavailableError

__all__ = ["AccountToken", "AccountTokens", "request_token"]

_SERVICE_ACCOUNT: Final = ResourceKind("", "v1", "serviceaccounts", "ServiceAccount")

LIFETIME: Final = timedelta(minutes=10)
"""The shortest life that the API server gives."""
MARGIN: Final = timedelta(minutes=2)
"""Before a token ends it is not used any more: a check that has begun with it must be able to end with it."""
SETTLED: Final = timedelta(minutes=1)
"""Age from which a token that is turned down may have gone bad; a younger one was never good."""


@dataclass(frozen=True, slots=True)
class AccountToken:
    """A ServiceAccount's token.

    Attributes
    ----------
    value
        The token.
    expires
        When it ends.
    """

    value: SecretStr
    expires: datetime


async def request_token(
    api: KubernetesAPI,
    *,
    namespace: str,
    name: str,
    lifetime: timedelta,
    audiences: Sequence[str] = (),
    pod: str | None = None,
) -> AccountToken:
    """Ask for a token of a ServiceAccount.

    See https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/.

    Parameters
    ----------
    api
        The cluster, as somebody who may create tokens of this ServiceAccount.
    namespace, name
        The ServiceAccount.
    lifetime
        How long it is to live; a cluster may give less, or more.
    audiences
        Whom the token is for; empty for the API server itself.
    pod
        The Pod that the token ends with, one that runs as this ServiceAccount.

    Raises
    ------
    ForbiddenError
        When this process may not create it.
    InvalidObjectError
        When the API server refuses the request.
    ClusterUnavailableError
        When the API server does not answer, or knows no such ServiceAccount or Pod.
    """
    spec: dict[str, Any] = {"expirationSeconds": int(lifetime.total_seconds())}
    if audiences:
        spec["audiences"] = list(audiences)
    if pod is not None:
        spec["boundObjectRef"] = {"apiVersion": "v1", "kind": "Pod", "name": pod}
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "metadata": {"name": name},
        "spec": spec,
    }
    answer = await api.create(_SERVICE_ACCOUNT, body, namespace, subresource="token")
    status = answer.get("status") or {}
    try:
        return AccountToken(SecretStr(status["token"]), datetime.fromisoformat(status["expirationTimestamp"]))
    except (KeyError, TypeError, ValueError):
        # Not chained: the exception may quote what it could not read.
        raise ClusterUnavailableError(f"the API server answered without a token of {namespace}/{name}") from None


class AccountTokens:
    """Tokens of one ServiceAccount for the API server, short-lived, each used until shortly before it ends.

    Parameters
    ----------
    api
        Speaks to the API server.
    clock
        Tells the time.
    namespace, name
        The ServiceAccount.
    pod
        The Pod that the tokens end with; `None` leaves them to their time.
    """

    def __init__(
        self,
        *,
        api: KubernetesAPI,
        clock: Callable[[], datetime],
        namespace: str,
        name: str,
        pod: str | None = None,
    ) -> None:
        self._api = api
        self._clock = clock
        self._namespace = namespace
        self._name = name
        self._pod = pod
        self._kept: AccountToken | None = None
        self._since = clock()
        self._lock = asyncio.Lock()

    @property
    def account(self) -> str:
        """``namespace/name`` of the ServiceAccount."""
        return f"{self._namespace}/{self._name}"

    async def get(self) -> AccountToken:
        """Return a token that is good for a while.

        The errors are those of `request_token`.
        """
        async with self._lock:  # Many checks start at once; one token serves them all.
            now = self._clock()
            if self._kept is None or now >= self._kept.expires - MARGIN:
                self._kept = await request_token(
                    self._api, namespace=self._namespace, name=self._name, lifetime=LIFETIME, pod=self._pod
                )
                self._since = now
            return self._kept

    def drop(self, value: str) -> bool:
        """Forget a token that was turned down.

        Parameters
        ----------
        value
            The token.

        Returns
        -------
        bool
            Whether it may have gone bad since it was made, so that another one is worth a try.
        """
        kept = self._kept
        if kept is None or not secrets.compare_digest(kept.value.get_secret_value().encode(), value.encode()):
            return False
        if self._clock() - self._since < SETTLED:
            return False
        self._kept = None
        return True
