"""Dead letters: events that no function could take, kept whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

__all__ = ["DeadLetter", "LetterState", "NewDeadLetter"]


class LetterState(StrEnum):
    """What became of a dead letter."""

    OPEN = "open"
    REPLAYED = "replayed"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDeadLetter:
    """An event that could not be delivered.

    Attributes
    ----------
    event_id
        Its id; with the destination it tells one letter from another.
    destination
        URL that could not take it; empty where the broker does not say.
    type
        Its type.
    subject
        Its subject; empty where it has none.
    attributes
        Every attribute as it came, those that the broker added among them.
    body
        Its data as it came.
    why
        What the destination answered, for people.
    time
        When the letter came.
    """

    event_id: str
    destination: str
    type: str
    subject: str
    attributes: Mapping[str, str]
    body: bytes
    why: str
    time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter(NewDeadLetter):
    """A dead letter as it is kept.

    Attributes
    ----------
    id
        Number by which commands name it.
    time
        When it came last.
    first
        When it came first.
    count
        How often it came.
    state
        What became of it; one that comes again is open again.
    settled_by
        Who replayed or dropped it.
    settled_at
        When.
    """

    id: int
    first: datetime
    count: int
    state: LetterState
    settled_by: str | None
    settled_at: datetime | None
