"""Wires the verify function."""

from image_catalog.context import Context
from image_catalog.events import CatalogEvent, EventType, ReceivedEvent, SourceType, catalog_function, directly, exact
from image_catalog.models import CatalogImage
from image_catalog.models.artifact_events import ArtifactsRequest
from image_catalog.models.events import Ping, TestReport, VerificationRequest
from image_catalog.models.names import PING_REVERIFY
from image_catalog_functions.verify.handler import Payload, handle
from image_catalog_functions.verify.work import Work

TRIGGERS = (
    exact(type=SourceType.RESOURCE_ADDED, kind="CatalogImage", payload=CatalogImage),
    exact(type=SourceType.RESOURCE_UPDATED, kind="CatalogImage", payload=CatalogImage),
    exact(type=EventType.VERIFICATION_REQUESTED, payload=VerificationRequest),
    exact(type=EventType.TEST_REPORTED, payload=TestReport),
    directly(type=EventType.ARTIFACTS_REQUESTED, payload=ArtifactsRequest),
    exact(type=SourceType.PING, source=PING_REVERIFY, payload=Ping),
)
EMITS = (
    EventType.IMAGE_AVAILABLE,
    EventType.IMAGE_UNAVAILABLE,
    EventType.IMAGE_FAILED,
    EventType.IMAGE_DRIFTED,
    EventType.IMAGE_PUBLISHED,
    EventType.IMAGE_VERIFIED,
    EventType.ARTIFACTS_LOCATED,
)


@catalog_function(triggers=TRIGGERS, emits=EMITS, context=Context.from_environment)
async def main(event: ReceivedEvent[Payload], context: Context) -> list[CatalogEvent]:
    """Verify the entry of the event, if it needs it; keep a test's report, open files; at a tick, probe registries."""
    return await handle(event, Work.of(context))
