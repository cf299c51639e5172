"""The events that tell of recalls, made from what an entry's status says of them.

The API may die between its write and its emission, and nobody redelivers a
call. So an entry keeps of each recall whether the world was told of it, and
whoever looks at the entry next can tell it, under the same id.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from image_catalog.events import CatalogEvent, EventType, event_id, image_attributes, source_path
from image_catalog.models import CatalogImage, Change, Recall, Restoration
from image_catalog.models.events import EntryRef, EventModel, ImageRecalled, ImageRestored

__all__ = ["Telling", "rebuild_recall", "recall_event", "untold"]

Telling = tuple[EventType, str]
"""A type of event, and the id of the recall that it tells of."""


def untold(image: CatalogImage) -> list[Telling]:
    """Return what the world was not told of an entry's recalls, in the order in which it happened."""
    found: list[tuple[datetime, Telling]] = [
        (recall.recalled_at, (EventType.IMAGE_RECALLED, recall.id))
        for recall in _recalls(image)
        if recall.told_at is None
    ]
    found += [
        (restoration.restored_at, (EventType.IMAGE_RESTORED, restoration.recall.id))
        for restoration in image.status.restorations
        if restoration.told_at is None
    ]
    # Of one second, what is recalled comes before what is restored: the type's name says so.
    return [telling for _, telling in sorted(found)]


def recall_event(telling: Telling, image: CatalogImage) -> CatalogEvent | None:
    """Return the event that tells of a recall at an entry, or that it was taken back.

    Its id is made of the recall's own, so that it is the same however often,
    and by whomever, it is told. Its attribute ``digest`` is the content that it
    is about, not what the entry has now: whoever runs that content asks for it.

    Parameters
    ----------
    telling
        What is told.
    image
        The entry.

    Returns
    -------
    CatalogEvent or None
        `None` where the entry says nothing of it any more.
    """
    kind, recall_id = telling
    data, moment, digest = _data(kind, recall_id, image)
    if data is None or moment is None:
        return None
    return CatalogEvent(
        id=event_id(recall_id, kind, image.subject),
        type=kind,
        source=source_path(image.metadata.namespace, image.metadata.name),
        subject=image.subject,
        data=data,
        attributes=image_attributes(image) | {"digest": digest},
        time=moment,
    )


def rebuild_recall(kind: EventType, image: CatalogImage, change: Change) -> EventModel | None:
    """Return what an event of this type that a change owes says; `None` for what tells of no recall."""
    owed = {event.id for event in change.events}
    ids = [r.id for r in _recalls(image)] + [r.recall.id for r in image.status.restorations]
    found = (recall_id for recall_id in ids if event_id(recall_id, kind, image.subject) in owed)
    recall_id = next(found, None)
    return None if recall_id is None else _data(kind, recall_id, image)[0]


def _data(kind: EventType, recall_id: str, image: CatalogImage) -> tuple[EventModel | None, datetime | None, str]:
    common = {
        "name": image.metadata.name,
        "namespace": image.metadata.namespace,
        "registry_url": image.spec.registry_url,
    }
    if kind is EventType.IMAGE_RECALLED:
        recall = next((r for r in _recalls(image) if r.id == recall_id), None)
        if recall is not None:
            origin = EntryRef(name=recall.name, namespace=recall.namespace)
            told = ImageRecalled(
                **common, actor=recall.recalled_by, digest=recall.digest, reason=recall.reason, origin=origin
            )
            return told, recall.recalled_at, recall.digest
    if kind is EventType.IMAGE_RESTORED:
        taken_back = next((r for r in image.status.restorations if r.recall.id == recall_id), None)
        if taken_back is not None:
            return _restored(taken_back, common), taken_back.restored_at, taken_back.recall.digest
    return None, None, ""


def _restored(restoration: Restoration, common: dict[str, str]) -> ImageRestored:
    return ImageRestored(
        **common,
        actor=restoration.restored_by,
        digest=restoration.recall.digest,
        reason=restoration.reason,
        origin=EntryRef(name=restoration.name, namespace=restoration.namespace),
    )


def _recalls(image: CatalogImage) -> Iterator[Recall]:
    """Return the recalls of an entry, also those that were taken back."""
    yield from image.status.recalls
    for restoration in image.status.restorations:
        yield restoration.recall
