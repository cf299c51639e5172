"""Wires the audit function."""

from typing import Any

from image_catalog.context import Context
from image_catalog.events import (
    PREFIX,
    CatalogEvent,
    EventType,
    ReceivedEvent,
    SourceType,
    any_event,
    catalog_function,
    exact,
    prefix,
)
from image_catalog_functions.audit.handler import handle
from image_catalog_functions.audit.history import History
from image_catalog_functions.audit.letters import Letters

TRIGGERS = (
    prefix(type=PREFIX, payload=None),
    exact(type=SourceType.RESOURCE_ADDED, kind="CatalogImage", payload=None),
    exact(type=SourceType.RESOURCE_UPDATED, kind="CatalogImage", payload=None),
    exact(type=SourceType.RESOURCE_DELETED, kind="CatalogImage", payload=None),
    any_event(),
)
EMITS: tuple[EventType, ...] = ()


@catalog_function(triggers=TRIGGERS, emits=EMITS, context=Context.from_environment)
async def main(event: ReceivedEvent[Any], context: Context) -> list[CatalogEvent]:
    """Keep the event, or make a dead letter visible."""
    return await handle(event, history=History.of(context), letters=Letters.of(context))
