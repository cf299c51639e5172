"""Short ways into stored objects, which the invariants read as they stand on the wire.

None of it is shared with the code that is judged, but for the grammar of
references: that has a table of its own to be held to.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from image_catalog.models import Reference
from image_catalog.models.durations import parse_duration
from image_catalog.models.names import ANNOTATION_PUBLICATION
from image_catalog.testing.simulation.invariants.records import Object

__all__ = [
    "annotation",
    "asked_each",
    "canonical",
    "checked_each",
    "condition",
    "digest_of",
    "is_deleting",
    "is_duplicate",
    "moment",
    "publication",
    "settled",
    "spec",
    "status",
    "subject",
    "uid",
]


def spec(entry: Object | None) -> Mapping[str, Any]:
    """Return an entry's spec."""
    return (entry or {}).get("spec") or {}


def status(entry: Object | None) -> Mapping[str, Any]:
    """Return an entry's status."""
    return (entry or {}).get("status") or {}


def asked_each(entry: Object) -> timedelta:
    """Return how often an entry is to be checked by its spec: once a minute at most."""
    return max(parse_duration(spec(entry).get("verificationInterval", "1h")), timedelta(minutes=1))


def checked_each(entry: Object) -> timedelta:
    """Return how often an entry that is well is checked: four times as rarely by a digest alone, a day at most."""
    asked = asked_each(entry)
    name, _, digest = spec(entry)["registryUrl"].partition("@")
    if not digest or ":" in name.rpartition("/")[2]:
        return asked
    return max(asked, min(4 * asked, timedelta(days=1)))


def subject(entry: Object) -> str:
    """Return ``namespace/name``."""
    return f"{entry['metadata'].get('namespace', '')}/{entry['metadata']['name']}"


def uid(entry: Object) -> str:
    """Return what tells an object from a later one of its name."""
    return str(entry["metadata"].get("uid", ""))


def annotation(entry: Object | None, name: str) -> str | None:
    """Return an annotation."""
    found = ((entry or {}).get("metadata") or {}).get("annotations") or {}
    return found.get(name)


def moment(text: Any) -> datetime | None:
    """Read a time as the API server writes it."""
    if not isinstance(text, str):
        return None
    return datetime.fromisoformat(text).astimezone(UTC)


def is_deleting(entry: Object) -> bool:
    """Whether somebody has deleted it, and it waits for its finalizers."""
    return entry["metadata"].get("deletionTimestamp") is not None


def canonical(entry: Object) -> tuple[str, str] | None:
    """Return an entry's identity: namespace and canonical reference; `None` for what is no reference."""
    url = spec(entry).get("registryUrl")
    reference = Reference.try_parse(url) if isinstance(url, str) else None
    return None if reference is None else (entry["metadata"].get("namespace", ""), reference.canonical)


def condition(entry: Object | None, kind: str) -> Mapping[str, Any] | None:
    """Return a condition by its type."""
    conditions: Iterable[Mapping[str, Any]] = status(entry).get("conditions") or ()
    return next((each for each in conditions if each.get("type") == kind), None)


def settled(entry: Object | None) -> tuple[str, str] | None:
    """Return phase and reason of the last check that has ended; `None` before there was one.

    While an entry is checked again its phase says so, and ``Available`` keeps
    what the last check has found.
    """
    available = condition(entry, "Available")
    phase = status(entry).get("phase")
    if available is None or available["status"] == "Unknown":
        return None
    if phase in {None, "Pending", "Verifying"}:
        return ("Available" if available["status"] == "True" else "not Available", available["reason"])
    return (phase, available["reason"])


def is_duplicate(entry: Object) -> bool:
    """Whether it is known to stand for what another entry stands for."""
    available = condition(entry, "Available")
    return available is not None and available["reason"] == "DuplicateReference"


def digest_of(entry: Object | None) -> str | None:
    """Return the content that an entry has, by the registry's word."""
    return (status(entry).get("registryMetadata") or {}).get("resolvedDigest")


def publication(entry: Object | None) -> Mapping[str, Any]:
    """Return the record of the last publication; empty where there is none, or a person has spoiled it."""
    text = annotation(entry, ANNOTATION_PUBLICATION)
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
