"""Events as traces show them, where they are handled and where they are sent.

By https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/ and
https://opentelemetry.io/docs/specs/semconv/cloudevents/cloudevents-spans/.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from image_catalog.events.event import CatalogEvent
from image_catalog.events.wire import RawEvent
from image_catalog.tracing import NO_SPAN, Span, SpanKind, current_traceparent, is_tracing, span

__all__ = ["begin_handling", "begin_sending"]

_SYSTEM = "knative"


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
    return span(f"process {label}", kind, attributes, parent=raw.traceparent, ago=ago)


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


def _of_event(attributes: Any) -> dict[str, Any]:
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
