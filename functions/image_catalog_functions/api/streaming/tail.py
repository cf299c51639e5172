"""The end of the audit's log, read once for everybody who watches this process."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog

from image_catalog.audit.records import Record
from image_catalog.errors import CatalogError
from image_catalog_functions.api.streaming.told import Told, tell

__all__ = ["Log", "Tail"]

logger = structlog.get_logger(__name__)

PAGE: Final = 200
"""Records that are read at once: some 400 KB."""

_READERS: Final = 4
"""Watchers that catch up at once; the log is a database that others write to."""

_IN_TROUBLE: Final = 10
"""How much more seldom a database is asked that does not answer."""


_LOOKS: Final = 20
"""After how many looks that brought nothing it is asked whether the log has become shorter."""


class Log(Protocol):
    """What is read of the audit."""

    async def after(self, seq: int, /, *, limit: int) -> Sequence[Record]:
        """Return the records that follow a place, oldest first."""

    async def newest(self) -> int:
        """Return the place of the newest record; 0 if there is none."""

    async def oldest(self) -> int:
        """Return the place of the oldest record; 0 if there is none."""

    async def newest_before(self, moment: datetime, /) -> int:
        """Return the place of the last record that was written before a moment; 0 if there is none."""

    async def find(self, event_id: str, /) -> Record | None:
        """Return the record under an event's id, `None` when there is none."""


class Tail:
    """Follows the log while anybody watches, and keeps the last events for them.

    Every process reads the log for itself, so a watcher of any of them is told
    everything, whoever wrote it.

    Parameters
    ----------
    log
        The audit.
    poll
        Time between two looks.
    kept
        How many events are kept for watchers that are behind.
    kept_bytes
        How much they may take.

    Attributes
    ----------
    floor
        The place behind which events are kept.
    position
        How far the log was read.
    restored
        How often the log was found to be another, in which places mean something else.
    """

    def __init__(self, log: Log, *, poll: timedelta, kept: int, kept_bytes: int) -> None:
        self._log = log
        self._poll = poll.total_seconds()
        self._kept = kept
        self._kept_bytes = kept_bytes
        self._events: list[Told] = []
        self._bytes = 0
        self._watchers = 0
        self._opening = asyncio.Lock()
        self._job: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._readers = asyncio.Semaphore(_READERS)
        self._vain = 0
        self.floor = 0
        self.position = 0
        self.restored = 0

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Have the log followed; the first watcher starts that, the last one ends it.

        Raises
        ------
        AuditUnavailableError
            Raised if the database does not answer.
        """
        async with self._opening:
            if self._job is None:
                self.floor = self.position = await self._log.newest()
                self._events, self._bytes = [], 0
                self._job = asyncio.create_task(self._follow())
            self._watchers += 1
        try:
            yield
        finally:
            self._watchers -= 1
            if self._watchers == 0 and (job := self._job) is not None:
                self._job = None
                job.cancel()
                with suppress(asyncio.CancelledError):
                    await job

    async def page(self, seq: int) -> tuple[list[Told], int]:
        """Read on from a place that is no longer kept; return events, and the place that they lead to.

        Raises
        ------
        AuditUnavailableError
            Raised if the database does not answer.
        """
        async with self._readers:
            records = await self._log.after(seq, limit=PAGE)
            told = [event for record in records if (event := await tell(record, self._log)) is not None]
        # A page that is not full has reached the end, which is behind everything that is kept.
        return told, records[-1].seq if records else max(seq, self.floor)

    def since(self, seq: int, *, limit: int) -> tuple[list[Told], int]:
        """Return the next events after a place that is kept, and the place that they lead to."""
        first = bisect_right(self._events, seq, key=lambda event: event.seq)
        found = self._events[first : first + limit]
        if len(found) == limit:
            return found, found[-1].seq
        # An event is kept before the place of its record is passed.
        return found, max(seq, self.position, *(event.seq for event in found[-1:]))

    async def changes(self, seq: int, *, within: timedelta) -> None:
        """Wait until there is more after a place, or the time is up."""
        if self.position > seq:
            return
        changed = self._changed
        with suppress(TimeoutError):
            async with asyncio.timeout(within.total_seconds()):
                await changed.wait()

    async def _follow(self) -> None:
        while True:
            pause = self._poll
            try:
                while await self._read():
                    pass
            except CatalogError as e:
                logger.warning("events not read", error=e.message)
                pause = _IN_TROUBLE * self._poll
            except Exception:
                logger.exception("streams not fed")
                pause = _IN_TROUBLE * self._poll
            await asyncio.sleep(pause)

    async def _read(self) -> bool:
        """Read the next page; return whether there may be more."""
        records = await self._log.after(self.position, limit=PAGE)
        for record in records:
            told = await tell(record, self._log)
            if told is not None:
                self._keep(told)
            self.position = record.seq
        if records or await self._is_restored():
            self._vain = 0
            changed, self._changed = self._changed, asyncio.Event()
            changed.set()
        return len(records) == PAGE

    async def _is_restored(self) -> bool:
        """Return whether the log ends before what was read of it, and begin anew where it does.

        Its database was replaced by a backup, or by a server that had not heard
        of the last records: to wait for the place that was reached would be to
        tell nobody of anything until then.
        """
        self._vain += 1
        if self._vain % _LOOKS or (newest := await self._log.newest()) >= self.position:
            return False
        logger.warning("streams begin anew after a restored backup", reached=self.position, newest=newest)
        self.floor = self.position = newest
        self._events, self._bytes = [], 0
        self.restored += 1
        return True

    def _keep(self, told: Told) -> None:
        self._events.append(told)
        self._bytes += len(told.frame)
        while len(self._events) > self._kept or self._bytes > self._kept_bytes:
            gone = self._events.pop(0)
            self._bytes -= len(gone.frame)
            self.floor = gone.seq
