"""What of an entry is recalled: contents that somebody said must not be used any more.

The phase stays the registry's truth: a recalled image is still there. That it
must not be used is what the conditions ``Recalled`` and ``Ready`` say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from image_catalog.catalog.conditions import ConditionType, Finding
from image_catalog.catalog.plain import objects, part
from image_catalog.models import CatalogImage, CatalogImageStatus, Recall, format_time
from image_catalog.models.reasons import RecallReason

__all__ = ["READY_REASON", "contents_of", "is_recalled", "recall_findings", "recall_of", "recall_of_current"]

READY_REASON: Final = "Recalled"
"""Reason of ``Ready`` while the current content, or a part of it, is recalled."""

_CURRENT: Final = "the current content"
_PIN: Final = "the pinned content"


def contents_of(image: CatalogImage) -> dict[str, str]:
    """Return every content that an entry points to or pointed to, with what it is to the entry.

    Parameters
    ----------
    image
        The entry.

    Returns
    -------
    dict
        By digest, the current content first: reference, pin, platforms, files, then earlier versions.
    """
    found: dict[str, str] = {}
    for digest, (what, _) in _current(image).items():
        found.setdefault(digest, what)
    for version in image.status.history:
        since = f" of {format_time(version.published_at)}" if version.published_at else ""
        found.setdefault(version.digest, f"the version{since}")
    # What was recalled here stays known here, however many versions have come since.
    for digest in [*(r.digest for r in image.status.recalls), *(r.recall.digest for r in image.status.restorations)]:
        found.setdefault(digest, "an earlier content")
    return found


def recall_of_current(image: CatalogImage) -> tuple[RecallReason, str, Recall] | None:
    """Return what of an entry's current content is recalled, if anything is.

    Returns
    -------
    tuple or None
        Why the condition ``Recalled`` is true, what is recalled (``the platform linux/arm64``), and the recall.
    """
    recalled = {digest: recall for recall in reversed(image.status.recalls) for digest in recall.contents}
    for digest, (what, reason) in _current(image).items():
        if digest in recalled:
            return reason, what, recalled[digest]
    return None


def recall_findings(
    image: CatalogImage, status: CatalogImageStatus, ready: Finding | None = None
) -> dict[ConditionType, Finding]:
    """Return what the conditions ``Recalled`` and ``Ready`` shall say in an entry's next status.

    Parameters
    ----------
    image
        The entry.
    status
        Its next status, with the conditions as they are.
    ready
        What ``Ready`` would say if nothing were recalled; `None` where that does not change.

    Returns
    -------
    dict
        Nothing for an entry of which no content was ever recalled: most entries carry no such condition.
    """
    if not status.recalls and status.condition("Recalled") is None:
        return {}
    found = recall_of_current(image.model_copy(update={"status": status}))
    if found is not None:
        reason, what, recall = found
        message = (
            f"{what} ({recall.digest}) was recalled at {recall.namespace}/{recall.name} "
            f"by {recall.recalled_by}: {recall.reason}"
        )
        return {"Recalled": Finding("True", reason, message), "Ready": Finding("False", READY_REASON, message)}
    findings: dict[ConditionType, Finding] = {
        "Recalled": Finding("False", RecallReason.NOT_RECALLED, "nothing of the current content is recalled")
    }
    known, available = status.condition("Ready"), status.condition("Available")
    if ready is None and known is not None and known.reason == READY_REASON and available is not None:
        # Where nothing is recalled the two say the same.
        ready = Finding(available.status, available.reason, available.message)
    return findings if ready is None else findings | {"Ready": ready}


def is_recalled(obj: Mapping[str, Any]) -> bool:
    """Tell of an entry as JSON gave it whether its current content, or a part of it, is recalled."""
    conditions = objects(part(obj, "status").get("conditions"))
    return any(c.get("status") == "True" for c in conditions if c.get("type") == "Recalled")


def recall_of(obj: Mapping[str, Any], digest: str | None) -> dict[str, Any] | None:
    """Return the recall of one content of an entry as JSON gave it; `None` where there is none.

    Parameters
    ----------
    obj
        The entry.
    digest
        The content: of a version, a platform or a file. A recalled index holds for its platforms.

    Returns
    -------
    dict or None
        ``reason``, ``namespace``, ``name``, ``recalledBy`` and ``recalledAt``.
    """
    for recall in objects(part(obj, "status").get("recalls")):
        if digest is not None and digest in (recall.get("digest"), *(recall.get("parts") or ())):
            return {key: recall[key] for key in _TOLD if key in recall}
    return None


_TOLD: Final = ("reason", "namespace", "name", "recalledBy", "recalledAt")


def _current(image: CatalogImage) -> dict[str, tuple[str, RecallReason]]:
    """Return the contents that whoever takes the image now would get."""
    found: dict[str, tuple[str, RecallReason]] = {}
    registry = image.status.registry_metadata
    if registry is not None:
        found[registry.resolved_digest] = (_CURRENT, RecallReason.CONTENT_RECALLED)
    if image.spec.digest is not None:
        # It may have been pinned a moment ago, and no check has looked at it yet.
        found.setdefault(image.spec.digest, (_PIN, RecallReason.CONTENT_RECALLED))
    for variant in registry.platform_variants if registry is not None else ():
        platform = "/".join(filter(None, (variant.os, variant.architecture, variant.variant)))
        found.setdefault(variant.digest, (f"the platform {platform}", RecallReason.PLATFORM_RECALLED))
    for file in image.status.artifact_refs:
        if file.digest is not None:
            found.setdefault(file.digest, (f"the file {file.name or file.url}", RecallReason.ARTIFACT_RECALLED))
    return found
