"""Spans by OpenTelemetry's SDK, carried to a collector over OTLP/HTTP; imported only where tracing is on.

Spans leave in batches by a thread of the SDK's. What a full queue or a collector
that does not answer costs is spans, never an event's time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
import uuid
from collections.abc import Mapping
from contextvars import Token
from datetime import timedelta
from typing import Any, Final, Self

import structlog
from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import StatusCode

from image_catalog import __version__
from image_catalog.errors import CatalogError
from image_catalog.redaction import redact_text
from image_catalog.tracing.spans import SpanKind

__all__ = ["ExportedTracing"]

_log = structlog.get_logger(__name__)

FLUSH_TIMEOUT: Final = timedelta(seconds=2)
"""How long leaving waits for a collector: with drain and closing before it, less than gunicorn's patience of 30 s."""

_LONGEST_TEXT: Final = 1024
"""Characters of an attribute: senders choose ids and subjects, and a header holds 64 KiB."""

_KINDS: Final = {
    SpanKind.SERVER: trace.SpanKind.SERVER,
    SpanKind.CLIENT: trace.SpanKind.CLIENT,
    SpanKind.PRODUCER: trace.SpanKind.PRODUCER,
    SpanKind.CONSUMER: trace.SpanKind.CONSUMER,
}


class ExportedTracing:
    """Makes spans and exports them.

    Parameters
    ----------
    exporter
        Is given the spans that have ended, batch by batch.
    resource
        What the process is.
    """

    def __init__(self, *, exporter: SpanExporter, resource: Resource) -> None:
        self._exporter = exporter
        # Not at the interpreter's end too: the SDK would wait there for as long as a collector lets it.
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("image_catalog", __version__)

    @classmethod
    def open(cls, url: str, *, service: str, environment: Mapping[str, str]) -> Self:
        """Export to a collector.

        Parameters
        ----------
        url
            Its endpoint for traces.
        service
            What traces call the process.
        environment
            The process's variables.
        """
        _tell_in_our_log()
        return cls(exporter=OTLPSpanExporter(endpoint=url), resource=_resource(service, environment))

    def begin(
        self,
        name: str,
        kind: SpanKind,
        attributes: Mapping[str, Any],
        *,
        parent: str | None,
        ago: timedelta,
        is_believed: bool,
    ) -> _ExportedSpan:
        """Return a new span; see `image_catalog.tracing.span`."""
        context = None if parent is None else _remote(parent, may_be_kept=is_believed or self._keeps_one(name))
        started = time.time_ns() - round(ago.total_seconds() * 1e9) if ago else None
        span = self._tracer.start_span(
            name,
            context=context,
            kind=_KINDS[kind],
            attributes=_cleaned(attributes),
            start_time=started,
            record_exception=False,
            set_status_on_exception=False,
        )
        return _ExportedSpan(span)

    def _keeps_one(self, name: str) -> bool:
        """Return what the sampler says of a trace that begins now."""
        # By an id of our own: ratios look at nothing else, and whoever is not believed has chosen theirs.
        trace_id = self._provider.id_generator.generate_trace_id()
        return self._provider.sampler.should_sample(Context(), trace_id, name).decision is Decision.RECORD_AND_SAMPLE

    def current(self) -> str | None:
        """Return the trace context of the span under way."""
        return _traceparent(trace.get_current_span())

    async def aclose(self) -> None:
        """Send what has not been sent; what a collector does not take in time is lost."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def shut_down() -> None:
            self._provider.shutdown()
            with contextlib.suppress(RuntimeError):  # the loop may have ended meanwhile
                loop.call_soon_threadsafe(done.set)

        # A thread of its own, which nobody waits for: an executor's would keep the process from leaving.
        threading.Thread(target=shut_down, name="flush-traces", daemon=True).start()
        try:
            async with asyncio.timeout(FLUSH_TIMEOUT.total_seconds()):
                await done.wait()
        except TimeoutError:
            _log.warning("traces not sent", message="the collector did not take the last ones in time")
            # The threads that are left have nothing to say that is not said, and try nothing again.
            _tell_nothing()
            self._exporter.shutdown()


class _ExportedSpan:
    __slots__ = ("_span", "_token")

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self._token: Token[Context] | None = None

    @property
    def traceparent(self) -> str | None:
        return _traceparent(self._span)

    def facts(self) -> Mapping[str, str]:
        context = self._span.get_span_context()
        return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}

    def rename(self, name: str) -> None:
        if self._span.is_recording():
            self._span.update_name(name)

    def set(self, attributes: Mapping[str, Any]) -> None:
        # One that is not sampled, or has ended, is spared what nobody will see.
        if self._span.is_recording():
            self._span.set_attributes(_cleaned(attributes))

    def fail(self, kind: str, message: str = "") -> None:
        if self._span.is_recording():
            self._span.set_attributes(_cleaned({"error.type": kind}))
            self._span.set_status(StatusCode.ERROR, redact_text(message)[:_LONGEST_TEXT] or None)

    def end(self) -> None:
        if self._span.is_recording():
            self._span.end()

    def __enter__(self) -> Self:
        self._token = contexts.attach(trace.set_span_in_context(self._span))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        if self._token is not None:
            contexts.detach(self._token)
        if isinstance(error, CatalogError):
            self.fail(error.reason, error.message)
        elif kind is not None:
            # The text of an error nobody foresaw can hold anything; its class says enough.
            self.fail(kind.__qualname__)
        self.end()


class _OurLog(logging.Handler):
    """Says what the SDK says as one of our lines, so that the log stays JSON and without secrets."""

    def emit(self, record: logging.LogRecord) -> None:
        _log.warning("traces not sent", message=record.getMessage(), logger=record.name)


def _tell_in_our_log() -> None:
    logger = logging.getLogger("opentelemetry")
    logger.handlers, logger.propagate = [_OurLog(logging.WARNING)], False


def _tell_nothing() -> None:
    logging.getLogger("opentelemetry").handlers = [logging.NullHandler()]


def _resource(service: str, environment: Mapping[str, str]) -> Resource:
    """Return what the process is; ``OTEL_SERVICE_NAME`` and ``OTEL_RESOURCE_ATTRIBUTES`` have the last word."""
    said = OTELResourceDetector().detect().attributes
    ours = {
        "service.name": service,
        "service.namespace": "image-catalog",
        "service.version": __version__,
        "service.instance.id": environment.get("HOSTNAME") or str(uuid.uuid4()),
    }
    return Resource.create({name: value for name, value in ours.items() if name not in said})


def _cleaned(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _clean(value) for name, value in attributes.items() if value is not None}


def _clean(value: Any) -> Any:
    return redact_text(value)[:_LONGEST_TEXT] if isinstance(value, str) else value


def _traceparent(span: trace.Span) -> str | None:
    """Return a span's context as https://www.w3.org/TR/trace-context/#traceparent-header has it."""
    context = span.get_span_context()
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"


def _remote(traceparent: str, *, may_be_kept: bool) -> Context:
    """Return a context whose span is that of whoever sent the value, which has been found valid."""
    _, trace_id, span_id, flags = traceparent.split("-")[:4]
    sampled = trace.TraceFlags(int(flags, 16) & may_be_kept)
    parent = trace.SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=sampled)
    return trace.set_span_in_context(trace.NonRecordingSpan(parent))
