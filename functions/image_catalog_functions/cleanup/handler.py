"""Lets deleted entries go, once the world has been told."""

from __future__ import annotations

from collections.abc import AsyncIterator

import structlog

from image_catalog.catalog.signing import signer
from image_catalog.catalog.told import Told
from image_catalog.cluster import CatalogImages, Claims
from image_catalog.events import CatalogEvent, EventType, ReceivedEvent, Sink, SourceType
from image_catalog.models import CatalogImage, Reference
from image_catalog.models.events import ImageRemoved, Ping
from image_catalog.models.names import ANNOTATION_REMOVED_BY, FINALIZER

__all__ = ["handle"]

_log = structlog.get_logger(__name__)


async def handle(
    event: ReceivedEvent[CatalogImage | Ping], *, images: CatalogImages, claims: Claims, told: Told, sink: Sink
) -> list[CatalogEvent]:
    """Clean up after the entry of an event, or after all that wait, on a sweep.

    Parameters
    ----------
    event
        A change of a CatalogImage, its deletion, or a tick.
    images
        Reads and writes entries.
    claims
        Turns claims into tombstones.
    told
        Remembers of which removals the world was told.
    sink
        Takes ``image.removed`` before the finalizer goes: afterwards nothing
        would be left to tell of it.

    Returns
    -------
    list of CatalogEvent
        What is still to be emitted.

    Raises
    ------
    TransientError
        Raised when the API server or the broker is in trouble that passes.
    """
    payload = event.data
    if isinstance(payload, CatalogImage):
        if event.type == SourceType.RESOURCE_DELETED:
            return await _after_deletion(event, payload, claims, told)
        if not _waits(payload):
            return []
        image = await images.get(payload.metadata.namespace, payload.metadata.name)
        if image is None or image.metadata.uid != payload.metadata.uid:
            # It went while the event was under way: told again under the same id, in case nobody was told.
            return await _tell_late(event, payload, claims)
        if _waits(image):
            await _let_go(event, image, images=images, claims=claims, told=told, sink=sink)
        return []
    waiting = 0
    async for namespace, name in _deleted(images):
        image = await images.get(namespace, name)
        if image is not None and _waits(image):
            waiting += 1
            await _let_go(event, image, images=images, claims=claims, told=told, sink=sink)
    purged = await claims.purge()
    _log.info("swept", waiting=waiting, tombstones_purged=purged)
    return []


async def _deleted(images: CatalogImages) -> AsyncIterator[tuple[str, str]]:
    """Yield namespace and name of what somebody has deleted, found by rows: they are a tenth of the entries."""
    async for row in images.rows():
        if row.is_deleted is None:
            break  # The kind is of an older version, whose rows do not say.
        if row.is_deleted:
            yield row.namespace, row.name
    else:
        return
    async for page in images.pages(outlined=True):
        for image in page.images:
            if _waits(image):
                yield image.metadata.namespace, image.metadata.name


async def _let_go(
    event: ReceivedEvent[CatalogImage | Ping],
    image: CatalogImage,
    *,
    images: CatalogImages,
    claims: Claims,
    told: Told,
    sink: Sink,
) -> None:
    await _bury(image, claims)
    await sink.send([_removed(image, event)])
    told.add(image.metadata.uid)

    def without_finalizer(fresh: CatalogImage) -> CatalogImage | None:
        if fresh.metadata.uid != image.metadata.uid or FINALIZER not in fresh.metadata.finalizers:
            return None
        finalizers = [name for name in fresh.metadata.finalizers if name != FINALIZER]
        return fresh.model_copy(update={"metadata": fresh.metadata.model_copy(update={"finalizers": finalizers})})

    await images.apply_metadata(image.metadata.namespace, image.metadata.name, without_finalizer, start=image)
    _log.info("removed", image=image.subject)


async def _after_deletion(
    event: ReceivedEvent[CatalogImage | Ping], image: CatalogImage, claims: Claims, told: Told
) -> list[CatalogEvent]:
    """Tell of an entry that was gone at once, or whose finalizer somebody else took away."""
    if image.metadata.uid in told:
        return []
    if image.metadata.deletion_timestamp is not None and await _is_buried(image, claims):
        return []
    return await _tell_late(event, image, claims)


async def _tell_late(
    event: ReceivedEvent[CatalogImage | Ping], image: CatalogImage, claims: Claims
) -> list[CatalogEvent]:
    if not await _is_claimed_since(image, claims):
        await _bury(image, claims, gone=True)
    return [_removed(image, event)]


async def _is_buried(image: CatalogImage, claims: Claims) -> bool:
    """Whether the entry's claim is a tombstone already, so that the world has been told."""
    reference = _reference(image)
    claim = await claims.get(image.metadata.namespace, reference) if reference else None
    return claim is not None and claim.tombstone is not None and claim.holder == image.metadata.name


async def _is_claimed_since(image: CatalogImage, claims: Claims) -> bool:
    """Whether somebody has asked for the image again since its entry went.

    Only of an entry that is gone: one that still waits keeps its claim from
    everybody else, and the API server writes its deletion without fractions of
    a second, so that the claim of one that lived shorter would look newer.
    """
    reference, deleted = _reference(image), image.metadata.deletion_timestamp
    claim = await claims.get(image.metadata.namespace, reference) if reference else None
    return claim is not None and deleted is not None and claim.acquired_at > deleted


async def _bury(image: CatalogImage, claims: Claims, *, gone: bool = False) -> None:
    reference, source, meta = _reference(image), image.status.source_image_build, image.metadata
    if reference is not None:  # What cannot be parsed was never claimed.
        # Removed when somebody deleted it, however late we come: what completed since is wanted.
        await claims.bury(
            meta.namespace,
            reference,
            meta.name,
            build_uid=source.uid if source else "",
            removed_at=meta.deletion_timestamp,
            gone=gone,
        )


def _reference(image: CatalogImage) -> Reference | None:
    return Reference.try_parse(image.spec.registry_url)


def _waits(image: CatalogImage) -> bool:
    return image.metadata.deletion_timestamp is not None and FINALIZER in image.metadata.finalizers


def _removed(image: CatalogImage, event: ReceivedEvent[CatalogImage | Ping]) -> CatalogEvent:
    registry = image.status.registry_metadata
    data = ImageRemoved(
        name=image.metadata.name,
        namespace=image.metadata.namespace,
        registry_url=image.spec.registry_url,
        actor=event.actor,
        digest=registry.resolved_digest if registry else image.spec.digest,
        removed_by=signer(image.metadata.annotations.get(ANNOTATION_REMOVED_BY)),
    )
    return CatalogEvent.of_image(EventType.IMAGE_REMOVED, image, data, cause=event)
