"""Tokens of Amazon's ECR, asked of AWS with the identity that the process has there.

The identity is found as every AWS tool finds it: from the environment, from a
role of the ServiceAccount (IRSA or Pod Identity), from the instance. See
https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol, Self

from image_catalog.errors import AuthenticationError, RegistryFaultError
from image_catalog.registry.credentials import Credential

__all__ = ["REGIONS_KEPT", "AwsAnswer", "AwsDoor", "EcrHost", "EcrTokens", "NoIdentityError"]

_HOST = re.compile(
    r"(?P<account>[0-9]{12})\.dkr\.ecr(?P<fips>-fips)?"
    r"\.(?P<region>[a-z]{2,4}(?:-[a-z]{2,12}){1,3}-[0-9]{1,2})\.amazonaws\.com(?P<china>\.cn)?"
)
_CHINA = "cn-"

MARGIN = timedelta(minutes=10)
"""Before a token ends it is not used any more; ECR gives twelve hours."""
SETTLED = timedelta(minutes=1)
"""Age from which a token that is turned down may have gone bad; a younger one was never good."""
NO_IDENTITY_FOR = timedelta(minutes=5)
"""How long it is believed that the process has no identity: finding none takes seconds, on an instance's network."""
REGIONS_KEPT = 32
"""Regions for which something is kept: hosts are typed by users, so the memory for them is bounded."""


class NoIdentityError(AuthenticationError):
    """The process has no identity at AWS."""


@dataclass(frozen=True, slots=True)
class EcrHost:
    """A private registry of ECR, as its host names it.

    Attributes
    ----------
    account
        The AWS account that it belongs to.
    region
        Where it is.
    fips
        Whether its FIPS endpoint is meant.
    """

    account: str
    region: str
    fips: bool = False

    @classmethod
    def of(cls, registry: str) -> Self | None:
        """Read a host of ECR; `None` for any other host.

        Parameters
        ----------
        registry
            ``host[:port]`` as references name it.
        """
        found = _HOST.fullmatch(registry)
        if found is None or bool(found["china"]) != found["region"].startswith(_CHINA):
            return None
        return cls(found["account"], found["region"], bool(found["fips"]))


@dataclass(frozen=True, slots=True)
class AwsAnswer:
    """A token as AWS gives it.

    Attributes
    ----------
    token
        ``user:password`` in base64. Never shown.
    expires
        When it ends, aware.
    """

    token: str = field(repr=False)
    expires: datetime


class AwsDoor(Protocol):
    """Asks AWS; blocks while it does."""

    def authorization_token(self, host: EcrHost) -> AwsAnswer:
        """Return a token for the registries of a region.

        Raises
        ------
        NoIdentityError
            Raised if the process has no identity at AWS.
        CatalogError
            Raised if AWS gives no token, by what can be done about it.
        """


@dataclass(frozen=True, slots=True)
class _Kept:
    credential: Credential
    expires: datetime
    since: datetime


class EcrTokens:
    """Gets tokens of ECR and keeps them until shortly before they end.

    Parameters
    ----------
    clock
        Tells the time.
    door
        Asks AWS; in a thread, because its library blocks.
    """

    def __init__(self, *, clock: Callable[[], datetime], door: AwsDoor) -> None:
        self._clock = clock
        self._door = door
        # One token opens every registry of a region that the identity may see.
        self._kept: dict[tuple[str, bool], _Kept] = {}
        self._locks: dict[tuple[str, bool], asyncio.Lock] = {}
        self._nobody_until: datetime | None = None

    async def get(self, host: EcrHost, *, required: bool = True) -> Credential | None:
        """Return a credential for a registry.

        Parameters
        ----------
        host
            The registry.
        required
            Whether it is an error that the process has no identity at AWS,
            and not simply `None`.

        Raises
        ------
        CatalogError
            Raised if AWS gives no token.
        """
        key = (host.region, host.fips)
        async with self._lock(key):
            now = self._clock()
            kept = self._kept.get(key)
            if kept is not None and now < kept.expires - MARGIN:
                return kept.credential
            if not required and self._nobody_until is not None and now < self._nobody_until:
                return None
            try:
                answer = await asyncio.to_thread(self._door.authorization_token, host)
            except NoIdentityError:
                self._nobody_until = now + NO_IDENTITY_FOR
                if required:
                    raise
                return None
            self._nobody_until = None
            credential = _credential(answer, host)
            self._kept[key] = _Kept(credential, answer.expires, now)
            return credential

    def _lock(self, key: tuple[str, bool]) -> asyncio.Lock:
        if key not in self._locks and len(self._locks) >= REGIONS_KEPT:
            self._locks = {held: lock for held, lock in self._locks.items() if lock.locked()}
            self._kept.clear()
        return self._locks.setdefault(key, asyncio.Lock())

    def drop(self, credential: Credential) -> bool:
        """Forget a token that a registry turned down.

        Parameters
        ----------
        credential
            What `get` returned.

        Returns
        -------
        bool
            Whether it may have gone bad since it was made, so that another
            one is worth a try.
        """
        for key, kept in self._kept.items():
            if kept.credential == credential and self._clock() - kept.since >= SETTLED:
                del self._kept[key]
                return True
        return False


def _credential(answer: AwsAnswer, host: EcrHost) -> Credential:
    try:
        username, colon, password = base64.b64decode(answer.token, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        colon = username = password = ""
    if not colon or not password:
        raise RegistryFaultError(f"ECR in {host.region}: AWS answered with what is no token")
    return Credential(username=username, password=password, source=f"AWS identity, ECR in {host.region}")
