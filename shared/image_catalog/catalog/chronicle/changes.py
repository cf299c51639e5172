"""The records of a change of an entry, as its object shows it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import ValidationError

from image_catalog.audit import NewRecord, Outcome, State, StateChange
from image_catalog.catalog.chronicle.actors import OURS, UNKNOWN, Path, author_of, manager_of
from image_catalog.catalog.chronicle.comparing import TRANSIENT, describe, differences
from image_catalog.catalog.chronicle.events import actor_of, digest_in
from image_catalog.catalog.chronicle.kinds import ADDED, CHANGED
from image_catalog.catalog.chronicle.sayings import outcome_of, say
from image_catalog.catalog.plain import content_of, text_in
from image_catalog.catalog.publication import Publication, parse_publication
from image_catalog.catalog.signing import signer
from image_catalog.events import PREFIX, EventType, SourceType, removal_id
from image_catalog.models import CatalogImage, Change
from image_catalog.models.events import UNAUTHENTICATED
from image_catalog.models.names import ANNOTATION_PUBLICATION, ANNOTATION_REMOVED_BY

__all__ = ["records_of_change"]

_PUBLISHING: Final = timedelta(minutes=1)
"""How long after its first write the second one of a publication is waited for, the one that says what it did."""

_FOUND: Final = frozenset(
    kind.short
    for kind in (
        EventType.IMAGE_AVAILABLE,
        EventType.IMAGE_UNAVAILABLE,
        EventType.IMAGE_FAILED,
        EventType.IMAGE_VERIFIED,
    )
)
"""Kinds that tell what a check found."""

_SHOWN: Final = 32
"""Changed fields that a record tells of."""


def records_of_change(
    event_type: str, obj: Mapping[str, Any], known: State | None, *, now: datetime
) -> list[NewRecord]:
    """Return what is kept of a change.

    Parameters
    ----------
    event_type
        Which of the three kinds of change it is said to be.
    obj
        The whole object after it, or as it was last when it is gone.
    known
        The entry's last state, if it has one.
    now
        What time it is.

    Returns
    -------
    list of NewRecord
        The oldest first. Nothing for what is older than the last state, or says
        nothing new.
    """
    entry = _Entry(obj, known)
    if event_type == SourceType.RESOURCE_DELETED:
        return [_removal(obj, now=now)]
    if entry.is_outdated:
        return []
    told = [*_owed(entry), *_tested(entry), *_reworded(entry)]
    # A person's edit and a function's answer to it can come in one change, where the one between was not seen.
    edits = [] if entry.is_published(now) else [*_edit(entry, event_type, answered=bool(told), now=now)]
    records = [*edits, *sorted(told, key=lambda record: record.time)]
    return [*records[:-1], _with_state(records[-1], obj)] if records else []


class _Entry:
    """An entry's object, and what was known of it before."""

    def __init__(self, obj: Mapping[str, Any], known: State | None) -> None:
        self.object = obj
        self.metadata: Mapping[str, Any] = obj.get("metadata") or {}
        self.status: Mapping[str, Any] = obj.get("status") or {}
        same = known is not None and known.uid == self.metadata.get("uid") and not known.removed
        self.before: Mapping[str, Any] | None = known.object if known is not None and same else None
        self._known = known

    @property
    def facts(self) -> dict[str, Any]:
        """What every record says of the entry."""
        return {
            "namespace": self.metadata.get("namespace"),
            "name": self.metadata.get("name"),
            "registry_url": (self.object.get("spec") or {}).get("registryUrl"),
            "digest": content_of(self.object),
        }

    @property
    def is_outdated(self) -> bool:
        """Whether the object is no newer than what is known: resource versions of one object are numbers that grow."""
        known = self._known
        if known is None:
            return False
        if known.uid != self.metadata.get("uid"):
            created = (known.object.get("metadata") or {}).get("creationTimestamp") or ""
            return str(self.metadata.get("creationTimestamp") or "") < str(created)
        if known.removed:
            return True
        version = str(self.metadata.get("resourceVersion") or "")
        if not (version.isdecimal() and known.resource_version.isdecimal()):
            return version == known.resource_version
        return int(version) <= int(known.resource_version)

    def is_published(self, now: datetime) -> bool:
        """Whether the change is one of the two writes of a publication, of which the second says what was done."""
        before, after = (_publication(obj) for obj in (self.before or {}, self.object))
        if after is None or after == before:
            return False
        is_told = any(change.get("cause") == after.cause for change in self.status.get("recentChanges") or ())
        is_new = self.before is None and self.status.get("phase") in TRANSIENT
        return is_told or is_new or now - after.applied_at < _PUBLISHING


def _owed(entry: _Entry) -> Iterator[NewRecord]:
    """Return the events that the object says it owes, and did not before."""
    known = {owed["id"] for _, owed in _changes((entry.before or {}).get("status") or {})}
    fresh = [(change, owed) for change, owed in _changes(entry.status) if owed["id"] not in known]
    if not fresh:
        return
    image, newest = _image_of(entry.object), _changes(entry.status)[0][0]
    for raw, owed in fresh:
        change, kind = Change.model_validate(raw), str(owed["type"])
        # What an older change did cannot be told from the entry as it is now.
        data = _data(kind, image, change) if raw is newest and image is not None else {}
        yield NewRecord(
            event_id=str(owed["id"]),
            kind=kind,
            time=change.time,
            actor=actor_of(kind, data, change.actor or UNAUTHENTICATED),
            outcome=outcome_of(kind, data),
            message=say(kind, data) if data else "",
            data={"shown": data} if data else {},
            **entry.facts | ({"digest": digest_in(data) or entry.facts["digest"]} if data else {"digest": None}),
        )


def _image_of(obj: Mapping[str, Any]) -> CatalogImage | None:
    try:
        return CatalogImage.from_object(dict(obj))
    except ValidationError:  # Of a newer version: what it owes is known by its ids all the same.
        return None


def _changes(status: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    return [(change, owed) for change in status.get("recentChanges") or () for owed in change.get("events") or ()]


def _data(kind: str, image: CatalogImage, change: Change) -> dict[str, Any]:
    # It brings the whole of what judges a registry's answers, for which a cold start need not wait.
    from image_catalog.catalog.announcing import rebuild  # noqa: PLC0415 - see above
    from image_catalog.catalog.lifecycle import settled_phase  # noqa: PLC0415 - the same

    if kind in _FOUND and settled_phase(image.status) is None:  # An edit has begun another check since.
        return {}
    try:
        event_type = EventType(PREFIX + kind)
    except ValueError:  # A newer function owes it.
        return {}
    data = rebuild(event_type, image, change, actor=change.actor or UNAUTHENTICATED)
    return data.to_dict() if data is not None else {}


def _tested(entry: _Entry) -> Iterator[NewRecord]:
    """Return the tests on boards that the object tells of, and did not before."""
    known = {run.get("id") for _, run in _runs((entry.before or {}).get("status") or {})}
    for evidence, run in _runs(entry.status):
        if run.get("id") and run["id"] not in known:
            data = {
                "target": evidence.get("target"),
                **{key: run[key] for key in ("result", "reportUrl") if key in run},
            }
            kind = EventType.TEST_REPORTED.short
            yield NewRecord(
                event_id=str(run["id"]),
                kind=kind,
                time=datetime.fromisoformat(str(run["at"])),
                actor=str(run.get("reportedBy") or UNKNOWN),
                outcome=outcome_of(kind, data),
                message=say(kind, data),
                data=data,
                **entry.facts | {"digest": evidence.get("digest")},
            )


def _runs(status: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    return [(evidence, run) for evidence in status.get("evidence") or () for run in evidence.get("runs") or ()]


def _reworded(entry: _Entry) -> Iterator[NewRecord]:
    """Return the recalls of which the object says that they have another reason, and did not before."""
    known = {recall.get("id"): recall for recall in _recalls(entry.before or {})}
    uid = entry.metadata.get("uid")
    for recall in _recalls(entry.object):
        before, at, reason = known.get(recall.get("id")), recall.get("rewordedAt"), str(recall.get("reason"))
        # What comes from another entry is new here, with whatever reason it has by now.
        is_new_here = before is None and recall.get("uid") != uid
        if not at or is_new_here or (before is not None and reason == before.get("reason")):
            continue
        change = {"path": "status.recalls.reason", "from": (before or {}).get("reason"), "to": reason}
        # Times have seconds, in which somebody may think twice.
        words = hashlib.sha256(reason.encode()).hexdigest()[:12]
        yield NewRecord(
            event_id=f"reworded:{uid}:{recall.get('id')}:{at}:{words}",
            kind=CHANGED,
            time=datetime.fromisoformat(str(at)),
            actor=str(recall.get("rewordedBy") or UNKNOWN),
            message=f"the recall of {recall.get('digest')} has another reason: {reason}",
            data={"changes": [{key: value for key, value in change.items() if value is not None}]},
            **entry.facts | {"digest": recall.get("digest")},
        )


def _recalls(obj: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return (obj.get("status") or {}).get("recalls") or []


def _edit(entry: _Entry, event_type: str, *, answered: bool, now: datetime) -> Iterator[NewRecord]:
    """Return what was done to the object and no event tells of.

    Parameters
    ----------
    entry
        The entry.
    event_type
        Which of the three kinds of change it is said to be.
    answered
        Whether events tell of the change: they tell of the whole status.
    now
        What time it is.
    """
    if entry.before is None:
        # What was published is told by that; what somebody made is not, though functions may have answered already.
        if not answered or _publication(entry.object) is None:
            yield _added(entry, event_type, now=now)
        return
    paths = differences(entry.before, entry.object)
    if answered:
        paths = [path for path in paths if path[0] != "status" and not _is_ours(entry, path)]
    if not paths:
        return
    shown = [describe(entry.before, entry.object, path) for path in paths[:_SHOWN]]
    yield NewRecord(
        event_id=_change_id(entry, paths),
        kind=CHANGED,
        time=now,
        actor=author_of(entry.before, entry.object, paths),
        message=f"{', '.join(each['path'] for each in shown)}{' and more' if len(paths) > _SHOWN else ''} changed",
        data={"changes": shown},
        **entry.facts,
    )


def _added(entry: _Entry, event_type: str, *, now: datetime) -> NewRecord:
    created = entry.metadata.get("creationTimestamp")
    is_new = event_type == SourceType.RESOURCE_ADDED
    return NewRecord(
        event_id=f"added:{entry.metadata.get('uid')}",
        kind=ADDED,
        time=now,
        actor=author_of(None, entry.object, [("spec", "registryUrl")]),
        message="added" if is_new else f"seen for the first time; it is there since {created}",
        **entry.facts,
    )


def _change_id(entry: _Entry, paths: list[Path]) -> str:
    # A change of the spec is told by its generation, in whichever of the object's versions it is seen first.
    is_of_spec = any(path[0] == "spec" for path in paths)
    number = f"g{entry.metadata.get('generation')}" if is_of_spec else str(entry.metadata.get("resourceVersion"))
    return f"change:{entry.metadata.get('uid')}:{number}"


def _is_ours(entry: _Entry, path: Path) -> bool:
    """Whether a function wrote the field with what it announces, the pin of a tag that is followed for example."""
    manager = manager_of(entry.object, [path])
    return path == ("spec", "digest") if manager is None else manager.startswith(OURS)


def _removal(obj: Mapping[str, Any], *, now: datetime) -> NewRecord:
    entry = _Entry(obj, None)
    signed = text_in(obj, "metadata", "annotations", ANNOTATION_REMOVED_BY)
    kind = EventType.IMAGE_REMOVED.short
    return NewRecord(
        event_id=removal_id(text_in(obj, "metadata", "uid")),
        kind=kind,
        time=now,
        actor=signer(signed) or UNKNOWN,
        outcome=Outcome.SUCCEEDED,
        message=say(kind, {"registryUrl": entry.facts["registry_url"]}),
        state=StateChange(object=_kept(obj), removed=True),
        **entry.facts,
    )


def _with_state(record: NewRecord, obj: Mapping[str, Any]) -> NewRecord:
    return replace(record, state=StateChange(object=_kept(obj)))


def _kept(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Return the object as a state keeps it, without the trace of who wrote which field."""
    metadata = {key: value for key, value in (obj.get("metadata") or {}).items() if key != "managedFields"}
    return {**obj, "metadata": metadata}


def _publication(obj: Mapping[str, Any]) -> Publication | None:
    return parse_publication(text_in(obj, "metadata", "annotations", ANNOTATION_PUBLICATION))
