"""Field managers: which tool has set which field of a custom resource.

https://kubernetes.io/docs/reference/using-api/server-side-apply/#managers. A list
counts as one field here, and server-side apply, which goes by this, is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from image_catalog.local.kubernetes.objects.meta import timestamp
from image_catalog.local.kubernetes.objects.writes import Write
from image_catalog.local.kubernetes.storage.store import Body

__all__ = ["managed", "manager_of"]

_LONGEST: Final = 128
_METADATA: Final = ("annotations", "finalizers", "labels", "ownerReferences")

_Fields = dict[str, Any]
"""``{"f:spec": {"f:tags": {}}}``."""


def manager_of(query: Mapping[str, str], headers: Mapping[str, str]) -> str:
    """Return who makes a request: what it says itself, else what its ``User-Agent`` begins with."""
    return (query.get("fieldManager") or headers.get("user-agent", "").partition("/")[0])[:_LONGEST]


def managed(write: Write, before: Body | None, after: Body, *, now: datetime) -> Body:
    """Return an object that says who has set what was changed.

    Parameters
    ----------
    write
        The write, with its manager.
    before, after
        The object; `None` before it was made.
    now
        What time it is.
    """
    changed, gone = _changed(_owned(before or {}), _owned(after))
    if not write.manager or not (changed or gone):
        return after
    metadata = after["metadata"]
    entries = []
    mine: _Fields = {}
    for entry in metadata.get("managedFields", ()):
        fields = _without(_without(entry.get("fieldsV1", {}), changed), gone)
        if entry["manager"] == write.manager and entry.get("subresource") == write.subresource:
            mine = fields
        elif fields:
            entries.append({**entry, "fieldsV1": fields})
    if mine or changed:
        own = {
            "manager": write.manager,
            "operation": "Update",
            "apiVersion": write.resource.api_version,
            "time": timestamp(now),
            "fieldsType": "FieldsV1",
            "fieldsV1": _joined(mine, changed),
        }
        entries.append(own if write.subresource is None else {**own, "subresource": write.subresource})
    return {**after, "metadata": {**metadata, "managedFields": entries}}


def _owned(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of an object is somebody's: not its identity, nor what the server decides."""
    owned = {name: value for name, value in body.items() if name not in ("apiVersion", "kind", "metadata")}
    metadata = body.get("metadata") or {}
    return {**owned, "metadata": {name: metadata[name] for name in _METADATA if name in metadata}}


def _changed(before: Any, after: Any) -> tuple[_Fields, _Fields]:
    """Return the fields that have another value now, and those that are gone."""
    changed: _Fields = {}
    gone: _Fields = {}
    for name, value in after.items():
        old = before.get(name)
        if name in before and old == value:
            continue
        if isinstance(value, dict) and (value or isinstance(old, dict)):
            inner, lost = _changed(old if isinstance(old, dict) else {}, value)
            changed |= {f"f:{name}": inner} if inner else {}
            gone |= {f"f:{name}": lost} if lost else {}
        else:
            changed[f"f:{name}"] = {}
    return changed, gone | {f"f:{name}": {} for name in before if name not in after}


def _without(fields: _Fields, taken: _Fields) -> _Fields:
    """Return fields without some; one that is taken as a whole takes what is below with it."""
    left: _Fields = {}
    for name, inner in fields.items():
        if name not in taken:
            left[name] = inner
        elif taken[name] and inner and (rest := _without(inner, taken[name])):
            left[name] = rest
    return left


def _joined(one: _Fields, other: _Fields) -> _Fields:
    joined = dict(one)
    for name, inner in other.items():
        joined[name] = _joined(joined.get(name, {}), inner) if inner else inner
    return joined
