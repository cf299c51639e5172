"""How recalls move: what recalling and restoring write, and for which other entries a recall holds.

A recall is known by its id. Every entry that it holds for keeps it, and every
entry at which it was lifted keeps that it was: what one entry shows as taken
back is not brought back by another that has not heard of it. So the marks of all
entries follow from what the statuses say, in whatever order they were written,
and although the entry at which somebody recalled the content may be gone.

Everything here is pure, and doing it again on a fresher entry is safe.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from image_catalog.catalog.changes import RECENT_CHANGES
from image_catalog.catalog.conditions import merge_conditions
from image_catalog.catalog.recalls import contents_of, recall_findings
from image_catalog.events import EventType, event_id
from image_catalog.models import (
    CatalogImage,
    CatalogImageStatus,
    Change,
    ChangeEvent,
    Promotion,
    Recall,
    Restoration,
)

__all__ = ["MAX_RECALLS", "MAX_RESTORATIONS", "Known", "brought", "is_of", "recalled", "restored", "reworded", "told"]

MAX_RECALLS: Final = 64
"""Recalls that an entry keeps."""

MAX_RESTORATIONS: Final = 16
"""Recalls that were taken back, of which an entry keeps that they were."""


@dataclass(slots=True)
class Known:
    """The recalls that entries show, and which of them were taken back.

    Attributes
    ----------
    recalls
        By id; as the entry at which it was recalled has it, where that is there, else with the last reason.
    restorations
        By id of the recall: one for each namespace in which it was taken back.
    digests
        Ids of the recalls of each content, or of an index that it is a platform of.
    """

    recalls: dict[str, Recall] = field(default_factory=dict)
    restorations: dict[str, dict[str, Restoration]] = field(default_factory=dict)
    digests: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, images: Iterable[CatalogImage]) -> Known:
        """Gather what entries show."""
        known = cls()
        # Other reasons come from the entry itself, so that it has the last one; when it is gone, whoever heard last.
        ages: dict[str, tuple[datetime, bool]] = {}
        for image in images:
            for recall in image.status.recalls:
                age = (recall.reworded_at or recall.recalled_at, is_of(recall, image))
                if recall.id not in ages or age > ages[recall.id]:
                    known.recalls[recall.id], ages[recall.id] = recall, age
            for restoration in image.status.restorations:
                known.restorations.setdefault(restoration.recall.id, {}).setdefault(restoration.namespace, restoration)
        for recall in known.recalls.values():
            for digest in recall.contents:
                known.digests.setdefault(digest, []).append(recall.id)
        return known

    def restoration_of(self, recall: Recall, image: CatalogImage) -> Restoration | None:
        """Return what takes a recall back for an entry: where it was made, where the entry is, or on its way there."""
        taken_back = self.restorations.get(recall.id)
        if taken_back is None:
            return None
        namespaces = (recall.namespace, image.metadata.namespace, *sorted(_stages(image, recall.digest)))
        return next((taken_back[namespace] for namespace in namespaces if namespace in taken_back), None)

    def for_entry(self, image: CatalogImage) -> list[Recall]:
        """Return the recalls that hold for an entry.

        A recall holds in the namespace in which it was made, and for what was
        promoted from there, stage by stage. It touches nothing else: a tenant
        that could recall what others have could switch it off for them.
        """
        found: dict[str, Recall] = {}
        for digest in contents_of(image):
            recalls = [self.recalls[number] for number in self.digests.get(digest, ())]
            namespaces = {image.metadata.namespace, *_stages(image, digest)} if recalls else set()
            holding = [r for r in recalls if r.namespace in namespaces and self.restoration_of(r, image) is None]
            # An index and a platform of it are two contents of one entry, and one recall holds for both.
            found |= {recall.id: recall for recall in holding}
        return list(found.values())


def is_of(recall: Recall, image: CatalogImage) -> bool:
    """Tell whether a recall was made at this very entry."""
    return recall.uid == image.metadata.uid and recall.namespace == image.metadata.namespace


def recalled(image: CatalogImage, recall: Recall, *, now: datetime) -> CatalogImageStatus | None:
    """Return the status of an entry at which a content is recalled; `None` where there is room for no more recalls."""
    recalls = _fitting([recall, *image.status.recalls], image)
    if recall not in recalls:
        return None
    return _changed(image, recalls, image.status.restorations, [(EventType.IMAGE_RECALLED, recall.id)], now=now)


def reworded(image: CatalogImage, digest: str, reason: str, *, by: str, now: datetime) -> CatalogImageStatus | None:
    """Return the status of an entry whose own recall of a content has another reason now; `None` where it has not."""
    said = {"reason": reason, "reworded_by": by, "reworded_at": now}
    recalls = [
        recall.model_copy(update=said)
        if recall.digest == digest and is_of(recall, image) and recall.reason != reason
        else recall
        for recall in image.status.recalls
    ]
    if recalls == image.status.recalls:
        return None
    return _changed(image, recalls, image.status.restorations, (), now=now)


def restored(image: CatalogImage, restorations: Iterable[Restoration], *, now: datetime) -> CatalogImageStatus:
    """Return the status of an entry at which recalls are taken back."""
    lifted = list(restorations)
    ids = {restoration.recall.id for restoration in lifted}
    recalls = [recall for recall in image.status.recalls if recall.id not in ids]
    told_of = [(EventType.IMAGE_RESTORED, restoration.recall.id) for restoration in lifted]
    return _changed(image, recalls, [*lifted, *image.status.restorations], told_of, now=now)


def brought(image: CatalogImage, known: Known, *, now: datetime) -> CatalogImageStatus | None:
    """Return the status of an entry with the recalls that hold for it.

    Parameters
    ----------
    image
        The entry.
    known
        What all entries show.
    now
        Time of the write.

    Returns
    -------
    CatalogImageStatus or None
        `None` when it says so already.
    """
    status = image.status
    kept, lifted = [], []
    for recall in status.recalls:
        restoration = known.restoration_of(recall, image)
        if restoration is not None:
            lifted.append(restoration.model_copy(update={"recall": recall, "told_at": None}))
        else:
            kept.append(_worded_as(known.recalls.get(recall.id, recall), recall))
    have = {recall.id for recall in status.recalls}
    added = [r.model_copy(update={"told_at": None}) for r in known.for_entry(image) if r.id not in have]
    recalls = _fitting([*added, *kept], image)
    if recalls == status.recalls and not lifted:
        return None
    told_of = [(EventType.IMAGE_RECALLED, recall.id) for recall in added if recall in recalls]
    told_of += [(EventType.IMAGE_RESTORED, restoration.recall.id) for restoration in lifted]
    return _changed(image, recalls, [*lifted, *status.restorations], told_of, now=now)


def told(image: CatalogImage, ids: Iterable[tuple[EventType, str]], *, now: datetime) -> CatalogImageStatus | None:
    """Return the status of an entry of whose recalls the world was told.

    Parameters
    ----------
    image
        The entry.
    ids
        What was told: a recall of this id, or that it was taken back.
    now
        When.

    Returns
    -------
    CatalogImageStatus or None
        `None` when it says so already.
    """
    done = set(ids)
    status = image.status
    recalls = [_told(recall, done, now=now) for recall in status.recalls]
    restorations = []
    for restoration in status.restorations:
        update: dict[str, object] = {"recall": _told(restoration.recall, done, now=now)}
        if restoration.told_at is None and (EventType.IMAGE_RESTORED, restoration.recall.id) in done:
            update["told_at"] = now
        restorations.append(restoration.model_copy(update=update))
    if recalls == status.recalls and restorations == status.restorations:
        return None
    return status.model_copy(update={"recalls": recalls, "restorations": restorations})


def _worded_as(other: Recall, recall: Recall) -> Recall:
    """Return a recall with the reason that it has at another entry, and whose that is."""
    if recall.reason == other.reason:
        return recall
    words = {"reason": other.reason, "reworded_by": other.reworded_by, "reworded_at": other.reworded_at}
    return recall.model_copy(update=words)


def _told(recall: Recall, done: set[tuple[EventType, str]], *, now: datetime) -> Recall:
    if recall.told_at is None and (EventType.IMAGE_RECALLED, recall.id) in done:
        return recall.model_copy(update={"told_at": now})
    return recall


def _stages(image: CatalogImage, digest: str) -> set[str]:
    """Return the namespaces that a content of an entry came through before it was promoted here."""
    status = image.status
    found: set[str] = set()
    past = {version.digest for version in status.history}
    if digest not in past or (status.registry_metadata and status.registry_metadata.resolved_digest == digest):
        found |= _namespaces(status.promoted_from)
    for version in status.history:
        if version.digest == digest:
            found |= _namespaces(version.promoted_from)
    return found


def _namespaces(promotion: Promotion | None) -> set[str]:
    if promotion is None:
        return set()
    return {promotion.namespace, *(stage.namespace for stage in promotion.earlier)}


def _fitting(recalls: list[Recall], image: CatalogImage) -> list[Recall]:
    """Return the recalls that an entry has room for: those of contents that it has left behind go first."""
    if len(recalls) <= MAX_RECALLS:
        return recalls
    bare = image.status.model_copy(update={"recalls": [], "restorations": []})
    present = contents_of(image.model_copy(update={"status": bare}))
    behind = [recall for recall in recalls if present.keys().isdisjoint(recall.contents)]
    leaving = {recall.id for recall in behind[-(len(recalls) - MAX_RECALLS) :]} if behind else set()
    left = [recall for recall in recalls if recall.id not in leaving]
    return left[-MAX_RECALLS:]


def _changed(
    image: CatalogImage,
    recalls: list[Recall],
    restorations: list[Restoration],
    told_of: Iterable[tuple[EventType, str]],
    *,
    now: datetime,
) -> CatalogImageStatus:
    """Return an entry's status with other recalls, what that makes of its conditions, and the events that it owes."""
    before = image.status
    status = before.model_copy(update={"recalls": recalls, "restorations": restorations[:MAX_RESTORATIONS]})
    # Nobody has looked at a spec that was edited meanwhile: the conditions go on to speak of the one before.
    generation = before.observed_generation or image.metadata.generation
    findings = recall_findings(image, status)
    actors = {(EventType.IMAGE_RECALLED, recall.id): recall.recalled_by for recall in recalls}
    actors |= {(EventType.IMAGE_RESTORED, r.recall.id): r.restored_by for r in restorations}
    conditions = merge_conditions(before.conditions, findings, generation=generation, now=now)
    changes = [
        Change(
            cause=cause,
            events=[ChangeEvent(type=kind.short, id=event_id(cause, kind, image.subject))],
            actor=actors[kind, cause],
            time=now,
        )
        for kind, cause in told_of
    ]
    changes += before.recent_changes
    owing = [change for change in changes if change.events][:RECENT_CHANGES]
    # The mark of a check that is under way stays: it is still under way.
    kept = [change for change in changes if change in owing or not change.events]
    return status.model_copy(update={"conditions": conditions, "recent_changes": kept})
