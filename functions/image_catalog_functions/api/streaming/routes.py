"""``GET /events``: the catalog's events as they come, for whoever does not run a broker (server-sent events).

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import structlog
from fastapi import APIRouter, Query, Request
from pydantic import Field, StringConstraints
from sse_starlette import EventSourceResponse
from sse_starlette.sse import SendTimeoutError
from starlette.responses import Response

from image_catalog.errors import InvalidExpressionError
from image_catalog_functions.api.http.asgi import STREAMED, Receive, Scope, Send
from image_catalog_functions.api.http.documents import needs, problems
from image_catalog_functions.api.http.parameters import QueryFlag
from image_catalog_functions.api.http.problems import Problem, ProblemReason
from image_catalog_functions.api.http.routes import CatalogRoute, is_head, require
from image_catalog_functions.api.reading.moments import QueryMoment, read_moment
from image_catalog_functions.api.reading.queries import NamespaceQuery
from image_catalog_functions.api.streaming.places import LAST_EVENT_ID, PLACE_PATTERN, place_of
from image_catalog_functions.api.streaming.streams import Streams, Watcher
from image_catalog_functions.api.streaming.tail import Log

if TYPE_CHECKING:
    from image_catalog.audit import AuditStore
    from image_catalog.events.cesql import Expression
    from image_catalog_functions.api.services import Services

__all__ = ["MEDIA_TYPE", "WatchQuery", "router"]

logger = structlog.get_logger(__name__)

MEDIA_TYPE: Final = "text/event-stream"

_MAX_FILTER: Final = 2048
_TAKES: Final = re.compile(r"(?:\*/\*|text/(?:\*|event-stream))(?!.*;\s*q=0(?:\.0*)?\s*$)", re.IGNORECASE)

_HEADERS: Final = {"Cache-Control": "no-store", "Vary": "Authorization"}


class WatchQuery(NamespaceQuery):
    """Which events are asked for."""

    all_namespaces: QueryFlag = Field(default=False, description="Every namespace; `namespace` is then not looked at.")
    filter: Annotated[str, StringConstraints(min_length=1, max_length=_MAX_FILTER)] | None = Field(
        None,
        description="A CESQL expression over the attributes that a Trigger sees, "
        "`type = 'com.redhat.automotive.catalog.image.available' AND target = 'raspberry-pi'` for example: what it "
        "lets through is what a Trigger with this filter lets through.",
    )
    since: QueryMoment | None = Field(
        None,
        description="Also what was recorded from then on: a time of RFC 3339, or an age such as `7d` or `12h`. Only "
        "what comes, when absent.",
    )


class EventStream(EventSourceResponse):
    """Sends what comes until either side ends it.

    Parameters
    ----------
    content
        Whole server-sent events.
    place
        Closed when the stream has ended, however it did.
    send_timeout
        How long the client may take to read what is in its line.
    """

    def __init__(self, content: AsyncIterator[bytes], *, place: AsyncExitStack, send_timeout: timedelta) -> None:
        # Heartbeats come with the content, because they carry the place to resume from.
        super().__init__(content, headers=_HEADERS, ping=0, send_timeout=send_timeout.total_seconds())
        self._place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        scope[STREAMED] = True
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            logger.info("stream cut off", path=scope["path"])
        finally:
            await self._place.aclose()


def router(services: Services) -> APIRouter:
    """Return the route of the stream."""
    routes = APIRouter(route_class=CatalogRoute, tags=["events"])
    open_streams: list[Streams] = []

    def streams(audit: AuditStore) -> Streams:
        if not open_streams:
            limits = services.stream_limits
            open_streams.append(Streams(audit, limits=limits, stopping=services.stopping))
        return open_streams[0]

    @routes.get(
        "/events",
        operation_id="watchEvents",
        summary="Watch events as they come",
        response_class=EventStream,
        status_code=200,
        responses=_answers(),
        openapi_extra={**needs("list catalogimages"), "parameters": [_PLACE]},
    )
    async def watch_events(request: Request, query: Annotated[WatchQuery, Query()]) -> Response:
        """Each message is a CloudEvent in the JSON format, with the attributes that Triggers see.

        An event about an entry is told as soon as the entry itself shows it: anybody can post to a broker. Requests and
        refusals change no entry; they come at once, and as events named `unconfirmed`. Before the stream ends, an event
        named `end` says why, as a problem; come back with the last id. Silence is broken by comments.
        """
        namespace = None if query.all_namespaces else query.namespace or services.settings.default_namespace
        await require(request, services.guard, "list", namespace)
        expression = await _read(query.filter)
        if not any(map(_TAKES.match, re.split(r"\s*,\s*", request.headers.get("accept") or "*/*"))):
            detail = f"events are answered as {MEDIA_TYPE}; send Accept: {MEDIA_TYPE}"
            raise Problem(406, ProblemReason.NOT_ACCEPTABLE, detail, details={"allowed": [MEDIA_TYPE]})
        audit, authorization = services.require_audit(), request.headers.get("authorization")
        caller = await services.guard.identify(authorization)
        followed = streams(audit)
        async with AsyncExitStack() as place:
            place.enter_context(followed.admitted(caller.username))
            await place.enter_async_context(followed.tail.watching())
            since = None if query.since is None else read_moment(query.since, now=services.clock())
            seq = await _start(audit, request.headers.get(LAST_EVENT_ID), since, followed.tail.position)
            if is_head(request):
                return Response(headers=_HEADERS, media_type=MEDIA_TYPE)
            watcher = Watcher(
                namespace=namespace,
                filter=expression,
                permit=lambda: services.guard.require(authorization, "list", namespace),
                path=request.url.path,
            )
            content = followed.follow(watcher, seq)
            return EventStream(content, place=place.pop_all(), send_timeout=services.stream_limits.send)
        raise AssertionError  # pragma: no cover - the stack lets no error pass; mypy cannot know

    return routes


async def _read(source: str | None) -> Expression | None:
    if source is None:
        return None
    try:
        # In a thread: the first one builds the parser, while others are answered.
        return await asyncio.to_thread(_parse, source)
    except InvalidExpressionError as e:
        details = {
            "parameter": "filter",
            "position": e.position,
            "allowed": {"type": "string", "maxLength": _MAX_FILTER},
        }
        raise Problem(400, ProblemReason.INVALID_PARAMETER, f"parameter filter is {e.message}", details=details) from e


def _parse(source: str) -> Expression:
    from image_catalog.events import cesql  # noqa: PLC0415 - its parser takes long to build, and few watchers filter

    return cesql.parse(source)


async def _start(log: Log, last: str | None, since: datetime | None, position: int) -> int:
    """Return the place that a stream begins behind."""
    if last is not None:
        return await place_of(log, last)
    return position if since is None else await log.newest_before(since)


_PLACE: Final = {
    "name": LAST_EVENT_ID,
    "in": "header",
    "required": False,
    "description": "Id of the last event that was received: the stream goes on behind it, whatever `since` says.",
    "schema": {"type": "string", "pattern": PLACE_PATTERN},
}


def _answers() -> dict[int | str, dict[str, Any]]:
    answers = problems(400, 401, 403, 406, 410, 501, 503)
    answers[410]["description"] = "What followed `Last-Event-ID` is not kept any more."
    said = "The events, until either side ends it."
    answers[200] = {"content": {MEDIA_TYPE: {"schema": {"type": "string"}}}, "description": said}
    return answers
