"""Records as rows, and rows as records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from image_catalog.audit._states import NewState
from image_catalog.audit._times import from_micros, to_micros
from image_catalog.audit.chain import canonical, digest_of, subject_of
from image_catalog.audit.records import CONFIRMATION, NewRecord, Outcome, Record
from image_catalog.errors import PermanentError
from image_catalog.models.events import UNAUTHENTICATED

__all__ = [
    "Prepared",
    "agree",
    "beside",
    "clean",
    "fit",
    "fold",
    "other_ids",
    "own_id",
    "prepare",
    "record_of",
    "subject_in",
    "tells_event",
]

_LONGEST_KEY: Final = 1000
"""Bytes. PostgreSQL refuses to index rows over 2,704, with two keys in some; what others wrote can have any length."""

_BEGINNING: Final = 800

_OURS: Final = "\u2260"
"""What the ids begin with that are made here; no id of somebody else's does."""

_OTHERS: Final = 4
"""Records that are kept beside the first one under the same id."""

_BY_BUILD: Final = "ImageBuild "


@dataclass(frozen=True, slots=True)
class Prepared:
    """A record that can be kept.

    Attributes
    ----------
    row
        Its columns, save those that only its place in a chain tells.
    state
        The entry after the change, if there was one.
    """

    row: dict[str, Any]
    state: NewState | None = None


def prepare(record: NewRecord) -> Prepared:
    """Make a record ready, and refuse what could not be kept before others wait for the same transaction.

    Raises
    ------
    PermanentError
        Raised if the data or the state is no JSON.
    """
    try:
        return Prepared(_columns(record), NewState.of(record.state) if record.state is not None else None)
    except (TypeError, ValueError, OverflowError) as e:
        raise PermanentError(f"the record of {fit(record.event_id)} cannot be kept: {e}") from e


def _columns(record: NewRecord) -> dict[str, Any]:
    return {
        "event_id": own_id(record.event_id),
        "kind": fit(record.kind),
        "namespace": _optional(record.namespace),
        "name": _optional(record.name),
        "time": to_micros(record.time),
        "actor": fit(record.actor),
        "outcome": Outcome(record.outcome).value,
        "digest": _optional(record.digest),
        "registry_url": clean(record.registry_url) if record.registry_url is not None else None,
        "message": clean(record.message),
        "confirmed": record.confirmed,
        "amount": _amount(record.data.get("count")),
        "data": canonical(dict(record.data)).decode(),
        "folds": False,
    }


def record_of(row: Mapping[Any, Any]) -> Record:
    """Return the record of a row as it was written; it has the chain's subject beside its columns as ``chain``."""
    return Record(
        seq=row["seq"],
        event_id=row["event_id"],
        kind=row["kind"],
        namespace=row["namespace"],
        name=row["name"],
        time=from_micros(row["time"]),
        recorded_at=from_micros(row["recorded_at"]),
        actor=row["actor"],
        outcome=Outcome(row["outcome"]),
        digest=row["digest"],
        registry_url=row["registry_url"],
        message=row["message"],
        confirmed=row["confirmed"],
        data=orjson.loads(row["data"]),
        chain=row["chain"],
        position=row["position"],
        previous_hash=row["previous_hash"],
        hash=row["hash"],
    )


def tells_event(row: Mapping[Any, Any]) -> bool:
    """Return whether a row has the event itself, and not only what the entry's object shows of it."""
    return "event" in orjson.loads(row["data"])


def agree(row: Mapping[Any, Any], parts: Iterable[Mapping[Any, Any]]) -> bool:
    """Return whether a record tells of the same as what is kept under its id.

    An event is anybody's word: who reads an entry knows the ids of its events,
    and some can be told before they happen.
    """
    return all(_tell_the_same(row, part) for part in parts)


def _tell_the_same(one: Mapping[Any, Any], other: Mapping[Any, Any]) -> bool:
    if (one["namespace"], one["name"]) != (other["namespace"], other["name"]):
        return False
    if CONFIRMATION not in {one["kind"], other["kind"]} and one["kind"] != other["kind"]:
        return False
    if not (tells_event(one) or tells_event(other)):
        # Both are of the entry itself, which keeps apart who reported a test under the same id.
        return bool(one["actor"] == other["actor"]) or _tells_nothing(one) or _tells_nothing(other)
    if _tells_nothing(one) or _tells_nothing(other):
        actors: list[str] = sorted((one["actor"], other["actor"]), key=lambda actor: actor == UNAUTHENTICATED)
        return actors[0] == actors[1] or (actors[0].startswith(_BY_BUILD) and actors[1] == UNAUTHENTICATED)
    digests = {one["digest"], other["digest"]} - {None}
    return len(digests) <= 1 and all(bool(one[name] == other[name]) for name in ("actor", "outcome"))


def _tells_nothing(row: Mapping[Any, Any]) -> bool:
    """Return whether a record of an entry tells only that something was done: what it was is no more to be seen."""
    return not orjson.loads(row["data"]).keys() - {"confirms"}


def other_ids(event_id: str) -> list[str]:
    """Return the ids of what is kept beside the first record under an id, since it tells of something else."""
    return [beside(event_id, str(number)) for number in range(1, _OTHERS + 1)]


def beside(event_id: str, what: str) -> str:
    """Return the id of what is kept beside something else under the same id; nobody else's id is like it."""
    return f"{_OURS}{what}:{event_id}"


def own_id(event_id: str) -> str:
    """Return an event's id as it is kept."""
    # In front of those that begin as ours do the sign stands twice.
    return f"{_OURS}{fit(event_id)}" if event_id.startswith(_OURS) else fit(event_id)


def fold(row: Mapping[Any, Any], later: Iterable[Mapping[Any, Any]]) -> Record:
    """Return a record with what later ones add: that it is confirmed, and what the event itself said."""
    shown = dict(row)
    for added in later:
        shown["confirmed"] = shown["confirmed"] or added["confirmed"]
        if added["folds"]:
            message = shown["message"] or added["message"]
            shown |= {name: added[name] for name in ("actor", "outcome", "data")} | {"message": message}
        elif not tells_event(added):
            # What the entry shows is true, whatever else the event said.
            shown |= {name: added[name] for name in ("digest", "registry_url", "message") if added[name]}
    return record_of(shown)


def subject_in(row: Mapping[str, Any]) -> str:
    """Return what the chain of a row is of."""
    return subject_of(row["namespace"], row["name"])


def fit(key: str) -> str:
    """Return a text that can be indexed; one that is too long ends with its digest, and stays apart from others."""
    text = clean(key)
    content = text.encode()
    if len(content) <= _LONGEST_KEY:
        return text
    return f"{content[:_BEGINNING].decode(errors='ignore')}…{digest_of(content)}"


def _optional(key: str | None) -> str | None:
    return fit(key) if key else None


def clean(text: str) -> str:
    """Return a text that every database can hold: PostgreSQL's have no NUL, and half a surrogate is no character."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def _amount(count: object) -> int:
    return count if isinstance(count, int) and not isinstance(count, bool) and 0 < count < 1 << 31 else 1
