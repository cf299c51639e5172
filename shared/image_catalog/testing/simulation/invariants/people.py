"""What a person wrote stays written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from image_catalog.models.names import ANNOTATION_DIGEST_PINNED_BY, ANNOTATION_PUBLICATION, FINALIZER, GROUP
from image_catalog.testing.simulation.invariants.base import Invariant
from image_catalog.testing.simulation.invariants.causes import Causes
from image_catalog.testing.simulation.invariants.reading import publication, spec, subject, uid
from image_catalog.testing.simulation.invariants.records import AttemptSeen, ChangeSeen, Object

__all__ = ["PeopleAreHeard"]

_Path: TypeAlias = tuple[str, str]

_OURS = {ANNOTATION_DIGEST_PINNED_BY, ANNOTATION_PUBLICATION}


class PeopleAreHeard(Invariant):
    """Nothing that a person typed into an entry is changed or blanked by a function.

    docs/reliability.md, "People": nothing that a person
    curated is ever deleted or blanked by a publication, and a pin that a
    person typed is kept. Held against it are spec fields, tags, metadata
    field by field, labels, annotations and finalizers.

    Not held against it is what was asked for: a publication whose request
    names the very field and value; the pin of an entry that shall follow its
    tag; labels of the catalog's own, an index that the functions keep; and a
    value typed again just as it was published, which nobody can tell from the
    published one.
    """

    name = "people-are-heard"

    def __init__(self) -> None:
        self._causes = Causes()
        self._said: dict[str, dict[_Path, Any]] = {}

    def on_attempt(self, attempt: AttemptSeen) -> None:
        """Learn what is asked for."""
        self._causes.add(attempt)

    def on_change(self, change: ChangeSeen) -> None:
        """Remember what people write; compare what functions leave of it."""
        if change.plural != "catalogimages" or change.after is None:
            return
        number = uid(change.after)
        before = dict(_fields(change.before)) if change.before is not None else {}
        after = dict(_fields(change.after))
        if change.by_function:
            said = self._said.get(number, {})
            for path, value in list(said.items()):
                if after.get(path) == value:
                    continue
                # What was rightly replaced is no longer that person's word, also when the entry follows no tag later.
                del said[path]
                if not self._may_change(path, after.get(path), change.after):
                    self.broken(
                        f"a person gave {'.'.join(path)} of {subject(change.after)} the value {value!r}, "
                        f"and {change.actor} made it {after.get(path)!r}"
                    )
        elif change.actor == "person":
            said = self._said.setdefault(number, {})
            published = _published(change.after)
            for path in before.keys() | after.keys():
                if before.get(path) != after.get(path):
                    said.pop(path, None)
                    if path in after and published.get(path, _NOTHING) != after[path]:
                        said[path] = after[path]

    def _may_change(self, path: _Path, now: Any, entry: Object) -> bool:
        if path == ("spec", "digest"):
            # What follows its tag is nobody's pin.
            return spec(entry).get("driftPolicy") == "follow"
        return any(now is not None and dict(_asked(request)).get(path) == now for request in self._causes.requests())


_NOTHING = object()


def _fields(entry: Object) -> Iterator[tuple[_Path, Any]]:
    for field, value in spec(entry).items():
        if field == "metadata":
            for name, held in value.items():
                yield ("metadata", name), held
        elif field == "tags":
            yield from ((("tags", tag), True) for tag in value)
        elif field == "registryUrl":
            # A digest in it moves with the pin, which is held against the functions by itself.
            yield ("spec", field), value.partition("@")[0]
        else:
            yield ("spec", field), value
    metadata = entry["metadata"]
    for label, value in (metadata.get("labels") or {}).items():
        if not label.partition("/")[0].endswith(GROUP):
            yield ("labels", label), value
    for name, value in (metadata.get("annotations") or {}).items():
        if name not in _OURS:
            yield ("annotations", name), value
    for name in metadata.get("finalizers") or ():
        if name != FINALIZER:
            yield ("finalizers", name), True


def _published(entry: Object) -> dict[_Path, Any]:
    """Return the values that the last publication has put there."""
    record = publication(entry)
    fields: dict[_Path, Any] = {("metadata", name): value for name, value in (record.get("metadata") or {}).items()}
    fields["spec", "authSecretRef"] = record.get("authSecretRef", _NOTHING)
    return fields


def _asked(request: dict[str, Any]) -> Iterator[tuple[_Path, Any]]:
    """Return the values that a request asks for."""
    for field in ("authSecretRef", "verificationInterval", "verifyBlobs", "driftPolicy"):
        if field in request:
            yield ("spec", field), request[field]
    yield from ((("metadata", name), value) for name, value in (request.get("metadata") or {}).items())
    yield from ((("labels", name), value) for name, value in (request.get("labels") or {}).items())
