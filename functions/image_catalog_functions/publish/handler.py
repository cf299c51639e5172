"""Has published what an event asks for, and answers for what is refused."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import structlog

from image_catalog.catalog.announcing import replay
from image_catalog.catalog.changes import find_change
from image_catalog.catalog.steps import StepLog
from image_catalog.catalog.wishes import RefusedError, Wish
from image_catalog.cluster import IMAGE_BUILD, EventRecorder, ObjectReference
from image_catalog.errors import PermanentError, TransientError
from image_catalog.events import CatalogEvent, EventType, ReceivedEvent
from image_catalog.models import ImageBuild
from image_catalog.models.events import (
    BuildRef,
    EntryRef,
    PublishRejected,
    PublishRequest,
    RejectionReason,
    StepStatus,
)
from image_catalog.models.reference import without_credentials
from image_catalog_functions.publish.found import Found
from image_catalog_functions.publish.intake import Intake
from image_catalog_functions.publish.publisher import Publisher

__all__ = ["handle"]

_log = structlog.get_logger(__name__)

_REFUSED_AT: dict[str, str] = {
    RejectionReason.BUILD_NOT_FOUND: "ImageBuild status",
    RejectionReason.BUILD_NOT_COMPLETED: "ImageBuild status",
    RejectionReason.NO_REGISTRY_LOCATION: "Registry location",
    RejectionReason.INVALID_REFERENCE: "Registry URL",
    RejectionReason.ALREADY_EXISTS: "Catalog image",
    RejectionReason.NAME_TAKEN: "Catalog image",
    RejectionReason.OLDER_THAN_CURRENT: "Catalog image",
    RejectionReason.PINNED_BY_USER: "Catalog image",
}
"""The step that a refusal ends at, where the step itself did not come to say so."""


async def handle(
    event: ReceivedEvent[ImageBuild | PublishRequest],
    *,
    intake: Intake,
    publisher: Publisher,
    recorder: EventRecorder,
) -> list[CatalogEvent]:
    """Publish what an event asks for.

    Parameters
    ----------
    event
        A change of an ImageBuild, or a request.
    intake
        Turns events into wishes.
    publisher
        Publishes wishes.
    recorder
        Writes Kubernetes Events on a build whose publication is refused.

    Returns
    -------
    list of CatalogEvent
        What happened; nothing when there was nothing to do.

    Raises
    ------
    TransientError
        Raised when the registry or the API server is in trouble that passes.
    """
    steps = StepLog()
    wish: Wish | None = None
    told: list[CatalogEvent] = []
    try:
        wish, found = await intake.read(event), None
        if wish is not None and not wish.explicit:
            found = await publisher.find(wish)
            if found is not None and (moved := found.moved_since(event)) is not None:
                # A build's image has an entry again also when a person made the one that it had stand for another.
                told = await replay(*moved, cause=event, recorder=recorder)
            wish, found = await _look_up(wish, found, event, intake=intake, publisher=publisher)
        return told if wish is None else [*told, *await publisher.publish(wish, found=found, cause=event, steps=steps)]
    except TransientError as e:
        if told:
            return told  # The build, which has no entry, is offered again by the sweep.
        e.details["steps"] = [step.to_dict() for step in steps.done]
        raise
    except PermanentError as e:
        if wish is None and (told := await _tell_again(event, publisher=publisher, recorder=recorder)):
            return told
        # A refusal is an outcome and no failed delivery, so the broker is told that all is well.
        return [
            *told,
            await _reject(event, wish, e, steps, recorder=recorder, default_namespace=intake.default_namespace),
        ]


async def _look_up(
    wish: Wish, found: Found | None, event: ReceivedEvent[object], *, intake: Intake, publisher: Publisher
) -> tuple[Wish | None, Found | None]:
    """Return what a build's wish still asks for, if anything, and what the catalog has of its image."""
    if found is not None and found.settles(wish, cause=event):
        return None, found
    if found is not None and found.written_by(event) is not None:
        # What this event has written already is told whatever has become of the build since.
        return wish, found
    confirmed = await intake.confirm(wish)
    if confirmed is None or confirmed.build == wish.build:
        return confirmed, found
    # It ran again since, and of that run its own event has told, or will.
    found = await publisher.find(confirmed)
    return None if found is not None and found.settles(confirmed, cause=event) else confirmed, found


async def _tell_again(
    event: ReceivedEvent[ImageBuild | PublishRequest], *, publisher: Publisher, recorder: EventRecorder
) -> list[CatalogEvent]:
    """Return what an earlier delivery of a request owes whose build is gone by now: the entry has the build's name."""
    payload = event.data
    if isinstance(payload, ImageBuild) or payload.image_build is None:
        return []
    build = payload.image_build
    image = await publisher.images.get(payload.namespace or build.namespace, payload.name or build.name)
    written = find_change(image.status, event.id) if image is not None else None
    if image is None or written is None:
        return []
    return await replay(image, written, cause=event, recorder=recorder)


async def _reject(
    event: ReceivedEvent[ImageBuild | PublishRequest],
    wish: Wish | None,
    error: PermanentError,
    steps: StepLog,
    *,
    recorder: EventRecorder,
    default_namespace: str,
) -> CatalogEvent:
    payload = event.data
    if all(step.status is not StepStatus.FAILED for step in steps.done):
        name_of_step = _REFUSED_AT.get(error.reason, "Request")
        steps.add(name_of_step, f"{error.reason}: {error.message}", StepStatus.FAILED)
    if isinstance(payload, ImageBuild):
        build: BuildRef | None = BuildRef(name=payload.metadata.name, namespace=payload.metadata.namespace)
        name: str | None = payload.metadata.name
        namespace, url = payload.metadata.namespace, payload.published_reference
    else:
        build, url = payload.image_build, payload.registry_url
        name = payload.name or (build.name if build else None)
        namespace = payload.namespace or (build.namespace if build else default_namespace)
    data = PublishRejected(
        name=name,
        namespace=namespace,
        registry_url=without_credentials(url) if url else None,
        actor=event.actor,
        reason=RejectionReason(error.reason) if error.reason in set(RejectionReason) else RejectionReason.INVALID,
        message=error.message,
        source_image_build=build,
        existing=_existing(error),
        steps=steps.done,
    )
    cause = _once_a_run(event, wish, data.reason)
    rejected = CatalogEvent.of_name(EventType.PUBLISH_REJECTED, namespace, name, data, cause=cause)
    _log.warning("publication refused", name=name, namespace=namespace, reason=data.reason, error=error.message)
    if build is not None:
        uid = wish.build.uid if wish is not None and wish.build is not None else ""
        about = ObjectReference(IMAGE_BUILD.api_version, IMAGE_BUILD.kind, build.namespace, build.name, uid)
        message = f"not published: {error.message}"
        await recorder.record(about, event_id=rejected.id, reason=data.reason, message=message, type="Warning")
    return rejected


def _existing(error: PermanentError) -> EntryRef | None:
    if not isinstance(error, RefusedError) or error.existing is None:
        return None
    namespace, name = error.existing
    return EntryRef(namespace=namespace, name=name)


def _once_a_run(
    event: ReceivedEvent[ImageBuild | PublishRequest], wish: Wish | None, reason: RejectionReason
) -> ReceivedEvent[ImageBuild | PublishRequest]:
    """Give a build's refusal one id, whichever event or sweep offers the build, and however often."""
    if wish is None or wish.explicit or wish.build is None:
        return event
    run = f"{wish.build.uid}\n{wish.build.completion_time}\n{reason}"
    return replace(event, id=f"refused-{hashlib.sha256(run.encode()).hexdigest()}")
