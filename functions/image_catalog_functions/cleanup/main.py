"""Wires the cleanup function."""

from image_catalog.context import Context
from image_catalog.errors import SinkUnavailableError
from image_catalog.events import CatalogEvent, EventType, ReceivedEvent, SourceType, catalog_function, exact
from image_catalog.models import CatalogImage
from image_catalog.models.events import Ping
from image_catalog.models.names import PING_SWEEP
from image_catalog_functions.cleanup.handler import handle

TRIGGERS = (
    exact(type=SourceType.RESOURCE_UPDATED, kind="CatalogImage", payload=CatalogImage),
    exact(type=SourceType.RESOURCE_DELETED, kind="CatalogImage", payload=CatalogImage),
    exact(type=SourceType.PING, source=PING_SWEEP, payload=Ping),
)
EMITS = (EventType.IMAGE_REMOVED,)


@catalog_function(triggers=TRIGGERS, emits=EMITS, context=Context.from_environment)
async def main(event: ReceivedEvent[CatalogImage | Ping], context: Context) -> list[CatalogEvent]:
    """Clean up after the entry of the event."""
    if context.sink is None:
        raise SinkUnavailableError("K_SINK is not set; bind the function with a SinkBinding")
    return await handle(event, images=context.images, claims=context.claims, told=context.told, sink=context.sink)
