"""Appends what happened to the history."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, Self
from weakref import WeakValueDictionary

import structlog

from image_catalog.audit import AuditStore, NewRecord
from image_catalog.catalog.chronicle import record_of_event, records_of_change
from image_catalog.catalog.upkeep import Upkeep
from image_catalog.cluster import CATALOG_IMAGE
from image_catalog.context import Context
from image_catalog.errors import CatalogError, InvalidEventError
from image_catalog.events import PREFIX, ReceivedEvent, SourceType
from image_catalog.metrics import exemplar
from image_catalog_functions.audit.metrics import AUDIT_LAG

__all__ = ["History"]

_log = structlog.get_logger(__name__)

_ROUNDS: Final = 5
"""Of removing old records, 10,000 in all: an event is waiting for its answer meanwhile."""

_turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
"""Entries of which a change is being compared; it is one process that most changes of an entry come to."""


class History:
    """Appends to the history what is to be kept of an event.

    Parameters
    ----------
    store
        Where the history is; `None` where none is kept.
    clock
        Tells the time.
    upkeep
        Says when old records are to go.
    read
        Reads an entry as the API server has it, by namespace and name.
    """

    def __init__(
        self,
        *,
        store: AuditStore | None,
        clock: Callable[[], datetime],
        upkeep: Upkeep,
        read: Callable[[str, str], Awaitable[dict[str, Any] | None]],
    ) -> None:
        self._store = store
        self._read = read
        self._clock = clock
        self._upkeep = upkeep

    @classmethod
    def of(cls, context: Context) -> Self:
        """Take what it needs from a context."""
        api = context.api
        return cls(
            store=context.audit,
            clock=context.clock,
            upkeep=context.upkeep,
            read=lambda namespace, name: api.get(CATALOG_IMAGE, name, namespace),
        )

    @property
    def is_off(self) -> bool:
        """Whether no history is kept."""
        return self._store is None

    async def keep(self, event: ReceivedEvent[Any]) -> None:
        """Append what is to be kept of a catalog event, or of a change of an entry.

        Raises
        ------
        AuditUnavailableError
            Raised when the database does not answer.
        InvalidEventError
            Raised for a change of no entry.
        """
        if self._store is None:
            if self._upkeep.is_news("no history"):
                _log.warning("no history is kept: no database is configured", setting="IMAGE_CATALOG_DATABASE_URL")
        elif event.type.startswith(PREFIX):
            record = record_of_event(event, now=self._clock())
            await self._append([] if record is None else [record], event)
        else:
            await self._keep_change(event)

    async def tidy(self) -> None:
        """Remove records that are older than they are kept for, a bounded number of them, every now and then."""
        older_than = self._upkeep.due()
        if self._store is None or older_than is None:
            return
        try:
            await self._store.prune(older_than=older_than, by="audit", rounds=_ROUNDS)
        except CatalogError as e:
            # It is tried again with a later event; this one has been kept.
            _log.warning("old records not removed", reason=e.reason, message=e.message)

    async def _keep_change(self, event: ReceivedEvent[Any]) -> None:
        metadata = event.data.get("metadata") if isinstance(event.data, dict) else None
        if not isinstance(metadata, dict) or not all(metadata.get(key) for key in ("namespace", "name", "uid")):
            raise InvalidEventError("the data of a CatalogImage's change is no CatalogImage", status=422)
        namespace, name = str(metadata["namespace"]), str(metadata["name"])
        assert self._store is not None  # noqa: S101 - `keep` has seen to it
        async with _turns.setdefault(f"{namespace}/{name}", asyncio.Lock()):
            known, now = await self._store.last_state(namespace, name), self._clock()
            records = records_of_change(event.type, event.data, known, now=now)
            if not records:
                return
            # Every Pod can post a change to the broker: what is kept as true is what the API server says.
            current = await self._read(namespace, name)
            is_there = current is not None and current["metadata"].get("uid") == metadata["uid"]
            if event.type == SourceType.RESOURCE_DELETED:
                if is_there:
                    raise InvalidEventError("an entry that is there was told to be deleted", status=422)
                is_true = known is not None and known.uid == metadata["uid"]
            else:
                is_true = is_there
                if is_there and current is not None:
                    records = records_of_change(event.type, current, known, now=now)
            if not is_true:
                records = [replace(record, confirmed=False, state=None) for record in records]
            await self._append(records, event)

    async def _append(self, records: Sequence[NewRecord], event: ReceivedEvent[Any]) -> None:
        if records and self._store is not None:
            await self._store.append(records)
            if event.time is not None:
                AUDIT_LAG.observe(max(self._clock() - event.time, timedelta()).total_seconds(), exemplar())
