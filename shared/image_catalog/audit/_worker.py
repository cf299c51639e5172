"""The way from coroutines to the database and back: threads, group commit, and an end to waiting."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeVar

from pydantic import SecretStr

from image_catalog.audit._records import Prepared
from image_catalog.audit._threads import Threads
from image_catalog.errors import AuditUnavailableError
from image_catalog.loading import collector_paused

if TYPE_CHECKING:
    from image_catalog.audit._appending import Appended
    from image_catalog.audit._database import Database
    from image_catalog.audit._letters import Letters
    from image_catalog.audit._reading import Reading

__all__ = ["PATIENCE", "Worker"]

_T = TypeVar("_T")

PATIENCE: Final = timedelta(seconds=20)
"""How long an answer is waited for: longer than a statement may take, shorter than a broker waits for a function."""

_READERS: Final = 4
_BATCH: Final = 500
"""Records of one transaction: past this a batch gains nothing, and the last of it waits longer."""


@dataclass(frozen=True, slots=True)
class _Append:
    """Records that wait to be written together, and who waits for them."""

    records: Sequence[Prepared]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[list[Appended]]


class Worker:
    """Runs calls on the database in threads of its own; what it needs of SQLAlchemy is loaded with the first one.

    Parameters
    ----------
    url
        As `checked_url` returns it.
    clock
        Tells the time.
    patience
        How long an answer is waited for.
    """

    def __init__(self, url: SecretStr, *, clock: Callable[[], datetime], patience: timedelta = PATIENCE) -> None:
        self._url = url
        self._clock = clock
        self._patience = patience
        self._opening = threading.Lock()
        self._database: Database | None = None
        self._ready = False
        self._readers = Threads(_READERS, name="audit-read")
        self._writer = Threads(1, name="audit-write")
        self._waiting: deque[_Append] = deque()

    async def read(self, call: Callable[[Reading], _T]) -> _T:
        """Run a call in a transaction that reads records."""

        def run() -> _T:
            database = self._open()
            from image_catalog.audit._reading import Reading  # noqa: PLC0415 - half a cold start to load

            with database.reading() as connection:
                return call(Reading(connection))

        return await self._answer(self._readers.submit(run))

    async def letters(self, call: Callable[[Letters], _T]) -> _T:
        """Run a call in a transaction that reads and writes dead letters."""

        def run() -> _T:
            database = self._open()
            from image_catalog.audit._letters import Letters  # noqa: PLC0415 - the same

            with database.writing() as connection:
                return call(Letters(connection))

        return await self._answer(self._writer.submit(run))

    async def run(self, call: Callable[[Database], _T], *, migrated: bool = True) -> _T:
        """Run a call that takes its own transactions, and as long as it needs.

        Parameters
        ----------
        call
            What is run.
        migrated
            Whether the database is made up to date first.
        """
        return await asyncio.wrap_future(self._readers.submit(lambda: call(self._open(migrated=migrated))))

    async def append(self, records: Sequence[Prepared]) -> list[Appended]:
        """Append records; calls that wait meanwhile are written in one transaction, each whole or not at all."""
        loop = asyncio.get_running_loop()
        append = _Append(records, loop, loop.create_future())
        self._waiting.append(append)
        self._writer.submit(self._drain)
        async with self._patient():
            return await append.future

    async def aclose(self) -> None:
        """Let the calls before end, and close the connections."""
        await self._writer.aclose()
        await self._readers.aclose()
        if self._database is not None:
            self._database.close()

    async def _answer(self, future: Future[_T]) -> _T:
        async with self._patient():
            return await asyncio.wrap_future(future)

    @asynccontextmanager
    async def _patient(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._patience.total_seconds()):
                yield
        except TimeoutError as e:
            seconds = f"{self._patience.total_seconds():g}"
            raise AuditUnavailableError(f"the audit's database did not answer within {seconds} seconds") from e

    def _open(self, *, migrated: bool = True) -> Database:
        with self._opening:
            if self._database is None:
                with collector_paused():
                    from image_catalog.audit import _appending  # noqa: F401, PLC0415 - loaded with what it needs
                    from image_catalog.audit._database import Database  # noqa: PLC0415 - half a cold start to load

                self._database = Database(self._url)
            if migrated and not self._ready:
                from image_catalog.audit._schema import migrate  # noqa: PLC0415 - the same

                migrate(self._database)
                self._ready = True
            return self._database

    def _drain(self) -> None:
        """Write what waits, up to one batch; each append has left a call of this behind, so none is forgotten."""
        batch: list[_Append] = []
        count = 0
        while self._waiting and count < _BATCH:
            append = self._waiting.popleft()
            if not append.future.cancelled():
                batch.append(append)
                count += len(append.records)
        if not batch:
            return
        try:
            done = self._write([record for append in batch for record in append.records])
        except BaseException as e:  # noqa: BLE001 - whoever waits is told, whatever it is
            _tell([(append, e) for append in batch])
            return
        outcomes: list[tuple[_Append, list[Appended] | BaseException]] = []
        for append in batch:
            outcomes.append((append, done[: len(append.records)]))
            del done[: len(append.records)]
        _tell(outcomes)

    def _write(self, records: Sequence[Prepared]) -> list[Appended]:
        database = self._open()
        from image_catalog.audit._appending import append  # noqa: PLC0415 - half a cold start to load

        with database.writing() as connection:
            return append(connection, records, now=self._clock())


def _tell(outcomes: Sequence[tuple[_Append, list[Appended] | BaseException]]) -> None:
    """Tell all who wait what came of it, waking each loop once: to be woken costs more than a record."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[_Append, list[Appended] | BaseException]]] = {}
    for append, outcome in outcomes:
        by_loop.setdefault(append.loop, []).append((append, outcome))
    for loop, its in by_loop.items():
        # A loop that is closed has nobody left who waits.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_settle, its)


def _settle(outcomes: Sequence[tuple[_Append, list[Appended] | BaseException]]) -> None:
    for append, outcome in outcomes:
        if append.future.done():
            continue
        if isinstance(outcome, BaseException):
            append.future.set_exception(outcome)
        else:
            append.future.set_result(outcome)
