"""What happens in a world, in order: counted, hashed, shown to the invariants, and kept for the story."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from image_catalog.local.kubernetes.storage.store import Change
from image_catalog.testing.simulation.actions import Action
from image_catalog.testing.simulation.invariants import (
    AttemptSeen,
    ChangeSeen,
    DeliverySeen,
    EventSeen,
    Invariant,
    LetterSeen,
    Quiet,
    RequestSeen,
    Violation,
)

__all__ = ["Entry", "Journal", "Note", "Record"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something that was done to the world, or struck in it.

    Attributes
    ----------
    at
        When.
    text
        What, for people.
    fault
        Which kind of fault it is; `None` for a deed.
    """

    at: datetime
    text: str
    fault: str | None = None


_HOOKS = ("on_change", "on_attempt", "on_delivery", "on_event", "on_request", "on_letter", "at_quiet")

Record: TypeAlias = AttemptSeen | ChangeSeen | DeliverySeen | EventSeen | LetterSeen | RequestSeen
Entry: TypeAlias = Record | Note


class Journal:
    """Writes down what happens, and lets the invariants see it.

    Parameters
    ----------
    now
        Tells the time.
    invariants
        What is judged.

    Attributes
    ----------
    entries
        What happened, in order.
    strikes
        How often each kind of fault took effect.
    violation
        The first broken promise, `None` while there is none.
    trouble
        An error of an invariant itself, or of the simulation.
    """

    def __init__(self, *, now: Callable[[], datetime], invariants: Iterable[Invariant]) -> None:
        self.entries: list[Entry] = []
        self.strikes: Counter[str] = Counter()
        self.violation: Violation | None = None
        self.trouble: Exception | None = None
        self._now = now
        watching = tuple(invariants)
        self._watching = {hook: _overriding(watching, hook) for hook in _HOOKS}
        self._hash = hashlib.blake2b(digest_size=16)

    @property
    def over(self) -> bool:
        """Whether nothing more need happen."""
        return self.violation is not None or self.trouble is not None

    @property
    def trace(self) -> str:
        """A digest of everything that happened, in its order."""
        return self._hash.hexdigest()

    def note(self, text: str) -> None:
        """Write down a deed."""
        self.entries.append(Note(at=self._now(), text=text))
        self._hash.update(text.encode())

    def struck(self, action: Action, text: str) -> None:
        """Write down that a fault took effect."""
        self.entries.append(Note(at=self._now(), text=text, fault=action.fault))
        if action.fault is not None:
            self.strikes[action.fault] += 1
        self._hash.update(text.encode())

    def changed(self, plural: str, change: Change, *, actor: str, delivery: int | None) -> None:
        """See a change that the cluster has committed."""
        gone = change.kind == "DELETED"
        seen = ChangeSeen(
            at=self._now(),
            actor=actor,
            plural=plural,
            kind=change.kind,
            before=None if change.previous is None else change.previous.body,
            after=None if gone else change.stored.body,
            delivery=delivery,
        )
        self._keep(seen, f"{plural} {change.kind} {actor}".encode(), change.stored.encoded)
        self._show("on_change", seen)

    def attempted(self, seen: AttemptSeen) -> None:
        """See a delivery begin."""
        self._keep(seen, f"{seen.number} {seen.function} {seen.event.id} {seen.attempt}".encode())
        self._show("on_attempt", seen)

    def delivered(self, seen: DeliverySeen) -> None:
        """See a delivery end."""
        self._keep(seen, f"{seen.number} {seen.status} {seen.calls}".encode())
        self._show("on_delivery", seen)

    def emitted(self, seen: EventSeen) -> None:
        """See an event on its way to the broker."""
        attributes = sorted(seen.event.attributes.items())
        self._keep(seen, f"{seen.function} {seen.taken} {attributes}".encode(), seen.event.data)
        self._show("on_event", seen)

    def requested(self, seen: RequestSeen) -> None:
        """See a request to a registry."""
        self._keep(seen, f"{seen.function} {seen.method} {seen.host} {seen.path} {seen.status}".encode())
        self._show("on_request", seen)

    def buried(self, seen: LetterSeen) -> None:
        """See an event given up."""
        self._keep(seen, f"{seen.function} {seen.event.id} {list(seen.statuses)}".encode())
        self._show("on_letter", seen)

    def judge(self, quiet: Quiet) -> None:
        """Let the invariants look at a world that has come to rest."""
        self._show("at_quiet", quiet)

    def fail(self, name: str, text: str) -> None:
        """Write down a broken promise that the simulation has seen itself."""
        if self.violation is None:
            self.violation = Violation(name, text)

    def _keep(self, record: Record, *content: bytes) -> None:
        self.entries.append(record)
        self._hash.update(str(record.at.timestamp()).encode())
        for piece in content:
            self._hash.update(piece)

    def _show(self, hook: str, seen: Any) -> None:
        if self.over:
            return
        try:
            for look in self._watching[hook]:
                look(seen)
        except Violation as e:
            # Whoever made the change is no judge of it: an error here must not reach the function that wrote.
            self.violation = e
        except Exception as e:  # noqa: BLE001 - the same for an invariant's own mistakes, which end the run
            self.trouble = e


def _overriding(invariants: Iterable[Invariant], hook: str) -> tuple[Callable[[Any], None], ...]:
    """Return those who look at something; most look at one thing or two."""
    nothing = getattr(Invariant, hook)
    return tuple(getattr(one, hook) for one in invariants if getattr(type(one), hook) is not nothing)
