"""Secrets as they were read a moment ago: entries of a namespace name the same one, and are checked in a row."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from image_catalog.cluster import Secrets
from image_catalog.errors import SecretError
from image_catalog.models.secrets import PullSecret
from image_catalog.registry import Credential

__all__ = ["KeptSecrets"]

_KEPT_FOR: Final = timedelta(minutes=1)
"""How long a Secret is believed. A password that was changed is seen at once, where the old one is turned down."""

_ROOM: Final = 1000
"""Secrets that are kept at most; an installation has one for each namespace and registry."""


@dataclass(slots=True)
class _Kept:
    """A Secret, and when it was read."""

    secret: PullSecret
    read_at: datetime
    is_being_read: bool = False
    was_reused: bool = False


class KeptSecrets:
    """Reads Secrets, and keeps what it has read for a minute.

    Nothing is kept of a Secret that is missing, forbidden or unusable: what
    somebody has to mend is looked at anew by every check.

    Parameters
    ----------
    secrets
        Reads Secrets.
    clock
        Tells the time.
    """

    def __init__(self, *, secrets: Secrets, clock: Callable[[], datetime]) -> None:
        self._secrets = secrets
        self._clock = clock
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self._origins: OrderedDict[str, tuple[str, str]] = OrderedDict()

    async def get(self, namespace: str, name: str) -> PullSecret | None:
        """Read one Secret; `None` when it is absent.

        Raises
        ------
        SecretError
            When it may not be read, or is broken.
        ClusterUnavailableError
            When the API server does not answer.
        """
        key = namespace, name
        kept = self._kept.get(key)
        # While one check reads it again, the others go on with what there is: they come by the hundred.
        if kept is not None and (kept.is_being_read or self._clock() - kept.read_at < _KEPT_FOR):
            kept.was_reused = True
            return kept.secret
        return await self._read(key, kept)

    def tell(self, credential: Credential, secret: PullSecret) -> None:
        """Remember which Secret a credential was found in.

        Parameters
        ----------
        credential
            What was found.
        secret
            Where.
        """
        self._origins[credential.identity] = secret.namespace, secret.name
        _shrink(self._origins)

    async def drop(self, credential: Credential) -> bool:
        """Read the Secret of a credential again that a registry turned down.

        Parameters
        ----------
        credential
            What was presented.

        Returns
        -------
        bool
            Whether the Secret has changed since: what was turned down once is
            not presented twice.

        Raises
        ------
        SecretError
            When it may not be read any more, or is broken.
        ClusterUnavailableError
            When the API server does not answer.
        """
        key = self._origins.get(credential.identity)
        kept = self._kept.get(key) if key is not None else None
        if key is None or kept is None or not kept.was_reused:
            return False
        return await self._read(key, kept) != kept.secret

    async def _read(self, key: tuple[str, str], kept: _Kept | None) -> PullSecret | None:
        if kept is not None:
            kept.is_being_read = True
        try:
            secret = await self._secrets.get(*key)
        except SecretError:
            self._kept.pop(key, None)
            raise
        finally:
            if kept is not None:
                kept.is_being_read = False
        self._kept.pop(key, None)
        if secret is not None:
            self._kept[key] = _Kept(secret, self._clock())
            _shrink(self._kept)
        return secret


def _shrink(kept: OrderedDict[Any, Any]) -> None:
    """Let go of what was kept first."""
    if len(kept) > _ROOM:
        kept.popitem(last=False)
