"""Wires the audit function."""

from typing import Any

from image_catalog.context import Context
from image_catalog.events import CatalogEvent, EventType, ReceivedEvent, any_event, catalog_function
from image_catalog_functions.audit.handler import handle

TRIGGERS = (any_event(),)
EMITS: tuple[EventType, ...] = ()


@catalog_function(triggers=TRIGGERS, emits=EMITS, context=Context.from_environment)
async def main(event: ReceivedEvent[Any], context: Context) -> list[CatalogEvent]:
    """Make a dead letter visible."""
    return await handle(event, images=context.images, builds=context.builds, recorder=context.recorder)
