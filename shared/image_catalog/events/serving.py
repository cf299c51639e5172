"""A function as it is served: one request in, the handler's events out, one answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Generic, TypeVar

import structlog
from starlette.requests import Request
from starlette.responses import Response

from image_catalog.errors import CatalogError, InvalidEventError, TransientError
from image_catalog.events import answers
from image_catalog.events.answers import Outcome
from image_catalog.events.event import CatalogEvent, ReceivedEvent
from image_catalog.events.lifecycle import ContextT, Lifecycle
from image_catalog.events.logs import configure_logging
from image_catalog.events.metrics import EVENT_AGE, EVENT_DURATION, EVENTS
from image_catalog.events.requests import bearer_token, prefers_representation, read_body, read_payload
from image_catalog.events.spans import begin_handling
from image_catalog.events.triggers import TriggerFilter
from image_catalog.events.types import EventType, SourceType
from image_catalog.events.wire import RawEvent, parse_event
from image_catalog.metrics import exemplar
from image_catalog.models.events import UNAUTHENTICATED
from image_catalog.tracing import NO_SPAN, Span, trace_id_of

__all__ = ["Handler", "PayloadT", "ServedFunction"]

_log = structlog.get_logger(__name__)

_KNOWN_TYPES = frozenset(EventType) | frozenset(SourceType)
_OTHER_TYPE = "other"
"""Label of types from outside: a stranger must not be able to make a metric grow without end."""

PayloadT = TypeVar("PayloadT")
Handler = Callable[[ReceivedEvent[PayloadT], ContextT], Awaitable[Sequence[CatalogEvent]]]


@dataclass(slots=True)
class _Delivery:
    """One request, as log and metrics tell of it."""

    started: float = field(default_factory=time.perf_counter)
    raw: RawEvent | None = None
    span: Span = NO_SPAN
    ids: Mapping[str, str] = field(default_factory=dict)
    """What every line of the log about this delivery has: the event's id, and the trace's where there is one."""
    emitted: Sequence[CatalogEvent] = ()

    @property
    def type_label(self) -> str:
        event_type = self.raw.attributes["type"] if self.raw else _OTHER_TYPE
        return event_type if event_type in _KNOWN_TYPES else _OTHER_TYPE

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.started

    def begin(self, function: str, raw: RawEvent, *, direct: bool) -> None:
        """Begin the span of the delivery, now that it is known what is delivered."""
        self.raw = raw
        self.span = begin_handling(
            raw, function=function, label=self.type_label, direct=direct, ago=timedelta(seconds=self.seconds)
        )
        # A trace that somebody else has begun joins lines also where nothing is traced here.
        trace_id = trace_id_of(raw.traceparent)
        self.ids = {"cause": raw.attributes["id"], **({"trace_id": trace_id} if trace_id else {}), **self.span.facts()}

    def facts(self) -> dict[str, Any]:
        """Return what names the event; its id is the cause of this line, as of all that were written meanwhile.

        An ApiServerSource's subject is a path; kind and name say it for people.
        """
        attributes = self.raw.attributes if self.raw else {}
        facts: dict[str, Any] = {
            name: attributes[name] for name in ("type", "subject", "kind", "namespace", "name") if name in attributes
        }
        facts |= self.ids
        if self.emitted:
            facts["emitted"] = [{"type": event.type.short, "id": event.id} for event in self.emitted]
        return facts


@dataclass(frozen=True, slots=True)
class ServedFunction(Generic[PayloadT, ContextT]):
    """Answers requests for a function.

    Attributes
    ----------
    name
        What log and metrics call it.
    triggers
        What it listens to; the first that matches decides the payload's type.
    emits
        Types that it may emit.
    handler
        The coroutine that does the work.
    lifecycle
        Holder of the context.
    """

    name: str
    triggers: tuple[TriggerFilter, ...]
    emits: frozenset[EventType]
    handler: Handler[PayloadT, ContextT]
    lifecycle: Lifecycle[ContextT]

    async def answer(self, request: Request) -> Response:
        """Answer one request."""
        if not structlog.is_configured():
            configure_logging()
        if request.method == "POST":
            return await self._deliver(request)
        if request.method not in {"GET", "HEAD"}:
            return answers.method_not_allowed()
        match request.url.path:
            case "/healthz":
                return answers.text("ok")
            case "/readyz":
                return await self._readiness()
            case "/metrics":
                return answers.exposition(request.headers.get("accept", ""))
            case _:
                return answers.method_not_allowed()

    async def _readiness(self) -> Response:
        if self.lifecycle.is_closing:
            return answers.unavailable("ShuttingDown", "the function is shutting down")
        try:
            await (await self._context()).ready()
        except TransientError as e:
            _log.warning("function not ready", function=self.name, message=e.message)
            return answers.unavailable(e.reason, e.message)
        return answers.text("ok")

    async def _deliver(self, request: Request) -> Response:
        delivery = _Delivery()
        if self.lifecycle.is_closing:
            return self._shutting_down(delivery)
        with self.lifecycle.request(), structlog.contextvars.bound_contextvars(function=self.name):
            try:
                response = await self._handle(request, delivery)
            except asyncio.CancelledError:
                if not self.lifecycle.is_closing:
                    raise
                return self._shutting_down(delivery)
            except Exception as e:  # noqa: BLE001  # the last stop: the framework would answer without a word in our log
                outcome, reason, response = answers.failure(e)
                self._record(delivery, outcome, reason=reason, error=e)
            else:
                self._record(delivery, Outcome.OK)
        return response

    async def _handle(self, request: Request, delivery: _Delivery) -> Response:
        body = await read_body(request)
        raw = parse_event(dict(request.headers), body)
        direct = prefers_representation(request.headers)
        delivery.begin(self.name, raw, direct=direct)
        with delivery.span, structlog.contextvars.bound_contextvars(**delivery.ids):
            return await self._answer(request, raw, delivery, direct=direct)

    async def _answer(self, request: Request, raw: RawEvent, delivery: _Delivery, *, direct: bool) -> Response:
        trigger = next((t for t in self.triggers if t.matches(raw.attributes)), None)
        if trigger is None:
            raise InvalidEventError(f"function {self.name} does not listen to events such as this one")
        payload = read_payload(trigger, raw)
        context = await self._context()
        if raw.time is not None:
            waited = max(context.clock() - raw.time, timedelta()).total_seconds()
            EVENT_AGE.labels(self.name, delivery.type_label).observe(waited, exemplar())
        actor = await _actor(request, context, payload, direct=direct)
        if trigger.direct and (not direct or actor == UNAUTHENTICATED):
            raise InvalidEventError("such an event is taken from callers that have proven who they are", status=401)
        events = await self.handler(_received(raw, payload, actor), context)
        await self._emit(events, context)
        delivery.emitted = events
        return answers.represented(events) if direct else answers.accepted()

    async def _context(self) -> ContextT:
        try:
            context = await self.lifecycle.context()
        except Exception as e:
            # Whatever is wrong with the set-up is no fault of the event, which has to wait until somebody mends it.
            message = e.message if isinstance(e, CatalogError) else f"{type(e).__name__}; its log says more"
            if not isinstance(e, CatalogError):
                _log.exception("context not built", function=self.name)
            raise TransientError(f"function {self.name} cannot start: {message}") from e
        if self.emits and context.sink is None:
            raise TransientError(f"function {self.name} cannot start: K_SINK is not set; bind it with a SinkBinding")
        return context

    async def _emit(self, events: Sequence[CatalogEvent], context: ContextT) -> None:
        undeclared = sorted({event.type.short for event in events if event.type not in self.emits})
        if undeclared:
            raise RuntimeError(f"function {self.name} does not declare that it emits {', '.join(undeclared)}")
        public = [event for event in events if not event.type.is_private]
        if public and context.sink is not None:
            await context.sink.send(public)

    def _shutting_down(self, delivery: _Delivery) -> Response:
        self._record(delivery, Outcome.UNAVAILABLE, reason="ShuttingDown")
        response = answers.unavailable("ShuttingDown", "the function is shutting down")
        response.headers["Connection"] = "close"
        return response

    def _record(
        self, delivery: _Delivery, outcome: Outcome, *, reason: str | None = None, error: Exception | None = None
    ) -> None:
        seconds = delivery.seconds
        trace_of = exemplar(delivery.ids.get("trace_id"))
        EVENTS.labels(self.name, delivery.type_label, outcome).inc(1, trace_of)
        EVENT_DURATION.labels(self.name, delivery.type_label).observe(seconds, trace_of)
        facts = delivery.facts() | {"outcome": outcome.value, "milliseconds": round(seconds * 1000, 1)}
        if reason:
            facts["reason"] = reason
        if isinstance(error, CatalogError):
            facts["message"] = error.message
        if isinstance(error, InvalidEventError) and error.violations:
            facts["violations"] = [f"{v.path}: {v.message}" for v in error.violations]
        level = {Outcome.OK: "info", Outcome.CRASHED: "error"}.get(outcome, "warning")
        # Only an error that nobody foresaw needs its traceback; the others say what they are.
        trace = error if outcome is Outcome.CRASHED else None
        getattr(_log, level)("event handled", function=self.name, **facts, **({"exc_info": trace} if trace else {}))


def _received(raw: RawEvent, payload: PayloadT, actor: str) -> ReceivedEvent[PayloadT]:
    attributes = raw.attributes
    return ReceivedEvent(
        id=attributes["id"],
        source=attributes["source"],
        type=attributes["type"],
        data=payload,
        subject=attributes.get("subject"),
        time=raw.time,
        extensions=raw.extensions,
        traceparent=raw.traceparent,
        actor=actor,
        attributes=attributes,
        body=raw.data,
    )


async def _actor(request: Request, context: ContextT, payload: object, *, direct: bool) -> str:
    """Return who caused the event, which only a caller that has proven itself is believed to know.

    A broker's own token (Knative's OIDC feature adds one) says nothing about
    who caused an event, so one that is not accepted counts as none. A direct
    caller, who waits for the outcome, is told instead.
    """
    token = bearer_token(request.headers)
    caller = await context.reviewer(token) if token and context.reviewer else None
    if caller is not None:
        return getattr(payload, "actor", None) or caller
    if token and direct:
        raise InvalidEventError("the bearer token is not accepted: it needs the audience image-catalog", status=401)
    return UNAUTHENTICATED
