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

from image_catalog.errors import AuthenticationError, CatalogError, RegistryFaultError
from image_catalog.registry.credentials import Credential
from image_catalog.registry.spans import begin_aws_span

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


@dataclass(slots=True)
class _Region:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """One question at a time."""
    kept: _Kept | None = None
    """One token opens every registry of a region that the identity may see."""
    failures: int = 0
    failure: CatalogError | None = None
    """The last one, for those who have waited for the same answer."""


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
        self._regions: dict[tuple[str, bool], _Region] = {}
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
        region = self._region((host.region, host.fips))
        failures = region.failures
        async with region.lock:
            now, kept = self._clock(), region.kept
            if kept is not None and now < kept.expires - MARGIN:
                return kept.credential
            if not required and self._nobody_until is not None and now < self._nobody_until:
                return None
            if region.failure is not None and region.failures != failures:
                # Whoever had the lock before has just waited in vain; one after the other would wait for minutes.
                raise type(region.failure)(region.failure.message)
            try:
                credential = await self._ask(host, region)
            except NoIdentityError:
                self._nobody_until = now + NO_IDENTITY_FOR
                if required:
                    raise
                return None
            self._nobody_until = None
            return credential

    async def _ask(self, host: EcrHost, region: _Region) -> Credential:
        since = self._clock()
        try:
            with begin_aws_span("GetAuthorizationToken", region=host.region):
                answer = await asyncio.to_thread(self._door.authorization_token, host)
            credential = _credential(answer, host)
        except CatalogError as e:
            region.failures, region.failure = region.failures + 1, e
            raise
        region.kept, region.failure = _Kept(credential, answer.expires, since), None
        return credential

    def _region(self, key: tuple[str, bool]) -> _Region:
        if key not in self._regions and len(self._regions) >= REGIONS_KEPT:
            # Regions that somebody made up go before those that have a token.
            idle = [
                (region.kept is not None, name) for name, region in self._regions.items() if not region.lock.locked()
            ]
            if idle:
                del self._regions[min(idle)[1]]
        return self._regions.setdefault(key, _Region())

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
        for region in self._regions.values():
            kept = region.kept
            if kept is not None and kept.credential == credential and self._clock() - kept.since >= SETTLED:
                region.kept = None
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
