"""The audit's store, as everybody else sees it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog
from pydantic import SecretStr

from image_catalog.audit._records import prepare
from image_catalog.audit._urls import checked_url
from image_catalog.audit._worker import PATIENCE, Worker
from image_catalog.audit.chain import Link, Verification
from image_catalog.audit.letters import DeadLetter, LetterState, NewDeadLetter
from image_catalog.audit.records import Consumer, NewRecord, Prunable, Pruned, Record, RecordPage, RecordQuery, State

if TYPE_CHECKING:
    from image_catalog.audit._database import Database

__all__ = ["AuditStore"]

_log = structlog.get_logger(__name__)


def _now() -> datetime:
    return datetime.now(UTC)


class AuditStore:
    """Keeps what happened, in a database that several processes may share.

    Every method may raise `AuditUnavailableError`. What was to be appended is
    then kept or not, and appending it again makes it so.

    Parameters
    ----------
    worker
        Runs the calls on the database.
    clock
        Tells the time.
    """

    def __init__(self, *, worker: Worker, clock: Callable[[], datetime]) -> None:
        self._worker = worker
        self._clock = clock

    @classmethod
    def open(
        cls, url: SecretStr | str, *, clock: Callable[[], datetime] = _now, patience: timedelta = PATIENCE
    ) -> AuditStore:
        """Open a store; the database is connected, and made up to date, when it is first used.

        Parameters
        ----------
        url
            ``postgresql://user:password@host/name`` or ``sqlite:////path``.
        clock
            Tells the time.
        patience
            How long an answer of the database is waited for.

        Raises
        ------
        PermanentError
            Raised if there is no such kind of database.
        """
        return cls(worker=Worker(checked_url(url), clock=clock, patience=patience), clock=clock)

    async def append(self, records: Sequence[NewRecord]) -> list[Record]:
        """Keep records, all or none, and return each as it is kept.

        An event that is known adds nothing, unless it now is confirmed, or
        brings a state, and did not before: that becomes a hidden record of its
        own, because none is ever changed. A state that is older than the
        entry's last one is not kept. The newest link of every chain that grew
        is logged.

        Parameters
        ----------
        records
            What happened, the oldest first.

        Raises
        ------
        PermanentError
            Raised if a record can never be kept: its data is no JSON.
        """
        if not records:
            return []
        appended = await self._worker.append([prepare(record) for record in records])
        new = [(one.record.event_id, one.link) for one in appended if one.link is not None]
        if new:
            newest = {link.chain: link.to_dict() for _, link in new}
            _log.info("audit appended", records=len(new), ids=[event for event, _ in new], links=list(newest.values()))
        return [one.record for one in appended]

    async def find(self, event_id: str) -> Record | None:
        """Return the record of an event, if there is one."""
        return await self._worker.read(lambda reading: reading.find(event_id))

    async def query(self, asked: RecordQuery) -> RecordPage:
        """Return the newest records that were asked for, page by page."""
        return await self._worker.read(lambda reading: reading.query(asked))

    async def after(self, seq: int, *, limit: int = 100) -> list[Record]:
        """Return the oldest records that came after one.

        Who reads on from the last one that was returned misses none: their
        numbers are in the order of commits.

        Parameters
        ----------
        seq
            `Record.seq` of the last one that is known; 0 begins with the oldest.
        limit
            Largest number of records.
        """
        return await self._worker.read(lambda reading: reading.after(seq, limit=limit))

    async def newest(self) -> int:
        """Return the number of the newest record; 0 where there is none."""
        return await self._worker.read(lambda reading: reading.newest())

    async def oldest(self) -> int:
        """Return the number of the oldest record that is left; 0 where there is none."""
        return await self._worker.read(lambda reading: reading.oldest())

    async def newest_before(self, moment: datetime) -> int:
        """Return the number of the last record that was kept before a moment; 0 where there is none."""
        return await self._worker.read(lambda reading: reading.newest_before(moment))

    async def last_state(self, namespace: str, name: str) -> State | None:
        """Return how an entry was when it was last seen, also when it was removed since; `None` if it never was."""
        return await self._worker.read(lambda reading: reading.last_state(namespace, name))

    async def states_at(
        self,
        moment: datetime,
        *,
        namespace: str | None = None,
        holding: Sequence[bytes] = (),
        wanted: Callable[[Mapping[str, Any]], bool] = lambda _: True,
    ) -> list[State]:
        """Return every entry that there was at a moment, by namespace and name.

        By what the audit knew then: what it learnt later of a time before does
        not change the past, so the same question always has the same answer.

        Parameters
        ----------
        moment
            When.
        namespace
            Only entries of this one.
        holding
            Only entries whose object, as JSON, holds all of these somewhere.
        wanted
            Tells by an entry's object whether it is returned; asked of one after
            the other in another thread, so that what is not wanted takes no room.
        """
        return await self._worker.read(
            lambda reading: reading.states_at(moment, namespace=namespace, holding=holding, wanted=wanted)
        )

    async def consumers(
        self, digests: Collection[str], *, namespaces: Collection[str] | None = None, limit: int = 1000
    ) -> list[Consumer]:
        """Return who resolved or downloaded any of some images, who did so last first.

        Parameters
        ----------
        digests
            The images.
        namespaces
            Only through entries of these.
        limit
            Largest number of consumers.
        """
        return await self._worker.read(lambda reading: reading.consumers(digests, namespaces=namespaces, limit=limit))

    async def keep_dead_letter(self, letter: NewDeadLetter) -> DeadLetter:
        """Keep an event that could not be delivered; one that is known is counted, and open again."""
        return await self._worker.letters(lambda letters: letters.keep(letter))

    async def dead_letters(
        self,
        *,
        states: Collection[LetterState] = (LetterState.OPEN,),
        limit: int = 100,
    ) -> list[DeadLetter]:
        """Return the newest dead letters.

        Parameters
        ----------
        states
            In any of these.
        limit
            Largest number of letters.
        """
        return await self._worker.letters(lambda letters: letters.list(states=states, limit=limit))

    async def dead_letter(self, letter: int) -> DeadLetter | None:
        """Return a dead letter by its id."""
        return await self._worker.letters(lambda letters: letters.find(letter))

    async def settle_dead_letter(self, letter: int, state: LetterState, *, by: str) -> DeadLetter | None:
        """Say what became of a dead letter, and who did it; `None` if there is no such letter."""
        return await self._worker.letters(lambda letters: letters.settle(letter, state, by=by, now=self._clock()))

    async def verify(self, links: Iterable[Link] = ()) -> Verification:
        """Go through every chain and find each place where one does not hold.

        Parameters
        ----------
        links
            Links that were logged, see `read_links`: with the newest one of
            each chain it shows, too, when the end of a chain was cut off.
        """

        def verify_all(database: Database) -> Verification:
            from image_catalog.audit._verifying import verify  # noqa: PLC0415 - loads SQLAlchemy

            return verify(database, links)

        return await self._worker.run(verify_all)

    async def links(self) -> list[Link]:
        """Return the newest link of every chain, to be kept elsewhere."""
        return await self._worker.read(lambda reading: list(reading.links()))

    async def prunable(self, *, older_than: timedelta) -> Prunable:
        """Return what `prune` would remove now; what it writes itself may let it remove a few more.

        Parameters
        ----------
        older_than
            How long ago.
        """
        before = self._clock() - older_than

        def count(database: Database) -> Prunable:
            from image_catalog.audit._pruning import prunable  # noqa: PLC0415 - loads SQLAlchemy

            return prunable(database, before=before)

        return await self._worker.run(count)

    async def prune(self, *, older_than: timedelta, by: str = "", rounds: int | None = None) -> Pruned:
        """Remove what was recorded longer ago, and say in a record that it was.

        The newest record of a chain stays, and where a chain begins then is
        kept, so that the rest can be verified; so does the last state of each
        entry before that time. Letters that are open stay.

        Parameters
        ----------
        older_than
            How long ago.
        by
            Who asks for it.
        rounds
            How many transactions at most, of 2,000 records each; `None` for all.
        """
        now = self._clock()

        def remove(database: Database) -> Pruned:
            from image_catalog.audit._pruning import prune  # noqa: PLC0415 - loads SQLAlchemy

            return prune(database, before=now - older_than, now=now, by=by, rounds=rounds)

        return await self._worker.run(remove)

    async def version(self) -> tuple[str | None, str]:
        """Return the database's version, `None` if it is empty, and the newest that is known; nothing is changed."""

        def look(database: Database) -> tuple[str | None, str]:
            from image_catalog.audit._schema import compare  # noqa: PLC0415 - loads SQLAlchemy

            return compare(database)

        return await self._worker.run(look, migrated=False)

    async def migrate(self) -> tuple[str | None, str]:
        """Make the database up to date, as the first use would; return its version before and after."""

        def migrate_it(database: Database) -> tuple[str | None, str]:
            from image_catalog.audit._schema import migrate  # noqa: PLC0415 - loads SQLAlchemy

            return migrate(database)

        return await self._worker.run(migrate_it, migrated=False)

    async def aclose(self) -> None:
        """Let the calls before end, and close the connections."""
        await self._worker.aclose()
