"""The door to the broker: events in, events out, and the functions between them.

Built for ``functions/``: a function is one coroutine under `catalog_function`.
It is given a `ReceivedEvent` and returns `CatalogEvent` objects; parsing,
answers, delivery, logs, metrics and shutting down are done here.
"""

from image_catalog.events.event import (
    CatalogEvent,
    ReceivedEvent,
    event_id,
    image_attributes,
    removal_id,
    source_path,
)
from image_catalog.events.function import CatalogFunction, catalog_function
from image_catalog.events.lifecycle import FunctionContext, TokenReviewer
from image_catalog.events.logs import configure_logging, redact
from image_catalog.events.refusals import read_dead_letter, read_refusal
from image_catalog.events.sink import EventSink, Sink, open_sink, parse_overrides
from image_catalog.events.triggers import TriggerFilter, any_event, as_filters, directly, exact, prefix
from image_catalog.events.types import EVENT_DATA, PREFIX, EventType, SourceType
from image_catalog.events.wire import (
    RawEvent,
    binary_headers,
    is_batch,
    parse_batch,
    parse_event,
    to_binary,
    to_structured,
    told_as,
)

__all__ = [
    "EVENT_DATA",
    "PREFIX",
    "CatalogEvent",
    "CatalogFunction",
    "EventSink",
    "EventType",
    "FunctionContext",
    "RawEvent",
    "ReceivedEvent",
    "Sink",
    "SourceType",
    "TokenReviewer",
    "TriggerFilter",
    "any_event",
    "as_filters",
    "binary_headers",
    "catalog_function",
    "configure_logging",
    "directly",
    "event_id",
    "exact",
    "image_attributes",
    "is_batch",
    "open_sink",
    "parse_batch",
    "parse_event",
    "parse_overrides",
    "prefix",
    "read_dead_letter",
    "read_refusal",
    "redact",
    "removal_id",
    "source_path",
    "to_binary",
    "to_structured",
    "told_as",
]
