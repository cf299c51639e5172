"""A ServiceAccount's token in a file that is renewed, as the kubelet does with a projected volume."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from image_catalog.cluster import AUDIENCE, KubernetesAPI, request_token
from image_catalog.errors import ClusterUnavailableError

__all__ = ["TokenFile"]

_LIFETIME = timedelta(hours=1)
_RENEWED_AFTER = 0.8
"""Share of a token's life, as the kubelet has it."""
_PAUSE = timedelta(seconds=10)
"""Before a cluster that did not answer is asked again."""


class TokenFile:
    """Keeps a file with a token that proves a ServiceAccount to one audience.

    Parameters
    ----------
    path
        The file; only its owner may read it.
    api
        The cluster, as somebody who may create tokens.
    namespace, account
        The ServiceAccount.
    audience
        Who the token is meant for.
    sleep
        Waits for the next renewal.
    """

    def __init__(
        self,
        path: Path,
        *,
        api: KubernetesAPI,
        namespace: str,
        account: str,
        audience: str = AUDIENCE,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.path = path
        self._api = api
        self._namespace = namespace
        self._account = account
        self._audience = audience
        self._sleep = sleep

    async def write(self) -> timedelta:
        """Ask for a token, write it, and return for how long it may be used.

        Raises
        ------
        ForbiddenError
            Raised if the kubeconfig's user may not create tokens.
        ClusterUnavailableError
            Raised if the API server does not answer.
        """
        answer = await request_token(
            self._api,
            namespace=self._namespace,
            name=self._account,
            lifetime=_LIFETIME,
            audiences=[self._audience],
        )
        # Whole or not at all: a reader meets the old token or the new one.
        fresh = self.path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(answer.value.get_secret_value())
        fresh.replace(self.path)
        # A cluster may give less than it was asked for.
        return (answer.expires - datetime.now(UTC)) * _RENEWED_AFTER

    async def keep(self, lasting: timedelta) -> None:
        """Renew the token for ever.

        Parameters
        ----------
        lasting
            For how long the present one may be used.
        """
        while True:
            await self._sleep(lasting.total_seconds())
            lasting = _PAUSE
            with contextlib.suppress(ClusterUnavailableError):
                lasting = max(await self.write(), _PAUSE)
