"""The types of event that the catalog speaks and listens to."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel

from image_catalog.models import artifact_events as artifacts
from image_catalog.models import events as data

__all__ = ["EVENT_DATA", "PREFIX", "PUBLIC_TYPES", "EventType", "SourceType"]

PREFIX = "com.redhat.automotive.catalog."
"""What the type of every catalog event starts with."""


class EventType(StrEnum):
    """Types of the catalog's own events."""

    PUBLISH_REQUESTED = PREFIX + "publish.requested"
    PUBLISH_REJECTED = PREFIX + "publish.rejected"
    IMAGE_PUBLISHED = PREFIX + "image.published"
    VERIFICATION_REQUESTED = PREFIX + "verification.requested"
    IMAGE_AVAILABLE = PREFIX + "image.available"
    IMAGE_UNAVAILABLE = PREFIX + "image.unavailable"
    IMAGE_FAILED = PREFIX + "image.failed"
    IMAGE_DRIFTED = PREFIX + "image.drifted"
    IMAGE_VERIFIED = PREFIX + "image.verified"
    IMAGE_REMOVED = PREFIX + "image.removed"
    IMAGE_RECALLED = PREFIX + "image.recalled"
    IMAGE_RESTORED = PREFIX + "image.restored"
    TEST_REPORTED = PREFIX + "test.reported"
    ARTIFACTS_REQUESTED = PREFIX + "artifacts.requested"
    ARTIFACTS_LOCATED = PREFIX + "artifacts.located"

    @property
    def is_private(self) -> bool:
        """Whether such events are between two who know each other, and no broker's: URLs in them open files."""
        return self in {EventType.ARTIFACTS_REQUESTED, EventType.ARTIFACTS_LOCATED}

    @property
    def short(self) -> str:
        """The type without the catalog's prefix, ``image.published`` for example."""
        return self.value.removeprefix(PREFIX)


class SourceType(StrEnum):
    """Types of the events that Knative's sources send.

    See https://knative.dev/docs/eventing/sources/apiserversource/ and
    https://knative.dev/docs/eventing/sources/ping-source/.
    """

    RESOURCE_ADDED = "dev.knative.apiserver.resource.add"
    RESOURCE_UPDATED = "dev.knative.apiserver.resource.update"
    RESOURCE_DELETED = "dev.knative.apiserver.resource.delete"
    PING = "dev.knative.sources.ping"


PUBLIC_TYPES = tuple(event_type for event_type in EventType if not event_type.is_private)
"""What subscribers can get to see."""

EVENT_DATA: dict[EventType, type[BaseModel]] = {
    EventType.PUBLISH_REQUESTED: data.PublishRequest,
    EventType.PUBLISH_REJECTED: data.PublishRejected,
    EventType.IMAGE_PUBLISHED: data.ImagePublished,
    EventType.VERIFICATION_REQUESTED: data.VerificationRequest,
    EventType.IMAGE_AVAILABLE: data.PhaseChanged,
    EventType.IMAGE_UNAVAILABLE: data.PhaseChanged,
    EventType.IMAGE_FAILED: data.PhaseChanged,
    EventType.IMAGE_DRIFTED: data.ImageDrifted,
    EventType.IMAGE_VERIFIED: data.ImageVerified,
    EventType.IMAGE_REMOVED: data.ImageRemoved,
    EventType.IMAGE_RECALLED: data.ImageRecalled,
    EventType.IMAGE_RESTORED: data.ImageRestored,
    EventType.TEST_REPORTED: data.TestReport,
    EventType.ARTIFACTS_REQUESTED: artifacts.ArtifactsRequest,
    EventType.ARTIFACTS_LOCATED: artifacts.ArtifactsLocated,
}
"""The model of each type's data."""
