"""Traces: what became of an event, call by call and function by function.

Off unless ``OTEL_EXPORTER_OTLP_ENDPOINT`` is set: then nothing of OpenTelemetry
is imported, and `span` gives back `NO_SPAN`. There is one tracing per process,
as there is one log: every layer may add spans to it.
"""

from image_catalog.tracing.settings import TraceTarget, trace_target
from image_catalog.tracing.spans import (
    NO_SPAN,
    Span,
    SpanKind,
    Tracing,
    current_traceparent,
    install,
    is_tracing,
    span,
    trace_id_of,
    uninstall,
)
from image_catalog.tracing.starting import start_tracing, stop_tracing

__all__ = [
    "NO_SPAN",
    "Span",
    "SpanKind",
    "TraceTarget",
    "Tracing",
    "current_traceparent",
    "install",
    "is_tracing",
    "span",
    "start_tracing",
    "stop_tracing",
    "trace_id_of",
    "trace_target",
    "uninstall",
]
