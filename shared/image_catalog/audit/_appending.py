"""Writes records: many at once, each chained to the one before of its entry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
import structlog
from sqlalchemy import Connection, bindparam, func, insert, select, update

from image_catalog.audit import _schema
from image_catalog.audit._records import Prepared, agree, fold, other_ids, subject_in, tells_event
from image_catalog.audit._states import NewState, pack, state_digest
from image_catalog.audit._tables import chains, records, states, versions
from image_catalog.audit._times import to_micros
from image_catalog.audit.chain import GENESIS, Link, canonical, link_hash
from image_catalog.audit.records import CONFIRMATION, Record

__all__ = ["Appended", "Batch", "append"]

_log = structlog.get_logger(__name__)

_Row = dict[str, Any]

_LAST = select(
    versions.c.version_num.label("version"),
    select(func.max(records.c.seq)).scalar_subquery().label("seq"),
    select(records.c.recorded_at).order_by(records.c.seq.desc()).limit(1).scalar_subquery().label("recorded_at"),
)
"""In one statement, because a server may be far away."""


@dataclass(frozen=True, slots=True)
class Appended:
    """What came of one record that was to be appended.

    Attributes
    ----------
    record
        As it is kept now.
    link
        The link that was added to its chain; `None` where nothing was new.
    """

    record: Record
    link: Link | None


def append(connection: Connection, new: Sequence[Prepared], *, now: datetime) -> list[Appended]:
    """Append records in their order, within a transaction that keeps all other writers out.

    Parameters
    ----------
    connection
        A transaction of `Database.writing`.
    new
        What is to be kept.
    now
        What time it is.
    """
    batch = Batch(connection, [record.row for record in new], now=to_micros(now))
    added = [batch.add(record.row, record.state) for record in new]
    batch.write()
    return [Appended(batch.told(event_id), link) for event_id, link in added]


@dataclass(slots=True)
class _Head:
    """The end of a chain."""

    id: int
    subject: str
    position: int
    hash: str
    state: Mapping[Any, Any] | None
    state_seq: int | None
    grew: bool = False


@dataclass(slots=True)
class _Written:
    records: list[_Row] = field(default_factory=list)
    states: list[_Row] = field(default_factory=list)


class Batch:
    """The records of one transaction; reads once what all of them need, and writes once."""

    def __init__(self, connection: Connection, rows: Sequence[_Row], *, now: int) -> None:
        self._connection = connection
        self._known = self._read_known({row["event_id"] for row in rows})
        self._heads = self._read_heads({subject_in(row) for row in rows})
        last = connection.execute(_LAST).one()
        _schema.check_version(last.version)
        self._seq = last.seq or 0
        # Clocks of several processes differ, and the past must not change: no record is older than the one before.
        self._now = max(now, last.recorded_at or 0)
        self._written = _Written()

    def add(self, row: _Row, state: NewState | None) -> tuple[str, Link | None]:
        """Add a record, or to one that is known what is new of it; return the id that it has here."""
        place = self._place(row)
        if place is None:
            _log.warning("event contradicted too often", id=row["event_id"], kind=row["kind"], chain=subject_in(row))
            return row["event_id"], None
        return place, self._add(row | {"event_id": place}, state)

    def _place(self, row: _Row) -> str | None:
        """Return the id under which an event is kept: its own, unless something else has been told under that.

        Whoever reaches the broker can post an event under any id, before the
        true one or after it. What disagrees is another event, and is kept beside.
        """
        event_id: str = row["event_id"]
        parts = self._known.setdefault(event_id, [])
        if not parts or agree(row, parts):
            return event_id
        others = other_ids(event_id)
        known = self._read_known({other for other in others if other not in self._known})
        self._known |= {other: known.get(other, []) for other in others if other not in self._known}
        same = (other for other in others if (parts := self._known[other]) and agree(row, parts))
        # The last place is for what an entry itself shows: strangers cannot take all of them.
        free = (other for other in (others if row["confirmed"] else others[:-1]) if not self._known[other])
        return next(same, None) or next(free, None)

    def _add(self, row: _Row, state: NewState | None) -> Link | None:
        parts, head = self._known[row["event_id"]], self._heads[subject_in(row)]
        brought = any(part["state_digest"] is not None for part in parts)
        if state is not None and (brought or not state.supersedes(head.state)):
            state = None
        if not parts:
            return self._chain(row | {"part": 0}, head, state)
        confirmed = any(part["confirmed"] for part in parts)
        folds = tells_event(row) and not any(map(tells_event, parts))
        if not folds and state is None and (confirmed or not row["confirmed"]):
            return None
        first, last = parts[0], parts[-1]
        added = {
            "part": last["part"] + 1,
            "kind": CONFIRMATION,
            "namespace": first["namespace"],
            "name": first["name"],
            "confirmed": row["confirmed"] or confirmed,
            "folds": folds,
            "data": canonical({**orjson.loads(row["data"]), "confirms": first["event_id"]}).decode(),
        }
        return self._chain(row | added, head, state)

    def add_hidden(self, row: _Row) -> int:
        """Add a record that no list shows, and return its number."""
        self._known[row["event_id"]] = []
        self._chain(row | {"part": 1}, self._heads[subject_in(row)], None)
        return self._seq

    def told(self, event_id: str) -> Record:
        """Return what is known of an event now."""
        first, *more = self._known[event_id]
        return fold(first, more)

    def write(self) -> None:
        """Write all that was added."""
        if not self._written.records:
            return
        columns = {column.name for column in records.columns}
        self._connection.execute(
            insert(records), [{name: row[name] for name in columns} for row in self._written.records]
        )
        if self._written.states:
            self._connection.execute(insert(states), self._written.states)
        ends = [
            {"chain": head.id, "position": head.position, "hash": head.hash, "state_seq": head.state_seq}
            for head in self._heads.values()
            if head.grew
        ]
        self._connection.execute(update(chains).where(chains.c.id == bindparam("chain")), ends)

    def _chain(self, row: _Row, head: _Head, state: NewState | None) -> Link:
        self._seq += 1
        row |= {
            "seq": self._seq,
            "chain": head.subject,
            "chain_id": head.id,
            "position": head.position + 1,
            "recorded_at": self._now,
            "state_digest": self._keep(row, head, state) if state is not None else None,
            "previous_hash": head.hash,
        }
        row["hash"] = link_hash(row)
        head.position, head.hash, head.grew = row["position"], row["hash"], True
        self._known[row["event_id"]].append(row)
        self._written.records.append(row)
        return Link(head.subject, head.position, head.hash)

    def _keep(self, row: _Row, head: _Head, state: NewState) -> str:
        packing, content = pack(state.object)
        kept = {
            "seq": self._seq,
            "chain_id": head.id,
            "time": row["time"],
            "recorded_at": self._now,
            "uid": state.uid,
            "resource_version": state.resource_version,
            "created": state.created,
            "removed": state.removed,
            "proof_seq": self._seq,
            "packing": packing,
            "object": content,
        }
        head.state, head.state_seq = kept, self._seq
        self._written.states.append(kept)
        return state_digest(kept, state.object)

    def _read_known(self, event_ids: set[str]) -> dict[str, list[_Row]]:
        known: dict[str, list[_Row]] = {}
        query = (
            select(records, chains.c.subject.label("chain"))
            .join(chains, chains.c.id == records.c.chain_id)
            .where(records.c.event_id.in_(event_ids))
            .order_by(records.c.event_id, records.c.part)
        )
        for row in self._connection.execute(query).mappings():
            known.setdefault(row["event_id"], []).append(dict(row))
        return known

    def _read_heads(self, subjects: set[str]) -> dict[str, _Head]:
        heads = self._find_heads(subjects)
        if missing := sorted(subjects - heads.keys()):
            begun = [{"subject": subject, "position": 0, "hash": GENESIS} for subject in missing]
            self._connection.execute(insert(chains), begun)
            heads |= self._find_heads(set(missing))
        return heads

    def _find_heads(self, subjects: set[str]) -> dict[str, _Head]:
        wanted = ("uid", "resource_version", "created", "removed")
        query = (
            select(chains, *(states.c[name] for name in wanted))
            .join(states, states.c.seq == chains.c.state_seq, isouter=True)
            .where(chains.c.subject.in_(subjects))
        )
        return {
            row["subject"]: _Head(
                id=row["id"],
                subject=row["subject"],
                position=row["position"],
                hash=row["hash"],
                state=row if row["uid"] is not None else None,
                state_seq=row["state_seq"],
            )
            for row in self._connection.execute(query).mappings()
        }
