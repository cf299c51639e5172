"""What is different between two states of an entry, as far as it means anything.

Much of an entry moves with every check: times, counts, the trace of writes. A
history that kept these would hold nothing else, so they are no change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from image_catalog.catalog.chronicle.actors import Path
from image_catalog.models.names import GROUP

__all__ = ["TRANSIENT", "describe", "differences"]

_MOVING: Final = frozenset(
    {
        "accessCount",
        "availability",
        "due",
        "effectiveVerificationInterval",
        "lastVerificationTime",
        "nextVerificationMessage",
        "nextVerificationReason",
        "nextVerificationTime",
        "observedGeneration",
        "recentChanges",
        "verificationFailures",
        "verifiedInputs",
    }
)
"""Fields of the status that each check, or each look at an entry, writes."""

_MOVING_OF_REGISTRY: Final = frozenset({"lastVerified", "referrersTime"})

_TOLD_OF: Final = ("recalls", "restorations")
"""Lists whose items note when the broker took the event that tells of them: that is in the history by the event."""

TRANSIENT: Final = frozenset({None, "Pending", "Verifying"})
"""Phases of an entry that is being checked: what the check finds comes with its end."""

_LONGEST_VALUE: Final = 1024
"""Characters of a value's JSON that a record shows."""


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Path]:
    """Return which fields of an entry differ, of those that mean something to people.

    Of the status all is compared only once a check has ended.

    Parameters
    ----------
    before, after
        The object.
    """
    paths = [*_differing(before.get("spec"), after.get("spec"), ("spec",))]
    for kind in ("labels", "annotations"):
        paths += _differing(_theirs(before, kind), _theirs(after, kind), ("metadata", kind))
    status = after.get("status") or {}
    if status.get("phase") not in TRANSIENT:
        old, new = _told(before.get("status") or {}), _told(status)
        # One level deep: how a condition or a list of versions moved inside is for who compares the two states.
        paths += [("status", key) for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
    return paths


def describe(before: Mapping[str, Any], after: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Return a changed field with its values before and after; what is long is left out.

    Parameters
    ----------
    before, after
        The object.
    path
        Where the field is.
    """
    said: dict[str, Any] = {"path": ".".join(path)}
    for key, obj in (("from", before), ("to", after)):
        value: Any = obj
        for step in path:
            value = value.get(step) if isinstance(value, Mapping) else None
        if value is not None and len(str(value)) <= _LONGEST_VALUE:
            said[key] = value
    return said


def _differing(before: Any, after: Any, path: Path) -> Iterator[Path]:
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted({*before, *after}):
            yield from _differing(before.get(key), after.get(key), (*path, key))
    else:
        yield path


def _theirs(obj: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return the labels or annotations that people write: those of the catalog follow from all else."""
    words = (obj.get("metadata") or {}).get(kind) or {}
    return {key: value for key, value in words.items() if not key.partition("/")[0].endswith((GROUP, "kubernetes.io"))}


def _told(status: Mapping[str, Any]) -> dict[str, Any]:
    told = {key: value for key, value in status.items() if key not in _MOVING and value not in (None, [], {})}
    if isinstance(registry := told.get("registryMetadata"), dict):
        told["registryMetadata"] = {k: v for k, v in registry.items() if k not in _MOVING_OF_REGISTRY}
    for kind in _TOLD_OF:
        if isinstance(told.get(kind), list):
            told[kind] = [_without_traces(each) for each in told[kind]]
    if isinstance(conditions := told.get("conditions"), list):
        # Messages hold times and addresses; a reason is one of a closed set.
        told["conditions"] = sorted(
            [each.get(key) for key in ("type", "status", "reason")] for each in conditions if isinstance(each, dict)
        )
    return told


def _without_traces(item: Any) -> Any:
    return {key: value for key, value in item.items() if key != "toldAt"} if isinstance(item, dict) else item
