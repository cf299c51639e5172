"""Who changed an object: what the API has signed, and what the cluster knows of tools.

The cluster does not tell its watchers which user made a change. It keeps for
every field by which tool it was set last, the `field manager
<https://kubernetes.io/docs/reference/using-api/server-side-apply/#managers>`__.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final, TypeAlias

from image_catalog.catalog.signing import signer
from image_catalog.models.names import ANNOTATION_CHANGED_BY

__all__ = ["CATALOG", "OURS", "UNKNOWN", "Path", "author_of", "manager_of"]

Path: TypeAlias = tuple[str, ...]
"""Where a field is in an object."""

UNKNOWN: Final = "unknown"

CATALOG: Final = "image-catalog"
"""The catalog itself, by whichever of its functions."""

OURS: Final = f"{CATALOG}-"
"""What the functions' names begin with, as field managers."""

_API: Final = f"{OURS}api"


def author_of(before: Mapping[str, Any] | None, after: Mapping[str, Any], paths: Collection[Path]) -> str:
    """Return who changed an object.

    Parameters
    ----------
    before, after
        The object; `None` for one that was not there.
    paths
        What was changed.

    Returns
    -------
    str
        A user who went through the API, else ``unknown`` and the tool; one of
        the functions is its own tool.
    """
    signed = _signature(after)
    is_signed = bool(signed) and signed != _signature(before or {})
    by_api = is_signed and manager_of(after, [("metadata", "annotations", ANNOTATION_CHANGED_BY)]) == _API
    manager = manager_of(after, paths, rather=_API if by_api else "")
    if is_signed and manager in {None, _API}:
        return signer(signed) or UNKNOWN
    if manager is None:
        return UNKNOWN
    return manager if manager.startswith(OURS) else f"{UNKNOWN} ({manager})"


def manager_of(obj: Mapping[str, Any], paths: Collection[Path], *, rather: str = "") -> str | None:
    """Return the tool that last wrote any of some fields, or the object, where none of them has one any more.

    Parameters
    ----------
    obj
        The object, with its ``managedFields``.
    paths
        The fields.
    rather
        Who is meant where a field was removed, so that nobody has it, and several wrote within that second.
    """
    entries = [entry for entry in (obj.get("metadata") or {}).get("managedFields") or () if isinstance(entry, dict)]
    owners = [entry for entry in entries if any(_owns(entry.get("fieldsV1"), path) for path in paths)]
    # Who writes a status changes nothing beside it, and no status is changed by who writes the rest.
    is_of_status = any(path[0] == "status" for path in paths)
    others = [entry for entry in entries if (entry.get("subresource") == "status") == is_of_status]
    # Times have seconds: of two tools within one, the one that wrote to what was changed.
    newest = max(owners or others, key=lambda e: (str(e.get("time") or ""), e.get("manager") == rather), default=None)
    return str(newest.get("manager") or "") or None if newest is not None else None


def _owns(fields: Any, path: Path) -> bool:
    for key in path:
        if not isinstance(fields, dict) or f"f:{key}" not in fields:
            return False
        fields = fields[f"f:{key}"]
    return True


def _signature(obj: Mapping[str, Any]) -> str:
    annotations = (obj.get("metadata") or {}).get("annotations") or {}
    return str(annotations.get(ANNOTATION_CHANGED_BY) or "")
