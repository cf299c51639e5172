"""Every catalog event is emitted at least once, under one id, and tells of something that is so."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from image_catalog.events import PREFIX, EventType
from image_catalog.events.event import removal_id
from image_catalog.models.names import FINALIZER
from image_catalog.testing.simulation.invariants.base import Invariant
from image_catalog.testing.simulation.invariants.reading import digest_of, is_deleting, settled, status, subject, uid
from image_catalog.testing.simulation.invariants.records import (
    AttemptSeen,
    ChangeSeen,
    DeliverySeen,
    EventSeen,
    LetterSeen,
    Object,
)

__all__ = [
    "EventsAreEmitted",
    "EventsTellOfWrites",
    "LettersAreTheLastResort",
    "OneIdOneFact",
    "PhaseChangesAreOwed",
    "RemovalsAreTold",
]

_PHASES = {
    "Available": EventType.IMAGE_AVAILABLE.short,
    "Unavailable": EventType.IMAGE_UNAVAILABLE.short,
    "Failed": EventType.IMAGE_FAILED.short,
}


def _changes(entry: Object | None) -> list[Mapping[str, Any]]:
    return list(status(entry).get("recentChanges") or ())


def _new_changes(change: ChangeSeen) -> list[Mapping[str, Any]]:
    """Return what a status write has added to the remembered changes."""
    known = _changes(change.before)
    return [each for each in _changes(change.after) if each not in known]


class OneIdOneFact(Invariant):
    """An id stands for one fact: what is told under it again has the same type, subject and source.

    docs/reliability.md, "Events": the id is a UUIDv5 of cause, type and subject, so
    that a redelivered cause emits the same. What is told again speaks of the
    entry as it is by then, and may know less of the steps; whom and what it is
    about never differs.
    """

    name = "one-id-one-fact"
    outside = True

    def __init__(self) -> None:
        self._told: dict[str, tuple[str, str, str]] = {}

    def on_event(self, event: EventSeen) -> None:
        """Compare with what was told under the id before."""
        sent = event.event
        if not sent.type.startswith(PREFIX):
            return
        told = (sent.type, sent.subject or "", sent.attributes.get("source", ""))
        if self._told.setdefault(sent.id, told) != told:
            self.broken(f"the id {sent.id} stood for {self._told[sent.id]}, and stands for {told}")


@dataclass(frozen=True, slots=True)
class _Debt:
    """An event that an entry owes, and the deliveries that were under way when another one wrote that down."""

    owner: str
    told: str
    unseen_by: frozenset[int]


class EventsAreEmitted(Invariant):
    """Every event that a committed status write owes reaches the broker at least once, under its id.

    docs/reliability.md, "Events": a handler that finds its own
    cause in `status.recentChanges` emits the same events again. It holds where
    the broker delivers the cause until it is acknowledged: of a cause that it
    gave up, a dead letter tells; and one that it took for done had ended, or had
    looked, before a slower delivery of it wrote anything to owe.
    What an entry owes is kept in the entry: with it goes what was not told when
    a person removed it and it was let go, of which the world is told instead.
    """

    name = "events-are-emitted"

    def __init__(self) -> None:
        self._owed: dict[tuple[str, str], dict[str, _Debt]] = defaultdict(dict)
        self._taken: set[str] = set()
        self._under_way: set[int] = set()

    def on_attempt(self, attempt: AttemptSeen) -> None:
        """Learn which deliveries overlap."""
        self._under_way.add(attempt.number)

    def on_change(self, change: ChangeSeen) -> None:
        """See what a status write owes, and what goes with an entry."""
        if change.plural == "catalogimages" and change.kind == "DELETED":
            for owed in self._owed.values():
                for number in [number for number, debt in owed.items() if debt.owner == uid(change.object)]:
                    del owed[number]
        if change.plural != "catalogimages" or change.after is None or not change.by_function:
            return
        for each in _new_changes(change):
            for owed in each.get("events") or ():
                told = f"{owed['type']} of {subject(change.after)}"
                late = self._under_way - {change.delivery}
                debt = _Debt(uid(change.after), told, frozenset(late))
                self._owed[str(change.actor), each["cause"]].setdefault(owed["id"], debt)

    def on_event(self, event: EventSeen) -> None:
        """See what the broker has."""
        if event.taken:
            self._taken.add(event.event.id)

    def on_delivery(self, delivery: DeliverySeen) -> None:
        """See a cause acknowledged: by then all that it owes has been sent."""
        self._under_way.discard(delivery.number)
        if not delivery.acknowledged:
            return
        for number, debt in self._owed.get((delivery.function, delivery.event.id), {}).items():
            if number not in self._taken and delivery.number not in debt.unseen_by:
                self.broken(
                    f"{debt.told} is owed to {delivery.event.id} under {number}; "
                    f"{delivery.function} said that all is done, and it was never sent"
                )


class PhaseChangesAreOwed(Invariant):
    """A status write that changes the settled phase, or the content, owes the event that tells of it.

    docs/reliability.md, "Events": `image.available`, `image.unavailable` and `image.failed` are
    emitted by whichever function changes the phase, `image.published` for a
    new content. The write itself says so in `status.recentChanges`, or a crash
    right after it would lose the event. A write that changes neither owes
    neither: the same fact is not told under a second id.
    """

    name = "phase-changes-are-owed"
    outside = True

    def on_change(self, change: ChangeSeen) -> None:
        """Compare a write with what it owes."""
        if change.plural != "catalogimages" or change.kind != "MODIFIED" or change.after is None:
            return
        said = status(change.after)
        if said == status(change.before) or said.get("phase") not in _PHASES:
            return
        owed = {event["type"] for each in _new_changes(change) for event in each.get("events") or ()}
        was, now = settled(change.before), settled(change.after)
        phase = said["phase"]
        changed = was is None or _differs(was[0], phase)
        if now is not None and changed and _PHASES[phase] not in owed:
            self.broken(f"{subject(change.after)} became {phase} from {was}, and its write owes {sorted(owed)}")
        if not changed and owed & set(_PHASES.values()) and status(change.before).get("phase") == phase:
            self.broken(f"{subject(change.after)} was {phase} already, and its write owes {sorted(owed)} once more")
        before, after = digest_of(change.before), digest_of(change.after)
        if before is not None and after != before and EventType.IMAGE_PUBLISHED.short not in owed:
            self.broken(f"{subject(change.after)} has another content, and its write owes {sorted(owed)}")


def _differs(was: str, phase: str) -> bool:
    """Whether the phase changed; of an entry under way it is known only whether it was Available."""
    return phase == "Available" if was == "not Available" else was != phase


class EventsTellOfWrites(Invariant):
    """No event tells of a phase, drift or version that no write has brought about, and none has a second id.

    docs/reliability.md, "Events": the ids are those that committed writes owe
    (`status.recentChanges`), or, of a removal, the UUIDv5 of the object that is gone. A retry that draws an
    id anew, or tells before it has written, is seen at once.
    """

    name = "events-tell-of-writes"

    _TYPES = frozenset(
        {
            EventType.IMAGE_AVAILABLE,
            EventType.IMAGE_UNAVAILABLE,
            EventType.IMAGE_FAILED,
            EventType.IMAGE_DRIFTED,
        }
    )

    def __init__(self) -> None:
        self._owed: set[str] = set()
        self._uids: dict[str, set[str]] = {}

    def on_change(self, change: ChangeSeen) -> None:
        """Remember what writes owe, and the uids of entries."""
        if change.plural != "catalogimages":
            return
        self._uids.setdefault(subject(change.object), set()).add(uid(change.object))
        for each in _changes(change.after):
            self._owed.update(event["id"] for event in each.get("events") or ())

    def on_event(self, event: EventSeen) -> None:
        """Compare an event with what was written by then."""
        sent = event.event
        if sent.type == EventType.IMAGE_REMOVED:
            known = {removal_id(number) for number in self._uids.get(sent.subject or "", ())}
            if sent.id not in known:
                self.broken(f"the removal of {sent.subject} was told under {sent.id}, which is no entry's")
        is_version = sent.type == EventType.IMAGE_PUBLISHED and orjson.loads(sent.data)["change"] == "version"
        if (sent.type in self._TYPES or is_version) and sent.id not in self._owed:
            self.broken(f"{sent.type} of {sent.subject} was told under {sent.id}, and no write owes it")


class RemovalsAreTold(Invariant):
    """Of every entry that carried our finalizer the world is told when it goes, once.

    docs/reliability.md, "Events": `image.removed` goes out before the finalizer. One
    that a function has never seen, and that went while no source was looking,
    is the one removal that nobody can know of.
    """

    name = "removals-are-told"

    def __init__(self) -> None:
        self._told: set[str] = set()
        self._gone: dict[str, str] = {}

    def on_event(self, event: EventSeen) -> None:
        """Remember what was told."""
        if event.taken and event.event.type == EventType.IMAGE_REMOVED:
            self._told.add(event.event.id)

    def on_change(self, change: ChangeSeen) -> None:
        """See an entry lose the finalizer: by then it must have been told."""
        if change.plural != "catalogimages" or change.before is None or change.actor != "cleanup":
            return
        had = FINALIZER in change.before["metadata"].get("finalizers", ())
        has = change.after is not None and FINALIZER in change.after["metadata"].get("finalizers", ())
        if had and not has and is_deleting(change.before) and removal_id(uid(change.before)) not in self._told:
            self.broken(f"{subject(change.before)} was let go, and nobody has been told")


class LettersAreTheLastResort(Invariant):
    """Nothing that was sent well becomes a dead letter before its deliveries are used up.

    docs/reliability.md, "Events": trouble that passes answers 5xx and is tried again;
    permanent trouble is an outcome and answers 2xx. What a function refuses
    for good (4xx) is an event that is not valid, or a report of a test.
    """

    name = "letters-are-the-last-resort"

    def on_letter(self, letter: LetterSeen) -> None:
        """Compare a dead letter with what was answered."""
        last = letter.statuses[-1] if letter.statuses else None
        refused = last is not None and 400 <= last < 500 and last not in {404, 408, 409, 429}  # noqa: PLR2004 - HTTP
        ours = letter.event.type != EventType.TEST_REPORTED and not letter.event.id.startswith("poison")
        if refused and ours:
            self.broken(f"{letter.function} refused {letter.event.type} {letter.event.id} for good with {last}")
