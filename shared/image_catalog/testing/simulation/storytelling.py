"""Tells what happened in a world, for somebody who wants to know why it went wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from image_catalog.testing.simulation.ambushes import label
from image_catalog.testing.simulation.invariants import (
    AttemptSeen,
    ChangeSeen,
    DeliverySeen,
    EventSeen,
    LetterSeen,
    RequestSeen,
)
from image_catalog.testing.simulation.journal import Entry, Note
from image_catalog.testing.simulation.simulating import Outcome

__all__ = ["tell"]

_SHORT = 19
"""Characters of a digest that tell it from others."""


def tell(outcome: Outcome, *, every: bool = False) -> list[str]:
    """Return the story of an outcome, line by line.

    Parameters
    ----------
    outcome
        What came of a plan.
    every
        Whether deliveries that led to nothing are told too.
    """
    idle = set() if every else _idle_deliveries(outcome)
    lines = [f"seed {outcome.plan.seed}: {len(outcome.plan.actions)} actions in {outcome.plan.lasts:.0f} s"]
    lines += [f"  {action}" for action in outcome.plan.actions]
    lines.append("")
    for entry in outcome.entries:
        text = _line(entry, idle)
        if text:
            lines.append(f"{entry.at:%H:%M:%S.%f}"[:-3] + f"  {text}")
    if outcome.violation is not None:
        lines += ["", f"BROKEN: {outcome.violation.name}", f"  {outcome.violation.text}"]
    lines += ["", *outcome.crashes[:1]]
    return lines


def _idle_deliveries(outcome: Outcome) -> set[int]:
    """Return the deliveries in which nothing was asked of anybody."""
    busy: set[int | None] = set()
    idle: set[int] = set()
    for entry in outcome.entries:
        if isinstance(entry, RequestSeen | EventSeen | ChangeSeen):
            busy.add(entry.delivery)
        elif isinstance(entry, DeliverySeen) and entry.acknowledged and not entry.calls:
            idle.add(entry.number)
    return idle - busy


def _line(entry: Entry, idle: set[int]) -> str:
    match entry:
        case Note():
            return f"!! {entry.text}" if entry.fault else f"** {entry.text}"
        case AttemptSeen() | DeliverySeen():
            return "" if entry.number in idle else _delivery(entry)
        case ChangeSeen():
            by = f"{entry.actor} ({entry.delivery})" if entry.delivery else str(entry.actor)
            meta = entry.object["metadata"]
            changes = ", ".join(_changes(entry))
            return f"  {by}: {entry.kind} {entry.plural}/{meta['namespace']}/{meta['name']} {changes}"
        case LetterSeen():
            return f"the broker gives {label(entry.event)} up for {entry.function} after {list(entry.statuses)}"
        case _:
            return _message(entry)


def _delivery(entry: AttemptSeen | DeliverySeen) -> str:
    if isinstance(entry, DeliverySeen):
        answer = "nothing" if entry.status is None else entry.status
        return f"{entry.function} answers {answer} (delivery {entry.number}, {entry.calls} calls)"
    again = f", attempt {entry.attempt}" if entry.attempt > 1 else ""
    what = f"{label(entry.event)} of {_about(entry.event.subject)}"
    return f"{entry.function} gets {what} (delivery {entry.number}{again})"


def _message(entry: RequestSeen | EventSeen) -> str:
    who = f"  {entry.function} ({entry.delivery})"
    if isinstance(entry, RequestSeen):
        answer = "nothing" if entry.status is None else entry.status
        return f"{who} asks {entry.method} {entry.host}{entry.path[:60]}: {answer}"
    return f"{who} emits {label(entry.event)} of {entry.event.subject}{'' if entry.taken else ' in vain'}"


def _about(subject: str | None) -> str:
    return (subject or "…").rpartition("namespaces/")[2]


def _changes(change: ChangeSeen) -> Iterator[str]:
    """Tell what a change has changed, in as few words as tell it."""
    before, after = _flat(change.before or {}), _flat(change.after or {})
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old != new and not path.startswith(("metadata.managedFields", "metadata.resourceVersion")):
            yield f"{path}: {new}" if old is None else f"{path}: {old} → {new}"


def _flat(value: Any, path: str = "") -> dict[str, str]:
    """Return the leaves of an object by their paths; lists are leaves."""
    if isinstance(value, Mapping):
        leaves: dict[str, str] = {}
        for key, item in value.items():
            leaves |= _flat(item, f"{path}.{key}" if path else str(key))
        return leaves
    text = str(value)
    if text.startswith("sha256:"):
        text = text[:_SHORT]
    return {path: text if len(text) <= 80 else f"{text[:77]}…"}  # noqa: PLR2004 - what fits a line
