"""Keeps one entry true: decides whether to ask, has it asked, and tells what was found."""

from __future__ import annotations

from datetime import datetime
from typing import TypeAlias

import structlog

from image_catalog.catalog.announcing import announce, replay
from image_catalog.catalog.budget import Urgency
from image_catalog.catalog.changes import find_change
from image_catalog.catalog.need import Need, need_of
from image_catalog.cluster import EventRecorder
from image_catalog.errors import RegistryBusyError, WriteConflictError
from image_catalog.events import CatalogEvent, ReceivedEvent
from image_catalog.models import CatalogImage, Phase
from image_catalog.models.artifact_events import ArtifactsRequest
from image_catalog.models.events import Ping, TestReport, VerificationReason, VerificationRequest
from image_catalog_functions.verify.explaining import explain
from image_catalog_functions.verify.verifier import InputsChangedError, Verifier
from image_catalog_functions.verify.work import Work

__all__ = ["Payload", "handle"]

Payload: TypeAlias = CatalogImage | VerificationRequest | TestReport | ArtifactsRequest | Ping

_log = structlog.get_logger(__name__)

_URGENCIES = {
    VerificationReason.DUE: Urgency.ROUTINE,
    VerificationReason.REGISTRY_PUSH: Urgency.SEEN,
    VerificationReason.MANUAL: Urgency.ASKED,
}

_EDITS = 3
"""How often a check starts again because its inputs were edited under it; then the broker comes again later."""


async def handle(event: ReceivedEvent[Payload], work: Work) -> list[CatalogEvent]:
    """Verify the entry of an event, if it needs it; keep a test's report; at a tick, probe registries that are due.

    Parameters
    ----------
    event
        A change of a CatalogImage, a request, the report of a test, or a tick.
    work
        The parts that do it.

    Returns
    -------
    list of CatalogEvent
        What happened; nothing when there was nothing to do.

    Raises
    ------
    TransientError
        Raised when the API server is in trouble that passes. A registry in
        trouble is no error here but a finding.
    PermanentError
        Raised for a report that is refused.
    """
    payload = event.data
    if isinstance(payload, Ping):
        await work.prober.probe_due()
        return []
    if isinstance(payload, TestReport):
        await work.reports.take(event, payload)
        return []
    if isinstance(payload, ArtifactsRequest):
        return await work.locator.locate(event, payload)
    try:
        return await _verify_entry(event, payload, verifier=work.verifier, recorder=work.recorder)
    finally:
        await work.prober.share()


async def _verify_entry(
    event: ReceivedEvent[object],
    payload: CatalogImage | VerificationRequest,
    *,
    verifier: Verifier,
    recorder: EventRecorder,
) -> list[CatalogEvent]:
    """Verify the entry that is meant, or explain a reference."""
    if isinstance(payload, CatalogImage):
        # A status write of our own comes back as an event: it is recognised without any call.
        if need_of(payload, now=verifier.clock()) is Need.NOTHING:
            return []
        namespace, name = payload.metadata.namespace, payload.metadata.name
        request = None
    elif payload.reference is not None:
        return [await explain(event, payload, checker=verifier.checker)]
    else:
        namespace, name, request = payload.namespace or "", payload.name or "", payload
    for _ in range(_EDITS):
        image = await verifier.images.get(namespace, name)
        if image is None:
            return []
        if image.metadata.deletion_timestamp is not None:
            # Nothing is checked any more; what this very event has found out before is still to be told.
            written = find_change(image.status, event.id)
            return [] if written is None else await replay(image, written, cause=event, recorder=recorder)
        try:
            return await _verify(event, image, request, verifier=verifier, recorder=recorder, now=verifier.clock())
        except InputsChangedError:
            continue
    raise WriteConflictError(f"{namespace}/{name} is edited faster than it can be checked")


async def _verify(
    event: ReceivedEvent[object],
    image: CatalogImage,
    request: VerificationRequest | None,
    *,
    verifier: Verifier,
    recorder: EventRecorder,
    now: datetime,
) -> list[CatalogEvent]:
    """Do for a fresh entry what it needs."""
    manual = request is not None and request.reason is VerificationReason.MANUAL
    # A registry's push is looked at although nothing is due, too; but nobody waits for what is found.
    pushed = request is not None and request.reason is VerificationReason.REGISTRY_PUSH
    written = find_change(image.status, event.id)
    if written is not None and (written.events or image.status.phase is not Phase.VERIFYING):
        return await replay(await verifier.keep_books(image), written, cause=event, recorder=recorder)
    # A check that this very event began, and whose function died, is taken up again at once.
    if written is None and not (manual or pushed):
        need = need_of(image, now=now)
        if need is Need.BOOKKEEPING:
            kept = await verifier.keep_books(image)
            return await announce(kept, (), before=image, cause=event, recorder=recorder)
        if need is not Need.CHECK:
            return []
    deep = request is not None and request.deep
    urgency = _URGENCIES[request.reason] if request is not None else Urgency.SEEN
    try:
        after, owed = await verifier.verify(image, cause=event, urgency=urgency, deep=deep)
    except RegistryBusyError as e:
        if manual:
            raise
        # A tick asks for it then. To have it delivered again and again would only add to the trouble, and end as a
        # dead letter: a limit is used up for hours, a broker tries for a minute.
        await verifier.postpone(image, e, pushed=pushed)
        _log.info("check left for a later tick", image=image.subject, message=e.message)
        return []
    return [] if after is None else await announce(after, owed, before=image, cause=event, recorder=recorder)
