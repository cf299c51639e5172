"""Removes what is old, and leaves of each chain enough to prove the rest."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, delete, exists, func, insert, select, update

from image_catalog.audit import _schema
from image_catalog.audit._appending import Batch
from image_catalog.audit._database import Database
from image_catalog.audit._records import prepare
from image_catalog.audit._states import state_digest, unpack
from image_catalog.audit._tables import anchors, chains, dead_letters, records, states
from image_catalog.audit._times import to_micros
from image_catalog.audit.letters import LetterState
from image_catalog.audit.records import CARRIED, PRUNED, NewRecord, Prunable, Pruned

__all__ = ["prunable", "prune"]

_AT_ONCE: Final = 2000
"""Records of one transaction: whoever appends waits for it."""


@dataclass(slots=True)
class _Counts:
    records: int = 0
    states: int = 0
    chains: set[int] = field(default_factory=set)


def prune(database: Database, *, before: datetime, now: datetime, by: str, rounds: int | None = None) -> Pruned:
    """Remove what was recorded before a moment, save the newest record of each chain.

    Parameters
    ----------
    database
        Where.
    before
        What was recorded earlier is removed.
    now
        What time it is.
    by
        Who asks for it.
    rounds
        How many transactions at most, of 2,000 records each; what is left is
        for the next time.
    """
    counts = _Counts()
    with database.reading() as connection:
        end = _first_kept(connection, to_micros(before))
    going_on, done = True, 0
    while going_on and (rounds is None or done < rounds):
        done += 1
        with database.writing() as connection:
            _schema.check(connection)
            going_on = _Round(connection, end=end, before=before, now=now, by=by, counts=counts).run()
    with database.writing() as connection:
        gone = connection.execute(delete(dead_letters).where(*_is_done_with(before)))
    return Pruned(
        before=before, records=counts.records, states=counts.states, letters=gone.rowcount, chains=len(counts.chains)
    )


def prunable(database: Database, *, before: datetime) -> Prunable:
    """Count what was recorded before a moment and may be removed.

    Parameters
    ----------
    database
        Where.
    before
        What was recorded earlier is counted.
    """
    with database.reading() as connection:
        old = _old(_first_kept(connection, to_micros(before))).subquery()
        counted = select(func.count(), func.count(old.c.chain_id.distinct())).select_from(old)
        of_records, of_chains = connection.execute(counted).one()
        of_letters = select(func.count()).select_from(dead_letters).where(*_is_done_with(before))
        letters = connection.execute(of_letters).scalar_one()
    return Prunable(before=before, records=of_records, letters=letters, chains=of_chains)


def _old(end: int) -> Select[Any]:
    """Select the records before a number, save the newest of each chain."""
    return (
        select(records.c.seq, records.c.chain_id, records.c.position, records.c.hash)
        .join(chains, chains.c.id == records.c.chain_id)
        .where(records.c.seq < end, records.c.position < chains.c.position)
    )


def _is_done_with(before: datetime) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of letters that nobody waits for any more."""
    settled = [LetterState.REPLAYED.value, LetterState.DROPPED.value]
    return dead_letters.c.state.in_(settled), dead_letters.c.last < to_micros(before)


def _first_kept(connection: Connection, before: int) -> int:
    """Return the number of the first record that is young enough; times of recording grow with the numbers."""
    young = select(func.min(records.c.seq)).where(records.c.recorded_at >= before)
    found = connection.execute(young).scalar_one_or_none()
    if found is not None:
        return int(found)
    return int(connection.execute(select(func.max(records.c.seq))).scalar_one() or 0) + 1


class _Round:
    """One transaction: removes the oldest records of all chains, and writes down that it did."""

    def __init__(
        self, connection: Connection, *, end: int, before: datetime, now: datetime, by: str, counts: _Counts
    ) -> None:
        self._connection = connection
        self._end = end
        self._before = before
        self._now = now
        self._by = by
        self._counts = counts

    def run(self) -> bool:
        """Remove some; return whether there may be more."""
        found = self._connection.execute(_old(self._end).order_by(records.c.seq).limit(_AT_ONCE)).all()
        if not found:
            return False
        # Within a chain numbers grow with positions, so the oldest records of all are the beginning of each.
        last = {row.chain_id: row for row in found}
        removed = [row.seq for row in found]
        self._connection.execute(delete(records).where(records.c.seq.in_(removed)))
        self._counts.records += len(removed)
        self._counts.chains |= last.keys()
        for chain_id, row in last.items():
            self._anchor(row, sum(one.chain_id == chain_id for one in found))
        self._vouch(self._remove_states(list(last), removed))
        return len(found) == _AT_ONCE

    def _anchor(self, last: Any, count: int) -> None:
        known = self._connection.execute(
            select(anchors.c.count).where(anchors.c.chain_id == last.chain_id)
        ).scalar_one_or_none()
        row = {"position": last.position, "hash": last.hash, "pruned_at": to_micros(self._now)}
        if known is None:
            self._connection.execute(insert(anchors).values(chain_id=last.chain_id, count=count, **row))
        else:
            self._connection.execute(
                update(anchors).where(anchors.c.chain_id == last.chain_id).values(count=known + count, **row)
            )

    def _remove_states(self, chain_ids: Sequence[int], removed: Sequence[int]) -> list[Any]:
        """Remove the states that nobody can ask for any more; return those that are left without their record."""
        # What an entry was at the edge is what it was until its next change, so its last state before stays.
        last = (
            select(func.max(states.c.seq))
            .where(states.c.chain_id.in_(chain_ids), states.c.seq < self._end)
            .group_by(states.c.chain_id)
        )
        kept = set(self._connection.execute(last).scalars())
        proven = exists().where(records.c.seq == states.c.proof_seq)
        gone = self._connection.execute(
            delete(states).where(
                states.c.chain_id.in_(chain_ids), states.c.seq < self._end, states.c.seq.not_in(kept), ~proven
            )
        )
        self._counts.states += gone.rowcount
        bare = (
            select(states, chains.c.subject)
            .join(chains, chains.c.id == states.c.chain_id)
            .where(states.c.proof_seq.in_(removed))
        )
        return list(self._connection.execute(bare).mappings())

    def _vouch(self, bare: Sequence[Any]) -> None:
        """Chain a record for each state that lost its own, and one that tells what was removed."""
        carried = [(state, _carried(state, self._now)) for state in bare]
        rows = [prepare(record).row for _, record in carried]
        told = prepare(self._told()).row
        batch = Batch(self._connection, [*rows, told], now=to_micros(self._now))
        for (state, _), row in zip(carried, rows, strict=True):
            proof = batch.add_hidden(row)
            self._connection.execute(update(states).where(states.c.seq == state["seq"]).values(proof_seq=proof))
        batch.add(told, None)
        batch.write()

    def _told(self) -> NewRecord:
        total = self._connection.execute(select(func.sum(anchors.c.count))).scalar_one()
        return NewRecord(
            event_id=f"pruned-{uuid.uuid4()}",
            kind=PRUNED,
            time=self._now,
            actor=self._by,
            message=f"records from before {self._before:%Y-%m-%dT%H:%M:%SZ} were removed for their age",
            data={"before": self._before.isoformat(), "total": int(total)},
        )


def _carried(state: Any, now: datetime) -> NewRecord:
    namespace, _, name = state["subject"].partition("/")
    digest = state_digest(state, unpack(state["packing"], state["object"]))
    # Nobody can send an event of that id before: it is drawn.
    return NewRecord(
        event_id=f"carried-{uuid.uuid4()}",
        kind=CARRIED,
        namespace=namespace,
        name=name,
        time=now,
        data={"seq": state["seq"], "stateDigest": digest},
    )
