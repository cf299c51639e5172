"""``POST /notifications/{registry}``: takes what registries tell of pushes."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import parse_qsl

import orjson
import structlog
from fastapi import APIRouter, Path, Query, Request
from fastapi.routing import APIRoute
from prometheus_client import Counter
from pydantic import Field, ValidationError
from starlette.responses import Response

from image_catalog.errors import CatalogError, Violation
from image_catalog.models.violations import violations_of
from image_catalog_functions.api.http.answers import uncached
from image_catalog_functions.api.http.bodies import broken_schema, check_json, read_body, read_strictly
from image_catalog_functions.api.http.documents import problems
from image_catalog_functions.api.http.names import MAX_NAME
from image_catalog_functions.api.http.parameters import MAX_QUERY_BYTES, QueryModel, read_query
from image_catalog_functions.api.http.problems import Problem, ProblemReason
from image_catalog_functions.api.notifying.documents import FORM, NotificationAnswer
from image_catalog_functions.api.notifying.senders.table import SENDERS
from image_catalog_functions.api.writing.asking import Asker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from image_catalog_functions.api.notifying.doors import Door
    from image_catalog_functions.api.notifying.senders.pushes import Push
    from image_catalog_functions.api.services import Services

__all__ = ["PATH", "router"]

_log = structlog.get_logger(__name__)

PATH: Final = "/notifications/"
"""What the path begins with, below the API's base: who calls it is a registry, and nobody whom the guard knows."""

PUSHES = Counter(
    "image_catalog_api_registry_pushes_total",
    "Push notifications of registries, by who sends them and what became of them.",
    ("adapter", "outcome"),
)

RegistryName = Annotated[
    str, Path(description="Name of the CatalogRegistry.", min_length=1, max_length=MAX_NAME, examples=["quay-io"])
]

_NOBODY: Final = "unknown"
"""Adapter of what was sent without proof: a stranger must not be able to make a metric grow without end."""


class NotificationQuery(QueryModel):
    """What may stand in the URL's query."""

    token: str | None = Field(None, description="The token of a sender that has no other place for it.")


class NotificationRoute(APIRoute):
    """Judges nothing of a request before its sender has proven itself."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what gives the endpoint the request as it came."""
        endpoint: Callable[[Request, str, NotificationQuery], Coroutine[Any, Any, Response]] = self.endpoint

        async def handle(request: Request) -> Response:
            said = dict(parse_qsl(request.scope["query_string"][:MAX_QUERY_BYTES].decode("latin-1")))
            unread = NotificationQuery(token=said.get("token"))
            return await endpoint(request, request.path_params["registry"], unread)

        return handle


def router(services: Services) -> APIRouter:
    """Return the route of notifications."""
    routes = APIRouter(route_class=NotificationRoute, tags=["notifications"])

    @routes.post(
        f"{PATH}{{registry}}",
        operation_id="sendNotification",
        summary="Tell of a push",
        status_code=HTTPStatus.ACCEPTED,
        response_model=NotificationAnswer,
        response_description="It was taken. What it tells of and nobody keeps an entry of costs nothing.",
        responses=problems(400, 401, 408, 413, 503),
        openapi_extra=FORM,
    )
    async def send_notification(
        request: Request, registry: RegistryName, query: Annotated[NotificationQuery, Query()]
    ) -> Response:
        """Check the entries of what a registry says was pushed or deleted, due or not."""
        adapter = _NOBODY
        try:
            door = await services.doors.admit(registry, authorization=_authorization(request), query=query.token)
            adapter = str(door.type)
            read_query(NotificationQuery, request.scope["query_string"])
            answer = await _take(services, door, request)
        except (Problem, CatalogError) as e:
            PUSHES.labels(adapter, _outcome(e)).inc()
            raise
        PUSHES.labels(adapter, _outcome(answer)).inc()
        return uncached(orjson.dumps(answer.to_dict()), HTTPStatus.ACCEPTED)

    return routes


async def _take(services: Services, door: Door, request: Request) -> NotificationAnswer:
    """Have done what a notification leads to."""
    pushes = _read(door, await read_body(request))
    asked = await services.pushes.request(door, pushes, traceparent=Asker.of(request).traceparent)
    answer = NotificationAnswer(pushes=len(pushes), requested=asked.requested, postponed=asked.postponed)
    _log.info("registry told of pushes", registry=door.name, **answer.to_dict())
    return answer


def _read(door: Door, body: bytes) -> Sequence[Push]:
    """Read a notification as its sender writes it.

    Raises
    ------
    Problem
        400 naming every field that is not what the sender's format says.
    """
    assert door.type is not None  # noqa: S101 - nobody is let in without
    check_json(body)
    try:
        return read_strictly(SENDERS[door.type], body).pushes()
    except ValidationError as e:
        violations = [Violation(each.path or "body", each.message) for each in violations_of(e)]
        raise broken_schema(f"the {door.type} notification", ProblemReason.INVALID_BODY, violations) from e


def _authorization(request: Request) -> bytes | None:
    sent = request.headers.get("authorization")
    return None if sent is None else sent.encode("latin-1")


def _outcome(of: Exception | NotificationAnswer) -> str:
    """Return the word that a notification is counted under."""
    match of:
        case Problem(status=HTTPStatus.UNAUTHORIZED):
            return "refused"
        case Problem():
            return "invalid"
        case NotificationAnswer():
            return "requested" if of.requested else "postponed" if of.postponed else "nothing"
        case _:
            return "failed"
