"""A request to the API server as traces show it.

By https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-client, named as an RBAC rule names it:
``patch catalogimages/status``.
"""

from __future__ import annotations

from image_catalog.cluster._failures import NOT_FOUND, Operation
from image_catalog.cluster._transport import Response
from image_catalog.tracing import NO_SPAN, Span, SpanKind, current_traceparent, span

__all__ = ["begin_span", "note_answer"]

_FIRST_FAILURE = 400


def begin_span(operation: Operation, method: str, path: str) -> Span:
    """Begin the span of one request that an event or a caller has led to; what jobs ask beside is not traced.

    Parameters
    ----------
    operation
        What is asked.
    method, path
        How it is asked; the path has no query.
    """
    if current_traceparent() is None:
        return NO_SPAN
    kind, subresource = operation.kind, operation.subresource
    resource = f"{kind.plural}/{subresource}" if subresource else kind.plural
    attributes = {
        "http.request.method": method,
        "url.path": path,
        "k8s.namespace.name": operation.namespace,
        "image_catalog.cluster.verb": operation.verb,
        "image_catalog.cluster.resource": resource,
        "image_catalog.cluster.name": operation.name,
    }
    return span(f"{operation.verb} {resource}", SpanKind.CLIENT, attributes)


def note_answer(under_way: Span, operation: Operation, response: Response) -> None:
    """Add the answer to a request's span.

    That an object is absent is an answer, and no failure.
    """
    if under_way is NO_SPAN:
        return
    under_way.set({"http.response.status_code": response.status})
    absent = response.status == NOT_FOUND and operation.name is not None
    if response.status >= _FIRST_FAILURE and not absent:
        under_way.fail(str(response.status))
