"""Which registries may tell of pushes, and what proves that it is they."""

from __future__ import annotations

import asyncio
import secrets as random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import structlog

from image_catalog.cluster import CatalogRegistries, Secrets
from image_catalog.errors import ClusterUnavailableError, SecretError
from image_catalog.models import CatalogRegistry
from image_catalog.models.catalogregistry import NotificationType, RegistryNotifications
from image_catalog_functions.api.http.problems import Problem, ProblemReason
from image_catalog_functions.api.notifying.proofs import digest_of_token, is_proof, tokens_in
from image_catalog_functions.api.notifying.senders.table import NO_HEADERS

__all__ = ["Door", "Doors"]

_log = structlog.get_logger(__name__)

_KEYS: Final = ("token", "previousToken")
"""Keys of the Secret: what a registry sends, and what it sent until a moment ago."""

_SHORTEST: Final = 16
"""Fewer characters are guessed rather than known."""

_AGAIN: Final = timedelta(seconds=5)
"""While the API server is silent, not every notification is to wait for the same time-out."""

_CONCURRENCY: Final = 8
"""Secrets that are read at once."""


@dataclass(frozen=True, slots=True)
class Door:
    """A registry that may tell of pushes.

    Attributes
    ----------
    name
        Name of its CatalogRegistry.
    type
        Who sends; `None` for nobody.
    host
        The registry as references name it: a sender speaks for this one, whatever host it thinks it is.
    expected
        Digests of the tokens that prove it.
    """

    name: str
    type: NotificationType | None
    host: str
    expected: tuple[bytes, ...] = field(repr=False)


class Doors:
    """Lets in what registries send with the token that their CatalogRegistry names.

    CatalogRegistries and their Secrets are read all together, at most once in a
    while, and only while notifications come: what a stranger sends costs the API
    server nothing beyond that, and its answer tells nothing, in words or in
    time, of which registries there are.

    Parameters
    ----------
    registries
        Reads the CatalogRegistries.
    secrets
        Reads Secrets that the API's account may read.
    clock
        Tells the time.
    fresh_for
        How long what was read is used: how soon another token counts.
    stale_for
        How long it may still be used while the API server does not answer.
    """

    def __init__(
        self,
        *,
        registries: CatalogRegistries,
        secrets: Secrets,
        clock: Callable[[], datetime],
        fresh_for: timedelta = timedelta(seconds=15),
        stale_for: timedelta = timedelta(minutes=5),
    ) -> None:
        self._registries = registries
        self._secrets = secrets
        self._clock = clock
        self._fresh_for = fresh_for
        self._stale_for = stale_for
        self._known: tuple[datetime, Mapping[str, Door]] | None = None
        self._quiet_until: datetime | None = None
        self._lock = asyncio.Lock()
        self._nobody = Door("", None, "", (random.token_bytes(32),))

    async def admit(self, name: str, *, authorization: bytes | None, query: str | None) -> Door:
        """Return the registry that sends a notification.

        Parameters
        ----------
        name
            The CatalogRegistry that the path names.
        authorization
            The header field as it came.
        query
            The token in the URL's query; it counts for senders that have no other place for one.

        Raises
        ------
        Problem
            401, the same for a wrong token, a registry that tells nothing, and one that is not there.
        ClusterUnavailableError
            Raised when the API server does not answer and what is known is too old; whoever is named.
        """
        doors = await self._current()
        door = doors.get(name, self._nobody)
        in_query = query if door.type is None or door.type in NO_HEADERS else None
        if is_proof(tokens_in(authorization, in_query), door.expected) and door.type is not None:
            return door
        raise Problem(
            401,
            ProblemReason.UNAUTHENTICATED,
            "the notification does not carry the token of a registry that this catalog listens to; see "
            "spec.notifications of its CatalogRegistry",
            headers={"WWW-Authenticate": 'Bearer realm="image-catalog"'},
        )

    async def _current(self) -> Mapping[str, Door]:
        async with self._lock:  # Many notifications come at once; one look serves them all.
            now = self._clock()
            if self._known is not None and now - self._known[0] < self._fresh_for:
                return self._known[1]
            if self._quiet_until is None or now >= self._quiet_until:
                try:
                    self._known, self._quiet_until = (now, await self._read()), None
                except ClusterUnavailableError as e:
                    _log.warning("tokens of registries out of date", error=e.message)
                    self._quiet_until = now + _AGAIN
            if self._known is None or now - self._known[0] >= self._stale_for:
                raise ClusterUnavailableError("the API server does not say which registries may tell of pushes")
            return self._known[1]

    async def _read(self) -> Mapping[str, Door]:
        told = [registry for registry in _speaking(await self._registries.list_all()) if registry.spec.notifications]
        slots = asyncio.Semaphore(_CONCURRENCY)

        async def door(registry: CatalogRegistry) -> Door | None:
            async with slots:
                return await self._door(registry)

        found = await asyncio.gather(*map(door, told))
        return {each.name: each for each in found if each is not None}

    async def _door(self, registry: CatalogRegistry) -> Door | None:
        """Return a registry's door; `None` where nothing proves it, which the log tells its administrator."""
        notifications, name = registry.spec.notifications, registry.metadata.name
        assert notifications is not None  # noqa: S101 - the caller has chosen those that have some
        try:
            tokens = await self._tokens(notifications)
        except SecretError as e:
            _log.warning("notifications refused", registry=name, reason=e.reason, message=e.message)
            return None
        return Door(name, notifications.type, registry.spec.host, tuple(map(digest_of_token, tokens)))

    async def _tokens(self, notifications: RegistryNotifications) -> list[bytes]:
        ref = notifications.secret_ref
        try:
            secret = await self._secrets.get(ref.namespace, ref.name)
        except SecretError as e:
            if e.reason != "SecretForbidden":
                raise
            raise SecretError(_how_to_allow(ref.namespace, ref.name), reason=e.reason) from e
        if secret is None:
            raise SecretError(f"Secret {ref.namespace}/{ref.name} is not there", reason="SecretNotFound")
        tokens = [token for key in _KEYS if (token := secret.data.get(key, b"").strip())]
        if not tokens or min(map(len, tokens)) < _SHORTEST:
            message = f"{secret.title} must have a token of {_SHORTEST} characters or more under the key {_KEYS[0]}"
            raise SecretError(message, reason="SecretInvalid")
        return tokens


def _speaking(registries: Sequence[CatalogRegistry]) -> list[CatalogRegistry]:
    """Return the CatalogRegistries that speak for their host: of several the oldest."""
    first: dict[str, CatalogRegistry] = {}
    for registry in sorted(registries, key=CatalogRegistry.seniority):
        first.setdefault(registry.spec.host.removesuffix(":443"), registry)
    return list(first.values())


def _how_to_allow(namespace: str, name: str) -> str:
    """Return what lets the API read one Secret, and no other: it reads none of people's."""
    role = "image-catalog-notifications"
    return (
        f"reading Secret {namespace}/{name} is not allowed; the owner of the namespace allows it with: "
        f"kubectl create role {role} --verb=get --resource=secrets --resource-name={name} --namespace={namespace} && "
        f"kubectl create rolebinding {role} --role={role} --serviceaccount=image-catalog:api --namespace={namespace}"
    )
