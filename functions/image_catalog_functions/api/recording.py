"""Keeps in the audit who was given which image: callers who resolved a board, and callers who downloaded a file.

A read must not wait for a database. What happened is noted in memory, equal
happenings of a moment as one, and written by a job every two seconds. While the
database is away the notes wait, up to a bound; what does not fit is counted.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, Protocol

import structlog
from prometheus_client import Counter

from image_catalog.audit import CONSUMING, NewRecord
from image_catalog.cluster import Caller
from image_catalog.errors import CatalogError, TransientError
from image_catalog.models import format_time

__all__ = ["MAX_NOTES", "GivenImage", "Recorder"]

_log = structlog.get_logger(__name__)

_INTERVAL: Final = timedelta(seconds=2)
"""Long enough to tell a script's thousand requests in one record, and short enough for somebody who looks on."""

MAX_NOTES: Final = 10_000
"""Notes that wait at most, some 10 MB: at a thousand callers a minute an outage of ten minutes loses nothing."""

_LAST_WRITE: Final = timedelta(seconds=5)
"""How long a process that was told to stop waits for a database: it will be killed, and has more to finish."""

_BATCH: Final = 500
"""Records in one transaction: an append holds every other one up."""

_RECORDS = Counter(
    "image_catalog_api_consumption_records_total",
    "Records of who resolved or downloaded an image, by what became of them.",
    ("outcome",),
)
_RESOLVED, _DOWNLOADED = CONSUMING


class Ledger(Protocol):
    """The part of the audit that is needed here."""

    async def append(self, records: Sequence[NewRecord]) -> object:
        """Keep records; those that are kept already change nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenImage:
    """The image that somebody was given, or a file of it.

    Attributes
    ----------
    namespace, name
        The entry.
    digest
        Of the content; `None` while nobody knows it.
    registry_url
        Reference of the entry.
    data
        What else is worth knowing, as JSON; that of the first of equal happenings is kept.
    """

    namespace: str
    name: str
    digest: str | None
    registry_url: str | None
    data: Mapping[str, Any] = field(default_factory=dict)


class _Happening(NamedTuple):
    """What makes two happenings of a moment the same."""

    kind: str
    actor: str
    namespace: str
    name: str
    digest: str | None
    registry_url: str | None
    target: str | None
    artifact: str | None


@dataclass(slots=True)
class _Note:
    """How often, and when first and last, something happened."""

    data: Mapping[str, Any]
    first: datetime
    last: datetime
    count: int = 1


class Recorder:
    """Notes who was given which image, and writes it to the audit.

    Parameters
    ----------
    audit
        Keeps the records; without one nothing is noted.
    clock
        Tells the time.
    limit
        How many notes wait at most.
    patience
        How long the last write may take.
    """

    def __init__(
        self,
        *,
        audit: Ledger | None,
        clock: Callable[[], datetime],
        limit: int = MAX_NOTES,
        patience: timedelta = _LAST_WRITE,
    ) -> None:
        self._audit = audit
        self._clock = clock
        self._limit = limit
        self._patience = patience
        self._notes: dict[_Happening, _Note] = {}
        self._waiting: list[NewRecord] = []
        self._lost = 0
        self._writing = asyncio.Lock()

    def resolved(self, caller: Caller, image: GivenImage, *, target: str) -> None:
        """Note that a caller was given an image for a board; never waits.

        Parameters
        ----------
        caller
            Who.
        image
            The image, by the digest of the board's platform.
        target
            The board.
        """
        self._note(_RESOLVED, caller, image, target=target)

    def downloaded(self, caller: Caller, image: GivenImage, *, artifact: str | None) -> None:
        """Note that a caller was given the address of an image's file; never waits.

        Parameters
        ----------
        caller
            Who.
        image
            The image that the file belongs to.
        artifact
            Name of the file, where it has one.
        """
        self._note(_DOWNLOADED, caller, image, artifact=artifact)

    def _note(
        self, kind: str, caller: Caller, image: GivenImage, *, target: str | None = None, artifact: str | None = None
    ) -> None:
        if self._audit is None:
            return
        happening = _Happening(
            kind, caller.username, image.namespace, image.name, image.digest, image.registry_url, target, artifact
        )
        now, note = self._clock(), self._notes.get(happening)
        if note is not None:
            note.last = now
            note.count += 1
        elif len(self._notes) + len(self._waiting) < self._limit:
            self._notes[happening] = _Note(image.data, now, now)
        else:
            self._lost += 1

    async def run(self) -> None:
        """Write what is noted, every two seconds, for ever."""
        while True:
            await asyncio.sleep(_INTERVAL.total_seconds())
            try:
                await self.flush()
            except Exception:  # noqa: BLE001 - nobody waits for this loop, so that it would end unseen
                _log.exception("records not written")

    async def flush(self) -> int:
        """Write everything that is noted, and wait for what is being written.

        Returns
        -------
        int
            How many records are left because the database does not answer.
        """
        async with self._writing:
            notes, self._notes = self._notes, {}
            self._waiting += [_record(happening, note) for happening, note in notes.items()]
            if self._audit is not None:
                await self._write(self._audit)
            self._tell_lost()
            return len(self._waiting)

    async def aclose(self) -> None:
        """Write what is noted; what cannot be written soon is lost."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience.total_seconds()):
                await self.flush()
        self._lost += len(self._waiting) + len(self._notes)
        self._waiting.clear()
        self._notes.clear()
        self._tell_lost()

    def _tell_lost(self) -> None:
        if self._lost:
            _RECORDS.labels("lost").inc(self._lost)
            _log.error("records lost", count=self._lost)
            self._lost = 0

    async def _write(self, audit: Ledger) -> None:
        while batch := self._waiting[:_BATCH]:
            try:
                await audit.append(batch)
            except TransientError as e:
                # Kept under their ids: should they have been written all the same, the next time changes nothing.
                _log.warning("records wait", count=len(self._waiting), reason=e.reason, message=e.message)
                return
            except CatalogError as e:
                _log.error("records refused", count=len(batch), reason=e.reason, message=e.message)
                self._lost += len(batch)
            else:
                _RECORDS.labels("written").inc(len(batch))
            del self._waiting[: len(batch)]


def _record(happening: _Happening, note: _Note) -> NewRecord:
    given = {"target": happening.target, "artifact": happening.artifact}
    told = {"count": note.count, "first": format_time(note.first), "last": format_time(note.last)}
    what = happening.artifact or "the image"
    verb = "resolved" if happening.kind == _RESOLVED else f"was given the address of {what}"
    times = "" if note.count == 1 else f", {note.count} times"
    board = f" for {happening.target}" if happening.target else ""
    return NewRecord(
        event_id=str(uuid.uuid4()),
        kind=happening.kind,
        time=note.first,
        namespace=happening.namespace,
        name=happening.name,
        actor=happening.actor,
        digest=happening.digest,
        registry_url=happening.registry_url,
        message=f"{happening.actor} {verb}{board}{times}",
        data={**note.data, **{key: value for key, value in given.items() if value is not None}, **told},
    )
