"""Wires the publish function."""

from image_catalog.context import Context
from image_catalog.events import CatalogEvent, EventType, ReceivedEvent, SourceType, catalog_function, exact
from image_catalog.models import ImageBuild
from image_catalog.models.events import PublishRequest
from image_catalog_functions.publish.handler import handle
from image_catalog_functions.publish.intake import Intake
from image_catalog_functions.publish.publisher import Publisher

TRIGGERS = (
    exact(type=SourceType.RESOURCE_ADDED, kind="ImageBuild", payload=ImageBuild),
    exact(type=SourceType.RESOURCE_UPDATED, kind="ImageBuild", payload=ImageBuild),
    exact(type=EventType.PUBLISH_REQUESTED, payload=PublishRequest),
)
EMITS = (
    EventType.IMAGE_PUBLISHED,
    EventType.PUBLISH_REJECTED,
    EventType.IMAGE_AVAILABLE,
    EventType.IMAGE_UNAVAILABLE,
    EventType.IMAGE_FAILED,
)


@catalog_function(triggers=TRIGGERS, emits=EMITS, context=Context.from_environment)
async def main(event: ReceivedEvent[ImageBuild | PublishRequest], context: Context) -> list[CatalogEvent]:
    """Publish what the event asks for."""
    intake = Intake(builds=context.builds, settings=context.settings, clock=context.clock)
    return await handle(event, intake=intake, publisher=Publisher.of(context), recorder=context.recorder)
