"""What the audit keeps of one thing that happened, and what is asked of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

__all__ = [
    "CARRIED",
    "CONFIRMATION",
    "CONSUMING",
    "PRUNED",
    "Consumer",
    "NewRecord",
    "Outcome",
    "Prunable",
    "Pruned",
    "Record",
    "RecordPage",
    "RecordQuery",
    "State",
    "StateChange",
]

CONFIRMATION: Final = "confirmation"
"""Kind of the hidden record that adds to an earlier one what became known later."""

CARRIED: Final = "audit.carried"
"""Kind of the hidden record that vouches for a state after the record that brought it was removed for its age."""

PRUNED: Final = "audit.pruned"
"""Kind of the record that tells how much was removed for its age."""

CONSUMING: Final = ("image.resolved", "image.downloaded")
"""Kinds of the records that tell of somebody who was given an image."""


class Outcome(StrEnum):
    """How it ended."""

    SUCCEEDED = "succeeded"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChange:
    """An entry's object after a change.

    Attributes
    ----------
    object
        The whole object, as JSON; its ``metadata`` tells uid and resource version.
    removed
        Whether the entry is gone; the object is then the last that was seen.
    """

    object: Mapping[str, Any]
    removed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRecord:
    """Something that happened and is to be kept.

    Attributes
    ----------
    event_id
        What tells it from all else; the same id again adds nothing but a
        confirmation or a state that was not known before.
    kind
        The short event type, ``image.published`` for example.
    time
        When it happened.
    namespace, name
        The entry that it is about, as far as there is one.
    actor
        Who did it; empty where nobody knows.
    outcome
        How it ended.
    digest
        The content that it is about.
    registry_url
        The reference that it is about.
    message
        One sentence for people.
    confirmed
        Whether the entry itself shows it; what only an event says is not.
    data
        All else, as JSON. ``count`` says for how many occurrences the record stands.
    state
        The entry after the change; `None` where nothing changed.
    """

    event_id: str
    kind: str
    time: datetime
    namespace: str | None = None
    name: str | None = None
    actor: str = ""
    outcome: Outcome = Outcome.SUCCEEDED
    digest: str | None = None
    registry_url: str | None = None
    message: str = ""
    confirmed: bool = True
    data: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    state: StateChange | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A record as it is kept.

    Attributes
    ----------
    seq
        Its place in the order of commits: who reads by it misses none.
    recorded_at
        When it was kept; never earlier than the record before.
    confirmed
        As in `NewRecord`, or by a later confirmation.
    chain
        What its chain is of: ``namespace/name``.
    position
        Its place in its chain, from 1.
    previous_hash
        Hash of the record before it in its chain; zeros for the first.
    hash
        SHA-256 of its content and `previous_hash`, in hexadecimal digits.
    """

    seq: int
    event_id: str
    kind: str
    namespace: str | None
    name: str | None
    time: datetime
    recorded_at: datetime
    actor: str
    outcome: Outcome
    digest: str | None
    registry_url: str | None
    message: str
    confirmed: bool
    data: Mapping[str, Any]
    chain: str
    position: int
    previous_hash: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordQuery:
    """Which records are asked for; what is left out asks for all.

    Attributes
    ----------
    namespace, name
        Of the entry.
    namespaces
        Namespaces that the caller may see; records without one are then left out.
    kinds
        Any of these.
    since, until
        When it happened: from the one, and before the other.
    limit
        Largest number of records.
    before
        Only records with a smaller `Record.seq`: the last one of the page before.
    """

    namespace: str | None = None
    name: str | None = None
    namespaces: Collection[str] | None = None
    kinds: Collection[str] = ()
    actor: str | None = None
    outcome: Outcome | None = None
    digest: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 100
    before: int | None = None


@dataclass(frozen=True, slots=True)
class RecordPage:
    """Some of the records that were asked for.

    Attributes
    ----------
    items
        The newest first.
    more
        Whether there are older ones.
    """

    items: list[Record]
    more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """An entry as it was.

    Attributes
    ----------
    time
        When the change happened that led to it.
    recorded_at
        Since when the audit knows it.
    removed
        Whether the entry went with that change.
    object
        The whole object, as JSON.
    """

    namespace: str
    name: str
    uid: str
    resource_version: str
    time: datetime
    recorded_at: datetime
    removed: bool
    object: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """Somebody who was given an image.

    Attributes
    ----------
    kind
        How: one of `CONSUMING`.
    first, last
        When, for the first time and for the last.
    count
        How often.
    """

    actor: str
    kind: str
    first: datetime
    last: datetime
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Prunable:
    """What would be removed for its age.

    Attributes
    ----------
    before
        What was recorded before is old.
    records, letters
        How many of each would be removed.
    chains
        How many chains would begin later.
    """

    before: datetime
    records: int
    letters: int
    chains: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What was removed for its age.

    Attributes
    ----------
    before
        What was recorded before is old.
    records, states, letters
        How many of each were removed.
    chains
        How many chains now begin later.
    """

    before: datetime
    records: int
    states: int
    letters: int
    chains: int
