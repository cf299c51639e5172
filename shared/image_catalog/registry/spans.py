"""A request to a registry as traces show it.

By https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-client. Of a URL only what names the resource is
shown: the query of a redirect to an object store opens the object to whoever reads it. Registries are strangers, so
they are told no trace id.
"""

from __future__ import annotations

import re
from http import HTTPStatus

import httpx

from image_catalog.registry.answers import Answer
from image_catalog.registry.hosts import Target
from image_catalog.registry.questions import Question
from image_catalog.tracing import NO_SPAN, Span, SpanKind, current_traceparent, span

__all__ = ["begin_aws_span", "begin_span", "note_answer"]

_RESOURCES = re.compile(r"/v2/(?:[^?]+/(manifests|blobs|referrers|tags)/[^/]+)?$")
_FIRST_FAILURE = 400


def begin_span(target: Target, question: Question, url: httpx.URL) -> Span:
    """Begin the span of one request, a redirect's each on its own.

    Parameters
    ----------
    target
        The registry that it is made for.
    question
        What is asked.
    url
        Where it is asked.
    """
    if current_traceparent() is None:
        return NO_SPAN
    template = _template(question, url)
    attributes = {
        "http.request.method": question.method,
        "server.address": url.host,
        "server.port": url.port or (443 if url.scheme == "https" else 80),
        "url.full": f"{url.scheme}://{url.netloc.decode()}{url.path}",
        "url.template": template,
        "image_catalog.registry": target.registry,
    }
    name = question.purpose or template
    return span(f"{question.method} {name}" if name else question.method, SpanKind.CLIENT, attributes)


def begin_aws_span(operation: str, *, region: str) -> Span:
    """Begin the span of a request to AWS, by https://opentelemetry.io/docs/specs/semconv/cloud-providers/aws-sdk/.

    Parameters
    ----------
    operation
        What is asked of ECR.
    region
        Where.
    """
    if current_traceparent() is None:
        return NO_SPAN
    attributes = {"rpc.system": "aws-api", "rpc.service": "ECR", "rpc.method": operation, "cloud.region": region}
    return span(f"ECR.{operation}", SpanKind.CLIENT, attributes)


def note_answer(under_way: Span, answer: Answer, *, authorized: bool) -> None:
    """Add the answer to a request's span.

    Parameters
    ----------
    under_way
        The span.
    answer
        Any answer.
    authorized
        Whether a credential was shown: to be challenged without one is how a registry is met, and no failure.
    """
    if under_way is NO_SPAN:
        return
    under_way.set({"http.response.status_code": answer.status})
    challenged = answer.status == HTTPStatus.UNAUTHORIZED and not authorized
    if answer.status >= _FIRST_FAILURE and not challenged:
        under_way.fail(str(answer.status))


def _template(question: Question, url: httpx.URL) -> str | None:
    """Return the low-cardinality form of a URL; `None` for one that somebody redirected to."""
    if question.security is not None:
        # A token server's path is its own affair, an object store's names the object.
        return None
    match = _RESOURCES.search(url.path)
    if match is None:
        return None
    return f"/v2/{{name}}/{match[1]}/{{reference}}" if match[1] else "/v2/"
