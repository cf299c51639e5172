"""Events as traces show them, where they are handled and where they are sent.

By https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/ and
https://opentelemetry.io/docs/specs/semconv/cloudevents/cloudevents-spans/.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import orjson

from image_catalog.errors import CatalogError
from image_catalog.events.event import CatalogEvent
from image_catalog.events.types import SourceType
from image_catalog.events.wire import RawEvent, is_sampled, valid_traceparent
from image_catalog.models.kubernetes import parse_time
from image_catalog.models.names import ANNOTATION_PUBLICATION
from image_catalog.tracing import NO_SPAN, Span, SpanKind, current_traceparent, is_tracing, span

__all__ = ["begin_handling", "begin_sending"]

_SYSTEM = "knative"

_CHANGES = frozenset({SourceType.RESOURCE_ADDED, SourceType.RESOURCE_UPDATED})

_FRESH = timedelta(minutes=1)
"""How long after a publication the changes of its entry are taken for its own: sources and brokers take seconds."""


def begin_handling(raw: RawEvent, *, function: str, label: str, direct: bool, ago: timedelta) -> Span:
    """Begin the span of a delivery, as a child of whatever the event comes from.

    Parameters
    ----------
    raw
        The event.
    function
        Who handles it.
    label
        The event's type where it is one of those that are known: names of spans are few.
    direct
        Whether the caller waits for the outcome.
    ago
        How long ago the delivery began.
    """
    if not is_tracing():
        return NO_SPAN
    attributes = {
        **_of_event(raw.attributes),
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.message.body.size": len(raw.data),
        "faas.name": function,
    }
    kind = SpanKind.SERVER if direct else SpanKind.CONSUMER
    # What carries a change may have a trace of its own; the publication's is the one that somebody asked for.
    return span(f"process {label}", kind, attributes, parent=_publication_of(raw) or _trace_of(raw), ago=ago)


def begin_sending(event: CatalogEvent) -> Span:
    """Begin the span of an event on its way to the sink, which is what it carries on.

    Parameters
    ----------
    event
        The event.
    """
    if not is_tracing():
        return NO_SPAN
    attributes = {
        **_of_event({"id": event.id, "source": event.source, "type": event.type.value, "subject": event.subject}),
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
    }
    # A function's own span stands between its cause and what it emits; a job's event has its cause alone.
    parent = None if current_traceparent() else event.traceparent
    return span(f"send {event.type.value}", SpanKind.PRODUCER, attributes, parent=parent)


def _trace_of(raw: RawEvent) -> str | None:
    """Return the trace that an event came with, unless it says no more than that a carrier keeps none.

    Knative's client up to 1.18 sends a ``traceparent`` also while its own tracing is off, and that one is never
    sampled: taken at its word, nothing would be traced behind it. A sender that has decided says so in the attribute.
    """
    decided = is_sampled(raw.traceparent) or valid_traceparent(raw.attributes.get("traceparent"))
    return raw.traceparent if decided else None


def _publication_of(raw: RawEvent) -> str | None:
    """Return the trace of the publication that a changed entry comes from.

    An ApiServerSource knows nothing of whoever made a change. A publication says it on the entry, where it stays: what
    happens to the entry later has nothing to do with it any more.
    """
    if raw.attributes["type"] not in _CHANGES or raw.attributes.get("kind") != "CatalogImage" or raw.time is None:
        return None
    try:
        record = orjson.loads(raw.json()["metadata"]["annotations"][ANNOTATION_PUBLICATION])
        applied, traceparent = parse_time(record["appliedAt"]), valid_traceparent(record.get("traceparent"))
    except (CatalogError, orjson.JSONDecodeError, LookupError, TypeError, AttributeError):
        return None
    is_fresh = isinstance(applied, datetime) and abs(raw.time - applied) <= _FRESH
    return traceparent if is_fresh else None


def _of_event(attributes: Mapping[str, str]) -> dict[str, Any]:
    return {
        "messaging.system": _SYSTEM,
        "messaging.destination.name": attributes["type"],
        "messaging.message.id": attributes["id"],
        "cloudevents.event_id": attributes["id"],
        "cloudevents.event_source": attributes["source"],
        "cloudevents.event_spec_version": "1.0",
        "cloudevents.event_type": attributes["type"],
        "cloudevents.event_subject": attributes.get("subject"),
    }
