"""Writes counted accesses to the entries' status: seldom, and none twice."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog
from prometheus_client import Counter

from image_catalog.catalog.index import Index
from image_catalog.cluster import CatalogImages
from image_catalog.errors import CatalogError, ClusterUnavailableError
from image_catalog.models import CatalogImage, CatalogImageStatus

__all__ = ["AccessWriter"]

_log = structlog.get_logger(__name__)

CONCURRENCY: Final = 16
"""Writes at once: an API server has more urgent work, and at a stop a second is enough for hundreds of entries."""

_Key = tuple[str, str]

WRITES = Counter(
    "image_catalog_api_access_count_writes",
    "Entries whose access count was to be written to the status, by what became of it.",
    ["outcome"],
)


@dataclass(frozen=True, slots=True)
class _Unsure:
    """A write whose answer did not come: the status says whether it was done."""

    before: int
    count: int

    @property
    def after(self) -> int:
        """The figure that was to be written."""
        return self.before + self.count


class AccessWriter:
    """Adds the accesses that the index has counted to each entry's status.

    An entry is written once in an interval at most, and when the process stops.
    A process that crashes loses what it has counted since the last time, which
    is an interval's accesses at most: a write for each access would cost the API
    server more than the figure is worth.

    Parameters
    ----------
    index
        Counts.
    images
        Reads and writes entries.
    interval
        How often counts are written.
    """

    def __init__(self, *, index: Index, images: CatalogImages, interval: timedelta) -> None:
        self._index = index
        self._images = images
        self._interval = interval
        self._unsure: dict[_Key, _Unsure] = {}
        self._slots = asyncio.Semaphore(CONCURRENCY)

    async def run(self) -> None:
        """Write counts once in an interval, for ever."""
        while True:
            await asyncio.sleep(self._interval.total_seconds())
            try:
                await self.flush()
            except Exception:  # noqa: BLE001 - nobody waits for this loop, so that it would end unseen
                _log.exception("access counts not written")

    async def flush(self) -> None:
        """Write every count that is not in a status yet. What cannot be written is kept for the next time."""
        taken = self._index.take_accesses()
        for key in self._unsure.keys() - taken.keys():
            taken[key] = 0
        if taken:
            results = await asyncio.gather(*(self._write(key, count) for key, count in taken.items()))
            _log.info("access counts written", entries=sum(results), left=len(results) - sum(results))

    async def _write(self, key: _Key, count: int) -> bool:
        try:
            async with self._slots:
                await self._add(key, count)
        except CatalogError as e:
            _log.warning("access count not written", namespace=key[0], name=key[1], reason=e.reason, message=e.message)
            WRITES.labels("failed").inc()
            return False
        WRITES.labels("written").inc()
        return True

    async def _add(self, key: _Key, count: int) -> None:
        """Add a count to an entry's status as it is now; an entry that is gone takes its count along."""
        attempt: _Unsure | None = None

        def add(fresh: CatalogImage) -> CatalogImageStatus | None:
            nonlocal attempt
            total = count + self._owed(key, fresh)
            attempt = _Unsure(fresh.status.access_count or 0, total) if total else None
            return fresh.status.model_copy(update={"access_count": attempt.after}) if attempt else None

        try:
            await self._images.apply_status(*key, add)
        except (ClusterUnavailableError, asyncio.CancelledError):
            # It may have been written all the same: the next look at the status tells.
            if attempt is not None:
                self._unsure[key] = attempt
            else:
                self._index.give_back(*key, count)
            raise
        except CatalogError:
            self._index.give_back(*key, count)
            raise
        # The watch brings the object; until then the index holds what was counted.
        self._unsure.pop(key, None)

    def _owed(self, key: _Key, fresh: CatalogImage) -> int:
        """Return what an unanswered write before still owes: nothing if the status has risen by it since."""
        unsure = self._unsure.get(key)
        if unsure is None or (fresh.status.access_count or 0) >= unsure.after:
            return 0
        return unsure.count
