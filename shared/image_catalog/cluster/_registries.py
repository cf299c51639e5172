"""CatalogRegistries: few, asked for at every contact with a registry, changed by administrators.

Their status is written by whoever probes, seldom; every process reads it with the list.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog
from pydantic import ValidationError

from image_catalog.cluster._api import KubernetesAPI
from image_catalog.cluster._kinds import CATALOG_REGISTRY
from image_catalog.cluster._merge import merge_patch
from image_catalog.cluster._retry import retry_on_conflict
from image_catalog.cluster._transport import JSON
from image_catalog.errors import ClusterUnavailableError
from image_catalog.models import CatalogRegistry, CatalogRegistryStatus

__all__ = ["CatalogRegistries"]

# While an outage is bridged, not every check is to wait for the same time-out.
RETRY_AFTER: Final = timedelta(seconds=5)

logger = structlog.get_logger(__name__)


class CatalogRegistries:
    """Reads the registries that administrators described, from a small cache, and writes what was found out.

    Parameters
    ----------
    api
        Speaks to the API server.
    clock
        Tells the time.
    fresh_for
        How long a list is used without asking again: the delay after which an
        administrator's change takes effect.
    stale_for
        How long a list may still be used while the API server does not answer. Past
        it the policy in force is unknown, and no registry is contacted.
    """

    def __init__(
        self,
        *,
        api: KubernetesAPI,
        clock: Callable[[], datetime],
        fresh_for: timedelta = timedelta(seconds=15),
        stale_for: timedelta = timedelta(minutes=5),
    ) -> None:
        self._api = api
        self._clock = clock
        self._fresh_for = fresh_for
        self._stale_for = stale_for
        self._cached: tuple[datetime, tuple[CatalogRegistry, ...]] | None = None
        self._quiet_until: datetime | None = None
        self._failures = 0
        self._lock = asyncio.Lock()

    async def list_all(self, *, since: datetime | None = None) -> tuple[CatalogRegistry, ...]:
        """Return every CatalogRegistry that can be read.

        Parameters
        ----------
        since
            A list from before this moment is not good enough, however fresh:
            something failed since, and an administrator may have mended it.

        Raises
        ------
        ForbiddenError
            When this process may not list them.
        ClusterUnavailableError
            When the API server does not answer, and what is known is too old.
        """
        failures = self._failures
        async with self._lock:  # Many checks start at once; one list serves them all.
            now = self._clock()
            if self._cached is not None and self._is_fresh(now, self._cached[0], since):
                return self._cached[1]
            if self._failures != failures:
                # Whoever had the lock before has just waited for an answer in vain.
                raise ClusterUnavailableError("list catalogregistries: the API server did not answer a moment ago")
            return await self._refresh(now)

    async def apply_status(
        self,
        name: str,
        change: Callable[[CatalogRegistry], CatalogRegistryStatus | None],
        *,
        start: CatalogRegistry | None = None,
    ) -> CatalogRegistry | None:
        """Change the status of a CatalogRegistry.

        Parameters
        ----------
        name
            The object.
        change
            Returns the status as it shall be, `None` when nothing is to be done, or
            raises to abandon.
        start
            The object as read a moment ago, to save a read.

        Returns
        -------
        CatalogRegistry or None
            The object afterwards; `None` when it is absent.

        Raises
        ------
        WriteConflictError
            When other writers came between every time.
        InvalidObjectError
            When the API server refuses the result.
        ForbiddenError, ClusterUnavailableError
            As `KubernetesAPI.patch_status` says.
        """

        async def read() -> CatalogRegistry | None:
            found = await self._api.get(CATALOG_REGISTRY, name)
            return None if found is None else _read_or_skip(found)

        def decide(registry: CatalogRegistry) -> JSON | None:
            wanted = change(registry)
            return None if wanted is None else merge_patch(registry.status.to_dict(), wanted.to_dict()) or None

        async def write(registry: CatalogRegistry, patch: JSON) -> CatalogRegistry | None:
            version = registry.metadata.resource_version
            found = await self._api.patch_status(CATALOG_REGISTRY, name, None, patch, resource_version=version)
            return None if found is None else _read_or_skip(found)

        after = await retry_on_conflict(read=read, change=decide, write=write, start=start, rng=self._api.rng)
        if after is not None and self._cached is not None:
            # What was written is known here at once, and to others when their list is due.
            listed_at, known = self._cached
            self._cached = listed_at, tuple(after if r.metadata.uid == after.metadata.uid else r for r in known)
        return after

    def _is_fresh(self, now: datetime, listed_at: datetime, since: datetime | None) -> bool:
        if self._quiet_until is not None and now < self._quiet_until:
            return True
        return now - listed_at < self._fresh_for and (since is None or listed_at > since)

    async def _refresh(self, now: datetime) -> tuple[CatalogRegistry, ...]:
        try:
            found = await self._api.list_all(CATALOG_REGISTRY)
        except ClusterUnavailableError as e:
            if self._cached is None or now - self._cached[0] >= self._stale_for:
                self._failures += 1
                raise
            self._quiet_until = now + RETRY_AFTER
            logger.warning("registries out of date", error=e.message, since=self._cached[0].isoformat())
            return self._cached[1]
        registries = tuple(registry for registry in map(_read_or_skip, found) if registry is not None)
        self._cached, self._quiet_until = (now, registries), None
        return registries


def _read_or_skip(found: JSON) -> CatalogRegistry | None:
    try:
        return CatalogRegistry.model_validate(found)
    except ValidationError as e:
        name = (found.get("metadata") or {}).get("name")
        fields = [".".join(map(str, error["loc"])) for error in e.errors(include_url=False, include_input=False)]
        logger.warning("registry not read", registry=name, fields=fields)
        return None
