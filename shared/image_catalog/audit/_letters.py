"""Keeps dead letters."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, insert, select, update

from image_catalog.audit import _schema
from image_catalog.audit._records import beside, clean, fit, own_id
from image_catalog.audit._tables import dead_letters
from image_catalog.audit._times import from_micros, to_micros
from image_catalog.audit.chain import canonical, digest_of
from image_catalog.audit.letters import DeadLetter, LetterState, NewDeadLetter

__all__ = ["Letters"]


class Letters:
    """Reads and writes dead letters within one transaction.

    Parameters
    ----------
    connection
        The transaction; it keeps all other writers out.
    """

    def __init__(self, connection: Connection) -> None:
        _schema.check(connection)
        self._connection = connection

    def keep(self, letter: NewDeadLetter) -> DeadLetter:
        """Keep a letter, or count one more arrival of it.

        Whoever reaches the broker can make one up under the id of another: what
        says something else is kept beside that one, and takes no place of it.
        """
        event_id, key = self._place(letter)
        newest = {
            "type": clean(letter.type),
            "subject": clean(letter.subject),
            "attributes": canonical(dict(letter.attributes)).decode(),
            "body": letter.body,
            "why": clean(letter.why),
            "state": LetterState.OPEN.value,
        }
        known = self._connection.execute(select(dead_letters).where(*key)).mappings().one_or_none()
        arrived = to_micros(letter.time)
        if known is None:
            first = {"event_id": event_id, "destination": fit(letter.destination), "first": arrived}
            self._connection.execute(insert(dead_letters).values(**newest, **first, last=arrived, count=1))
        else:
            # It comes again, replayed or not: somebody has to look at it again.
            counted = {"count": known["count"] + 1, "last": max(arrived, known["last"])}
            self._connection.execute(update(dead_letters).where(*key).values(**newest, **counted))
        return _letter_of(self._connection.execute(select(dead_letters).where(*key)).mappings().one())

    def _place(self, letter: NewDeadLetter) -> tuple[str, tuple[ColumnElement[bool], ...]]:
        """Return the id under which a letter is kept, and what finds it."""
        event_id = own_id(letter.event_id)
        of_this = dead_letters.c.destination == fit(letter.destination)
        key = (dead_letters.c.event_id == event_id, of_this)
        known = self._connection.execute(select(dead_letters.c.type, dead_letters.c.body).where(*key)).one_or_none()
        if known is None or (known.type, known.body) == (clean(letter.type), letter.body):
            return event_id, key
        other = beside(event_id, digest_of(clean(letter.type).encode() + b"\n" + letter.body))
        return other, (dead_letters.c.event_id == other, of_this)

    def list(self, *, states: Collection[LetterState], limit: int) -> list[DeadLetter]:
        """Return the newest letters in any of some states."""
        statement = select(dead_letters).where(dead_letters.c.state.in_([state.value for state in states]))
        statement = statement.order_by(dead_letters.c.id.desc()).limit(limit)
        return [_letter_of(row) for row in self._connection.execute(statement).mappings()]

    def find(self, letter: int) -> DeadLetter | None:
        """Return a letter by its number."""
        statement = select(dead_letters).where(dead_letters.c.id == letter)
        row = self._connection.execute(statement).mappings().one_or_none()
        return _letter_of(row) if row is not None else None

    def settle(self, letter: int, state: LetterState, *, by: str, now: datetime) -> DeadLetter | None:
        """Say what became of a letter."""
        settled: dict[str, Any] = {"state": state.value, "settled_by": clean(by), "settled_at": to_micros(now)}
        self._connection.execute(update(dead_letters).where(dead_letters.c.id == letter).values(**settled))
        return self.find(letter)


def _letter_of(row: Mapping[Any, Any]) -> DeadLetter:
    return DeadLetter(
        id=row["id"],
        event_id=row["event_id"],
        destination=row["destination"],
        type=row["type"],
        subject=row["subject"],
        attributes=orjson.loads(row["attributes"]),
        body=row["body"],
        why=row["why"],
        time=from_micros(row["last"]),
        first=from_micros(row["first"]),
        count=row["count"],
        state=LetterState(row["state"]),
        settled_by=row["settled_by"],
        settled_at=from_micros(row["settled_at"]) if row["settled_at"] is not None else None,
    )
