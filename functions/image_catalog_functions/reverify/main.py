"""Wires the reverify function."""

from image_catalog.context import Context
from image_catalog.events import CatalogEvent, EventType, ReceivedEvent, SourceType, catalog_function, exact
from image_catalog.models.events import Ping
from image_catalog.models.names import PING_REVERIFY, PING_SWEEP
from image_catalog_functions.reverify.budgets import Census
from image_catalog_functions.reverify.due import request_due

TRIGGERS = tuple(exact(type=SourceType.PING, source=source, payload=Ping) for source in (PING_REVERIFY, PING_SWEEP))
EMITS = (EventType.VERIFICATION_REQUESTED, EventType.PUBLISH_REQUESTED)


@catalog_function(triggers=TRIGGERS, emits=EMITS, context=Context.from_environment)
async def main(event: ReceivedEvent[Ping], context: Context) -> list[CatalogEvent]:
    """Ask for what is due, or for what fell through."""
    if event.source == PING_SWEEP:
        from image_catalog_functions.reverify.sweep import sweep  # noqa: PLC0415 - the other tick starts without it

        return await sweep(
            event,
            images=context.images,
            builds=context.builds,
            asked=context.asked,
            census=await Census.of(context.registries, schedule=context.schedule),
            policy=context.settings.publish_policy,
            batch=context.settings.reverify_batch,
            rng=context.rng,
            clock=context.clock,
        )
    return await request_due(
        event,
        images=context.images,
        registries=context.registries,
        believed_for=context.settings.circuit_believed_for,
        batch=context.settings.reverify_batch,
        rng=context.rng,
        clock=context.clock,
    )
