"""An OTLP collector that keeps what it is sent, or never answers; and the traces as trees."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from image_catalog.testing.threaded_server import ThreadedServer

__all__ = ["CollectedSpan", "Collector"]


@dataclass(frozen=True, slots=True)
class CollectedSpan:
    """A span as it was sent.

    Attributes
    ----------
    parent_id
        Empty for the first one of a trace.
    error
        ``error.type`` and the message of one that failed; `None` of one that did not.
    resource
        What the process says of itself.
    """

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: Mapping[str, Any]
    error: tuple[str, str] | None
    resource: Mapping[str, Any] = field(repr=False)


class Collector(ThreadedServer):
    """Takes spans at ``/v1/traces``, as https://opentelemetry.io/docs/specs/otlp/#otlphttp has it.

    Parameters
    ----------
    silent
        Whether it takes requests and never answers them.

    Attributes
    ----------
    spans
        What it was sent, in order of arrival.
    requests
        The header fields of each request.
    asked
        Set with the first request.
    """

    def __init__(self, *, silent: bool = False) -> None:
        super().__init__()
        self.spans: list[CollectedSpan] = []
        self._batches: list[ExportTraceServiceRequest] = []
        self.requests: list[dict[str, str]] = []
        self.asked = threading.Event()
        self._leaving = threading.Event()
        self._silent = silent

    @property
    def text(self) -> str:
        """Everything that it was sent, to search through."""
        return "\n".join(map(str, self._batches))

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Take a batch of spans."""
        body = handler.rfile.read(int(handler.headers.get("content-length", 0)))
        self.requests.append({name.lower(): value for name, value in handler.headers.items()})
        self.asked.set()
        if self._silent:
            self._leaving.wait()
            return
        request = ExportTraceServiceRequest.FromString(body)
        self._batches.append(request)
        self.spans += _spans(request)
        handler.send_response(200)
        handler.send_header("content-type", "application/x-protobuf")
        handler.send_header("content-length", "0")
        handler.end_headers()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leaving.set()
        super().__exit__(kind, error, traceback)

    def find(self, name: str, **attributes: Any) -> CollectedSpan:
        """Return the one span of a name; `LookupError` when there is none, or more than one.

        Parameters
        ----------
        name
            Its name.
        attributes
            What else it has; ``faas__name`` stands for ``faas.name``.
        """
        wanted = {key.replace("__", "."): value for key, value in attributes.items()}
        found = [span for span in self.spans if span.name == name and wanted.items() <= span.attributes.items()]
        if len(found) != 1:
            raise LookupError(f"{len(found)} spans {name} {wanted} among {sorted(span.name for span in self.spans)}")
        return found[0]

    def children(self, parent: CollectedSpan) -> list[CollectedSpan]:
        """Return the spans right below one, in order of arrival."""
        return [span for span in self.spans if span.parent_id == parent.span_id]

    def below(self, parent: CollectedSpan) -> list[CollectedSpan]:
        """Return every span below one."""
        return [each for child in self.children(parent) for each in (child, *self.below(child))]

    def roots(self) -> list[CollectedSpan]:
        """Return the spans whose parent was not sent here."""
        known = {span.span_id for span in self.spans}
        return [span for span in self.spans if span.parent_id not in known]


def _spans(request: ExportTraceServiceRequest) -> Iterator[CollectedSpan]:
    for group in request.resource_spans:
        resource = _values(group.resource.attributes)
        for scope in group.scope_spans:
            for span in scope.spans:
                attributes = _values(span.attributes)
                failed = span.status.code == trace_pb2.Status.STATUS_CODE_ERROR
                yield CollectedSpan(
                    name=span.name,
                    kind=trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    attributes=attributes,
                    error=(str(attributes.get("error.type")), span.status.message) if failed else None,
                    resource=resource,
                )


def _values(pairs: Any) -> dict[str, Any]:
    def value(given: AnyValue) -> Any:
        kind = given.WhichOneof("value")
        return getattr(given, kind) if kind else None

    found: list[KeyValue] = list(pairs)
    return {pair.key: value(pair.value) for pair in found}
