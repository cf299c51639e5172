"""Entries of the catalog as rows of a table: the cells that kubectl shows of them, and what ``wide`` adds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from math import floor
from typing import Any

from image_catalog.cli.boards import tested_word
from image_catalog.cli.output import Format, size_text
from image_catalog.local.ages import age_since

__all__ = ["Cells", "columns", "recalled", "row", "without_server_fields"]

_Entry = Mapping[str, Any]
_Cell = Callable[[_Entry, datetime], str]

Cells = Mapping[str, _Cell]
"""The columns of a table: what stands above each, and its cell of an entry."""

_SERVER_FIELDS = {"resourceVersion", "uid", "managedFields"}
"""What belongs to one object in one cluster: without it the output can be applied, also elsewhere."""


def _at(entry: _Entry, *path: str) -> Any:
    value: Any = entry
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _text(*path: str) -> _Cell:
    return lambda entry, _: "" if (value := _at(entry, *path)) is None else str(value)


def _age(*path: str) -> _Cell:
    def cell(entry: _Entry, now: datetime) -> str:
        return age_since(str(value), now) if (value := _at(entry, *path)) else ""

    return cell


def _held(field: str) -> _Cell:
    """Return a cell of what holds of the image; what a person said of it, until the functions have looked at it."""

    def cell(entry: _Entry, _now: datetime) -> str:
        effective = _at(entry, "status", "effectiveMetadata")
        found = _at(entry, "spec", "metadata", field) if effective is None else effective.get(field)
        return str(found or "")

    return cell


def _targets(entry: _Entry) -> list[str]:
    effective = _at(entry, "status", "effectiveMetadata")
    if effective is not None:
        return [str(name) for name in effective.get("targets") or ()]
    return [str(target.get("name", "")) for target in _at(entry, "spec", "metadata", "targets") or ()]


def _tested(entry: _Entry) -> list[Mapping[str, Any]]:
    return [target for target in _at(entry, "status", "targets") or () if target.get("tested")]


def _available(window: str) -> _Cell:
    """Return a cell of the share of time that the image was there: ``99.98%``; ``99.98%/42%`` where 42 % is known."""

    def cell(entry: _Entry, _now: datetime) -> str:
        share, known = (_at(entry, "status", "availability", f"{word}{window}") for word in ("last", "known"))
        if not isinstance(share, int | float):
            return ""
        # Cut and not rounded: 100 % is only what never failed.
        text = f"{floor(share * 10_000) / 100:g}%"
        return text if not isinstance(known, int | float) or known >= _WELL_KNOWN else f"{text}/{floor(known * 100)}%"

    return cell


def _phase(entry: _Entry) -> str:
    """Return the phase, and that the image must not be used: as one word, as `kubectl` says it of nodes."""
    phase = str(_at(entry, "status", "phase") or "Pending")
    reasons = {condition.get("reason") for condition in _at(entry, "status", "conditions") or ()}
    return phase if _RECALLED.isdisjoint(reasons) else f"{phase},Recalled"


def _hints(entry: _Entry) -> str:
    """Return what to look at before the image is relied on, one word each."""
    reasons = {condition.get("reason") for condition in _at(entry, "status", "conditions") or ()}
    if _at(entry, "status", "drift"):
        # Known still where the registry cannot be asked at present, and the condition therefore does not say it.
        reasons.add("TagMoved")
    return ",".join(hint for hint, told in _HINTS.items() if not told.isdisjoint(reasons))


def _platforms(entry: _Entry) -> str:
    """Return the architectures that the registry has, by their OCI names."""
    found = _at(entry, "status", "registryMetadata", "platformVariants") or [
        _at(entry, "status", "registryMetadata", "platform") or {}
    ]
    return ",".join(dict.fromkeys(name for platform in found if (name := platform.get("architecture"))))


_WELL_KNOWN = 0.99
"""Share of a window from which on it is not worth a word that the rest is not known."""

_RECALLED = {"ContentRecalled", "PlatformRecalled", "ArtifactRecalled"}
"""Reasons of the condition ``Recalled`` where it holds."""

_HINTS = {
    "QUARANTINED": {"Quarantined"},
    "DRIFT": {"TagMoved", "PinnedDigestMissing"},
    "CONFLICT": {"MetadataConflict"},
    "RECALLED": _RECALLED,
}
"""What the ``wide`` table says of an entry, by the reasons of the conditions that do not hold."""

# The same cells as the CRD's printer columns, so that kubectl and caib show an entry alike.
_TABLE: dict[str, _Cell] = {
    "NAME": _text("metadata", "name"),
    "REGISTRY": _text("spec", "registryUrl"),
    "ARCHITECTURE": _held("architecture"),
    "DISTRO": _held("distro"),
    "TARGET": lambda entry, _: next(iter(_targets(entry)), ""),
    "PHASE": lambda entry, _: _phase(entry),
    "AGE": _age("metadata", "creationTimestamp"),
}
_WIDE: dict[str, _Cell] = {
    "DIGEST": _text("status", "registryMetadata", "resolvedDigest"),
    "LAST VERIFIED": _age("status", "lastVerificationTime"),
    "NEXT VERIFICATION": _text("status", "nextVerificationTime"),
    "NEXT REASON": _text("status", "nextVerificationReason"),
    "NAMESPACE": _text("metadata", "namespace"),
    # One word each, so that awk counts them as one.
    "SIZE": lambda entry, _: size_text(_at(entry, "status", "registryMetadata", "sizeBytes")).replace(" ", ""),
    "PLATFORMS": lambda entry, _: _platforms(entry),
    "TARGETS": lambda entry, _: ",".join(_targets(entry)),
    "AVAILABLE 24H": _available("24h"),
    "AVAILABLE 30D": _available("30d"),
    "TESTED": lambda entry, now: ",".join(tested_word(target, now) for target in _tested(entry)),
    "TAGS": lambda entry, _: ",".join(map(str, _at(entry, "spec", "tags") or ())),
    "HINTS": lambda entry, _: _hints(entry),
}


def columns(form: Format, *, all_namespaces: bool) -> Cells:
    """Return the columns of a table of entries.

    Parameters
    ----------
    form
        ``table`` or ``wide``.
    all_namespaces
        Whether the namespace stands first.
    """
    found = {**_TABLE, **(_WIDE if form is Format.WIDE else {})}
    if not all_namespaces:
        return found
    return {"NAMESPACE": found.pop("NAMESPACE", _WIDE["NAMESPACE"]), **found}


def recalled(entry: _Entry) -> str | None:
    """Return why an entry's current content must not be used any more; `None` where it may."""
    conditions = _at(entry, "status", "conditions") or ()
    return next((str(c.get("message")) for c in conditions if c.get("reason") in _RECALLED), None)


def row(entry: _Entry, cells: Cells, *, now: datetime) -> Sequence[str]:
    """Return the row of an entry.

    Parameters
    ----------
    entry
        As the API answered it.
    cells
        The table's columns.
    now
        What ages are counted from.
    """
    return [cell(entry, now) for cell in cells.values()]


def without_server_fields(entry: _Entry) -> dict[str, Any]:
    """Return an entry as it can be applied again, with what says what it is in front."""
    metadata = {key: value for key, value in entry.get("metadata", {}).items() if key not in _SERVER_FIELDS}
    front = {key: entry[key] for key in ("apiVersion", "kind") if key in entry}
    rest = {key: entry[key] for key in ("spec", "status") if key in entry}
    return {**front, "metadata": metadata, **rest}
