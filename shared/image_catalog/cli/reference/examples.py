"""An event of every type, as a subscriber gets it: made by the code that makes the real ones, of an invented entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from image_catalog.events import CatalogEvent, EventType, ReceivedEvent, to_structured
from image_catalog.models import CatalogImage, Phase
from image_catalog.models.events import (
    BuildRef,
    ChangeKind,
    EntryRef,
    EventModel,
    ImageDrifted,
    ImagePublished,
    ImageRecalled,
    ImageRemoved,
    ImageRestored,
    ImageVerified,
    PhaseChanged,
    PhaseReason,
    PublishRejected,
    PublishRequest,
    RejectionReason,
    Step,
    StepStatus,
    TestReport,
    VerificationReason,
    VerificationRequest,
)
from image_catalog.models.evidence import TestResult

__all__ = ["example_of"]

_TIME: Final = datetime(2026, 11, 21, 10, 0, 2, tzinfo=UTC)
_CONTENT: Final = "sha256:" + "4a" * 32
_EARLIER: Final = "sha256:" + "1f" * 32
_REFERENCE: Final = "quay.io/acme/autosd:cs9-rpi4"
_OWNER: Final = "system:serviceaccount:acme-ci:nightly"
_ENTRY: Final = {"name": "autosd-rpi4", "namespace": "default", "registry_url": _REFERENCE}
_NAME: Final = {"name": _ENTRY["name"], "namespace": _ENTRY["namespace"]}
_BUILD: Final = BuildRef(name="autosd-rpi4-20261121", namespace="default")
_ASKED: Final = Step(name="Registry accessibility", status=StepStatus.OK, message="quay.io answered", milliseconds=41)

_IMAGE: Final = CatalogImage.from_object(
    {
        "metadata": {
            "name": _ENTRY["name"],
            "namespace": _ENTRY["namespace"],
            "uid": "0f0c7c1e-3f6f-4f5e-9d0a-1c2b3a4d5e6f",
        },
        "spec": {"registryUrl": _REFERENCE, "digest": _CONTENT},
        "status": {
            "phase": "Available",
            "effectiveMetadata": {"architecture": "arm64", "distro": "cs9", "targets": ["raspberry-pi", "qemu"]},
        },
    }
)

_DATA: Final[Mapping[EventType, EventModel]] = {
    EventType.PUBLISH_REQUESTED: PublishRequest(registry_url=_REFERENCE, tags=["nightly"]),
    EventType.PUBLISH_REJECTED: PublishRejected(
        **_ENTRY,
        actor=_OWNER,
        reason=RejectionReason.IMAGE_NOT_FOUND,
        message="quay.io/acme/autosd has no tag cs9-rpi4",
        steps=[_ASKED.model_copy(update={"status": StepStatus.FAILED, "message": "the registry answered 404"})],
    ),
    EventType.IMAGE_PUBLISHED: ImagePublished(
        **_ENTRY,
        actor=_OWNER,
        change=ChangeKind.VERSION,
        digest=_CONTENT,
        previous_digest=_EARLIER,
        source_image_build=_BUILD,
        steps=[_ASKED],
    ),
    EventType.VERIFICATION_REQUESTED: VerificationRequest(
        name="autosd-rpi4", namespace="default", registry_url=_REFERENCE, reason=VerificationReason.DUE
    ),
    EventType.IMAGE_AVAILABLE: PhaseChanged(
        **_ENTRY,
        previous_phase=Phase.VERIFYING,
        reason=PhaseReason.REGISTRY_ACCESSIBLE,
        message="the registry has the image",
        digest=_CONTENT,
    ),
    EventType.IMAGE_UNAVAILABLE: PhaseChanged(
        **_ENTRY,
        previous_phase=Phase.AVAILABLE,
        reason=PhaseReason.REGISTRY_UNREACHABLE,
        message="quay.io does not answer: connection refused",
        digest=_CONTENT,
    ),
    EventType.IMAGE_FAILED: PhaseChanged(
        **_ENTRY,
        previous_phase=Phase.VERIFYING,
        reason=PhaseReason.MANIFEST_INVALID,
        message="the manifest is no JSON",
        digest=_CONTENT,
    ),
    EventType.IMAGE_DRIFTED: ImageDrifted(
        **_ENTRY, pinned_digest=_EARLIER, registry_digest=_CONTENT, pinned_still_there=True
    ),
    EventType.IMAGE_VERIFIED: ImageVerified(
        **_ENTRY,
        actor="alice",
        phase=Phase.AVAILABLE,
        reason=PhaseReason.REGISTRY_ACCESSIBLE,
        message="the registry has the image",
        resolved_digest=_CONTENT,
        size_bytes=734_003_200,
        layer_count=12,
        last_verified=_TIME,
        steps=[_ASKED],
    ),
    EventType.IMAGE_REMOVED: ImageRemoved(**_ENTRY, actor="alice", digest=_CONTENT, removed_by="alice"),
    EventType.IMAGE_RECALLED: ImageRecalled(
        **_ENTRY, actor="alice", digest=_CONTENT, reason="the camera driver hangs", origin=EntryRef(**_NAME)
    ),
    EventType.IMAGE_RESTORED: ImageRestored(
        **_ENTRY, actor="alice", digest=_CONTENT, reason="it was the cable", origin=EntryRef(**_NAME)
    ),
    EventType.TEST_REPORTED: TestReport(
        **_ENTRY,
        digest=_CONTENT,
        target="raspberry-pi",
        result=TestResult.PASSED,
        report_url="https://lab.example.com/runs/4711",
        at=_TIME,
    ),
}


_OUTSIDE: Final = {EventType.PUBLISH_REQUESTED: "/ci/nightly", EventType.TEST_REPORTED: "/lab/berlin"}
"""Sources of what systems outside send: they give an id of their own, and none of the catalog's attributes."""
_BY_NAME: Final = {EventType.PUBLISH_REJECTED, EventType.VERIFICATION_REQUESTED}
"""What is sent without the entry at hand."""


def example_of(event_type: EventType) -> dict[str, Any]:
    """Return an event in the JSON format of CloudEvents.

    Parameters
    ----------
    event_type
        Which one; a type that no subscriber sees has none.
    """
    data = _DATA[event_type]
    if event_type in _OUTSIDE:
        return {
            "specversion": "1.0",
            "id": "run-4711",
            "source": _OUTSIDE[event_type],
            "type": event_type.value,
            "datacontenttype": "application/json",
            "data": data.model_dump(mode="json", by_alias=True, exclude_unset=True),
        }
    cause = ReceivedEvent(id="run-4711", source="/ci/nightly", type=event_type, data=None)
    if event_type in _BY_NAME:
        event = CatalogEvent.of_name(event_type, _ENTRY["namespace"], _ENTRY["name"], data, cause=cause)
    else:
        event = CatalogEvent.of_image(event_type, _IMAGE, data, cause=cause)
    return to_structured(replace(event, time=_TIME))
