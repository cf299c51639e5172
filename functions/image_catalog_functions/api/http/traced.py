"""Requests as traces show them; stands before everything else, where tracing is on.

By https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server. A query is not shown: registries that tell
of a push may have their token in it. The framework has spans of its own, which see neither lists nor details.

Anybody can write a ``traceparent``. So a stranger's is asked which trace a request is of, and not whether that one is
kept; a caller that has proven who it is may say that, too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import timedelta
from http import HTTPStatus
from typing import Final

import structlog

from image_catalog.events.wire import is_sampled, valid_traceparent
from image_catalog.tracing import Span, SpanKind, is_tracing, span
from image_catalog_functions.api.http.asgi import STREAMED, ASGIApp, Message, Receive, Scope, Send, header

__all__ = ["Traced", "believe", "traced"]

_PROBES: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked every few seconds by nobody who would look for a trace."""

_ODD: Final = "HTTP"
"""What the conventions call a method that is none of those."""

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_UNDER_WAY: Final = "catalog.traced"
"""Where a request's scope keeps its span."""


def traced(app: ASGIApp, *, route_of: Callable[[Scope], str | None]) -> ASGIApp:
    """Return the application with a span for each request; itself where nothing is traced.

    Parameters
    ----------
    app
        The application.
    route_of
        Tells the pattern of a request's path.
    """
    return Traced(app, route_of=route_of) if is_tracing() else app


def believe(scope: Scope) -> None:
    """Let a caller that has proven who it is say that its trace is kept.

    Parameters
    ----------
    scope
        The request.
    """
    under_way: _UnderWay | None = scope.get(_UNDER_WAY)
    if under_way is not None:
        under_way.believe()


class Traced:
    """Begins a span for each request, as a child of the caller's.

    Parameters
    ----------
    app
        Answers the requests.
    route_of
        Tells the pattern of a request's path.
    """

    def __init__(self, app: ASGIApp, *, route_of: Callable[[Scope], str | None]) -> None:
        self._app = app
        self._route_of = route_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"] in _PROBES:
            await self._app(scope, receive, send)
            return
        asked, sent = scope["method"], header(scope["headers"], b"traceparent")
        # Span names make metrics: a stranger must not be able to make their number grow.
        method = asked if asked in _METHODS else _ODD
        attributes = {
            "http.request.method": asked if asked in _METHODS else "_OTHER",
            "url.scheme": scope.get("scheme", "http"),
            "url.path": scope["path"],
        }
        parent = valid_traceparent(None if sent is None else sent.decode("latin-1"))
        with ExitStack() as spans:
            under_way = scope[_UNDER_WAY] = _UnderWay(spans, method, attributes, parent)
            sending = _Sending(send, noted=lambda status: self._note(under_way.span, scope, method, status))
            await self._app(scope, receive, sending)

    def _note(self, under_way: Span, scope: Scope, method: str, status: int) -> None:
        route = self._route_of(scope) if method != _ODD else None
        if route is not None:
            under_way.rename(f"{method} {route}")
        under_way.set({"http.route": route, "http.response.status_code": status})
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            under_way.fail(str(status))
        if scope.get(STREAMED):
            # How long somebody listens is no answer's time, and may be days.
            under_way.end()


class _UnderWay:
    """The span of a request: one that the sampler may drop, then one that it keeps if its caller may say so."""

    def __init__(self, spans: ExitStack, method: str, attributes: Mapping[str, str], parent: str | None) -> None:
        self._spans = spans
        self._method = method
        self._attributes = attributes
        self._parent = parent
        self._began = time.perf_counter()
        self.span = self._begin(is_believed=False)

    def believe(self) -> None:
        """Begin the span anew, as old as the request, if it was dropped and the caller keeps the trace."""
        if is_sampled(self._parent) and not is_sampled(self.span.traceparent):
            self.span = self._begin(is_believed=True)

    def _begin(self, *, is_believed: bool) -> Span:
        begun = span(
            self._method,
            SpanKind.SERVER,
            self._attributes,
            parent=self._parent,
            ago=timedelta(seconds=time.perf_counter() - self._began),
            is_believed=is_believed,
        )
        self._spans.enter_context(begun)
        self._spans.enter_context(structlog.contextvars.bound_contextvars(**begun.facts()))
        return begun


class _Sending:
    """Sends an answer on, and tells its status."""

    def __init__(self, send: Send, *, noted: Callable[[int], None]) -> None:
        self._send = send
        self._noted = noted

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._noted(message["status"])
        await self._send(message)
