"""What is asked of the records and states."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select

from image_catalog.audit._records import clean, fit, fold, record_of
from image_catalog.audit._states import read_state, unpack
from image_catalog.audit._tables import chains, records, states
from image_catalog.audit._times import from_micros, to_micros
from image_catalog.audit.chain import Link, subject_of
from image_catalog.audit.records import CONSUMING, Consumer, Record, RecordPage, RecordQuery, State

__all__ = ["Reading"]

_PORTION = 500
"""Rows that are read ahead."""

_later = records.alias("later")


class Reading:
    """Reads records and states within one transaction.

    Parameters
    ----------
    connection
        The transaction.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, event_id: str) -> Record | None:
        """Return the record of an event."""
        # One that was made here of a long one is longer than others can be.
        found = self._folded(_listed().where(records.c.event_id.in_({fit(event_id), clean(event_id)})))
        return found[0] if found else None

    def query(self, asked: RecordQuery) -> RecordPage:
        """Return the newest records that were asked for."""
        # Within a chain the two orders are the same, and each is that of another index.
        order = records.c.position if _is_of_one_entry(asked) else records.c.seq
        statement = _listed().where(*_conditions(asked)).order_by(order.desc()).limit(asked.limit + 1)
        found = self._folded(statement)
        return RecordPage(found[: asked.limit], more=len(found) > asked.limit)

    def after(self, seq: int, *, limit: int) -> list[Record]:
        """Return the oldest records that came after one, each as it was written."""
        statement = _all().where(records.c.seq > seq).order_by(records.c.seq).limit(limit)
        return [record_of(row) for row in self._connection.execute(statement).mappings()]

    def newest(self) -> int:
        """Return the number of the newest record; 0 where there is none."""
        return self._connection.execute(select(func.max(records.c.seq))).scalar_one() or 0

    def oldest(self) -> int:
        """Return the number of the oldest record; 0 where there is none."""
        return self._connection.execute(select(func.min(records.c.seq))).scalar_one() or 0

    def newest_before(self, moment: datetime) -> int:
        """Return the number of the last record that was kept before a moment; 0 where there is none."""
        statement = (
            select(records.c.seq)
            .where(records.c.recorded_at < to_micros(moment))
            .order_by(records.c.recorded_at.desc(), records.c.seq.desc())
            .limit(1)
        )
        return self._connection.execute(statement).scalar_one_or_none() or 0

    def last_state(self, namespace: str, name: str) -> State | None:
        """Return how an entry was when it was last seen."""
        statement = (
            select(states, chains.c.subject)
            .join(chains, chains.c.state_seq == states.c.seq)
            .where(chains.c.subject == subject_of(fit(namespace), fit(name)))
        )
        row = self._connection.execute(statement).mappings().one_or_none()
        return read_state(row) if row is not None else None

    def states_at(
        self,
        moment: datetime,
        *,
        namespace: str | None,
        holding: Sequence[bytes],
        wanted: Callable[[Mapping[str, Any]], bool],
    ) -> list[State]:
        """Return every entry as the audit knew it at a moment."""
        # The time of recording grows with the number, so one number tells where the moment was.
        reached = self._connection.execute(
            select(states.c.seq)
            .where(states.c.recorded_at <= to_micros(moment))
            .order_by(states.c.recorded_at.desc(), states.c.seq.desc())
            .limit(1)
        ).scalar_one_or_none()
        if reached is None:
            return []
        earlier = states.alias("earlier")
        # One look into an index for each entry; to group all states would read every one of them.
        last = (
            select(func.max(earlier.c.seq))
            .where(earlier.c.chain_id == chains.c.id, earlier.c.seq <= reached)
            .correlate(chains)
            .scalar_subquery()
        )
        statement = (
            select(states, chains.c.subject)
            .select_from(chains.join(states, states.c.seq == last))
            .where(~states.c.removed)
        )
        if namespace is not None:
            statement = statement.where(chains.c.subject.startswith(f"{fit(namespace)}/", autoescape=True))
        # In portions, because a catalog of every size fits into the database, and not into this process's memory.
        rows = self._connection.execution_options(yield_per=_PORTION).execute(statement).mappings()
        found = []
        for row in rows:
            content = unpack(row["packing"], row["object"])
            # To look for a text costs a tenth of what it costs to read all of them.
            if all(text in content for text in holding) and wanted((state := read_state(row, content)).object):
                found.append(state)
        return sorted(found, key=lambda state: (state.namespace, state.name))

    def consumers(self, digests: Collection[str], *, namespaces: Collection[str] | None, limit: int) -> list[Consumer]:
        """Return who was given any of some images; the last ones first."""
        last = func.max(records.c.time)
        statement = (
            select(
                records.c.actor,
                records.c.kind,
                func.min(records.c.time).label("first"),
                last.label("last"),
                func.sum(records.c.amount).label("count"),
            )
            .where(records.c.digest.in_([fit(digest) for digest in digests]), records.c.kind.in_(CONSUMING))
            # What only an event says may be anybody's word.
            .where(records.c.confirmed)
            .where(*([] if namespaces is None else [records.c.namespace.in_(namespaces)]))
            .group_by(records.c.actor, records.c.kind)
            .order_by(last.desc(), records.c.actor, records.c.kind)
            .limit(limit)
        )
        return [
            Consumer(
                actor=row["actor"],
                kind=row["kind"],
                first=from_micros(row["first"]),
                last=from_micros(row["last"]),
                count=int(row["count"]),
            )
            for row in self._connection.execute(statement).mappings()
        ]

    def links(self) -> Iterator[Link]:
        """Return the newest link of every chain."""
        statement = select(chains.c.subject, chains.c.position, chains.c.hash).order_by(chains.c.subject)
        for row in self._connection.execute(statement):
            if row.position:
                yield Link(row.subject, row.position, row.hash)

    def _folded(self, statement: Select[Any]) -> list[Record]:
        """Return records, each with what later ones add to it."""
        rows = self._connection.execute(statement).mappings().all()
        added: dict[str, list[Mapping[Any, Any]]] = {}
        if rows:
            of_these = records.c.event_id.in_([row["event_id"] for row in rows])
            later = select(records).where(of_these, records.c.part > 0).order_by(records.c.part)
            for row in self._connection.execute(later).mappings():
                added.setdefault(row["event_id"], []).append(row)
        return [fold(row, added.get(row["event_id"], ())) for row in rows]


def _all() -> Select[Any]:
    return select(records, chains.c.subject.label("chain")).join(chains, chains.c.id == records.c.chain_id)


def _listed() -> Select[Any]:
    """Return the records that people are shown: what only adds to an earlier one is told with that one."""
    return _all().where(records.c.part == 0)


def _shown(column: str) -> ColumnElement[Any]:
    """Return a column as `fold` shows it."""
    of_the_event = (
        select(_later.c[column])
        .where(_later.c.event_id == records.c.event_id, _later.c.part > 0, _later.c.folds)
        .scalar_subquery()
    )
    return func.coalesce(of_the_event, records.c[column])


def _is_of_one_entry(asked: RecordQuery) -> bool:
    """Return whether an entry is asked for: its records are a chain, found at once among all of its namespace."""
    return asked.namespace is not None and asked.name is not None


def _conditions(asked: RecordQuery) -> list[ColumnElement[bool]]:
    same = {"digest": asked.digest}
    if not _is_of_one_entry(asked):
        same |= {"namespace": asked.namespace, "name": asked.name}
    conditions = [records.c[column] == fit(value) for column, value in same.items() if value is not None]
    if asked.namespace is not None and asked.name is not None:
        conditions.append(chains.c.subject == subject_of(fit(asked.namespace), fit(asked.name)))
    if asked.actor is not None:
        conditions.append(_shown("actor") == fit(asked.actor))
    if asked.outcome is not None:
        conditions.append(_shown("outcome") == asked.outcome.value)
    if asked.namespaces is not None:
        conditions.append(records.c.namespace.in_(list(asked.namespaces)))
    if asked.kinds:
        conditions.append(records.c.kind.in_(list(asked.kinds)))
    if asked.since is not None:
        conditions.append(records.c.time >= to_micros(asked.since))
    if asked.until is not None:
        conditions.append(records.c.time < to_micros(asked.until))
    if asked.before is not None:
        conditions.append(records.c.seq < asked.before)
    return conditions
