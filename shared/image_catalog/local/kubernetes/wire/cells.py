"""Table cells of the built-in kinds, computed as a real API server computes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from image_catalog.local.ages import age_since
from image_catalog.local.kubernetes.resources import Column
from image_catalog.local.kubernetes.wire.json_path import compile_path

__all__ = ["builtin_cell"]

_Object = Mapping[str, Any]


def builtin_cell(column: Column, item: _Object, now: datetime) -> Any:
    """Compute one cell of a built-in kind.

    Parameters
    ----------
    column
        One of the kind's columns: computed by its name, or else read by its JSON path.
    item
        The object.
    now
        Ages are told as of this moment.

    Returns
    -------
    Any
        An empty string where the object has no such value.
    """
    computed = _BY_NAME.get(column.name)
    if computed is not None:
        return computed(item, now)
    found = compile_path(column.json_path).find(item) if column.json_path else []
    return found[0] if found and found[0] is not None else ""


def _age(item: _Object, now: datetime) -> str:
    return age_since(item["metadata"].get("creationTimestamp"), now)


def _created_at(item: _Object, _now: datetime) -> str:
    return str(item["metadata"].get("creationTimestamp") or "")


def _data(item: _Object, _now: datetime) -> int:
    return len(item.get("data") or {}) + len(item.get("binaryData") or {})


def _role(item: _Object, _now: datetime) -> str:
    return f"{item['roleRef']['kind']}/{item['roleRef']['name']}"


def _subjects(kind: str) -> Callable[[_Object, datetime], str]:
    def cell(item: _Object, _now: datetime) -> str:
        of_kind = (subject for subject in item.get("subjects") or () if subject["kind"] == kind)
        return ", ".join(
            f"{subject.get('namespace', '')}/{subject['name']}" if kind == "ServiceAccount" else subject["name"]
            for subject in of_kind
        )

    return cell


def _first_seen(item: _Object, now: datetime) -> str:
    return age_since(item.get("firstTimestamp") or item.get("eventTime"), now)


def _last_seen(item: _Object, now: datetime) -> str:
    series = item.get("series")
    if series:
        return age_since(series.get("lastObservedTime"), now)
    if item.get("lastTimestamp"):
        return age_since(item["lastTimestamp"], now)
    return _first_seen(item, now)


def _regarding(item: _Object) -> _Object:
    # events.k8s.io/v1 has other names for the fields of core/v1 Events.
    return item.get("involvedObject") or item.get("regarding") or {}


def _event_object(item: _Object, _now: datetime) -> str:
    regarding = _regarding(item)
    kind, name = regarding.get("kind", "").lower(), regarding.get("name")
    return f"{kind}/{name}" if name else kind


def _event_source(item: _Object, _now: datetime) -> str:
    source = item.get("source") or item.get("deprecatedSource") or {}
    component = source.get("component") or item.get("reportingComponent") or item.get("reportingController") or ""
    host = source.get("host") or item.get("reportingInstance")
    return f"{component}, {host}" if host else str(component)


def _event_count(item: _Object, _now: datetime) -> int:
    series = item.get("series")
    # An event that happened once may come without a count.
    return int(series["count"]) if series else int(item.get("count") or 1)


# Column names mean the same wherever they stand, so one table serves every kind.
_BY_NAME: dict[str, Callable[[_Object, datetime], Any]] = {
    "Age": _age,
    "Count": _event_count,
    "Created At": _created_at,
    "Data": _data,
    "First Seen": _first_seen,
    "Groups": _subjects("Group"),
    "Last Seen": _last_seen,
    "Message": lambda item, _now: (item.get("message") or item.get("note") or "").strip(),
    "Object": _event_object,
    "Role": _role,
    "ServiceAccounts": _subjects("ServiceAccount"),
    "Source": _event_source,
    "Subobject": lambda item, _now: _regarding(item).get("fieldPath", ""),
    "Users": _subjects("User"),
}
