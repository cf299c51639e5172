"""``POST /events``: takes CloudEvents from outside, for callers whom the guard knows.

A caller's own id is bound to the caller and its source before a function sees
it, so that a second delivery is recognised as one and nobody's id is taken for
somebody else's.
"""

from __future__ import annotations

import asyncio
import uuid
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import orjson
from fastapi import APIRouter, Request
from pydantic import BaseModel, ValidationError
from starlette.responses import Response

from image_catalog.cluster import Caller
from image_catalog.errors import CatalogError, InvalidEventError
from image_catalog.events import CatalogEvent, EventType, RawEvent, is_batch, parse_batch, parse_event
from image_catalog.models import TestedTarget
from image_catalog.models.events import PublishRequest, TestReport, VerificationReason, VerificationRequest
from image_catalog.models.violations import violations_of
from image_catalog_functions.api.http.answers import uncached
from image_catalog_functions.api.http.bodies import broken_schema, check_media_type, read_body, read_strictly
from image_catalog_functions.api.http.documents import problems
from image_catalog_functions.api.http.problems import Problem, ProblemReason, problem_of
from image_catalog_functions.api.http.routes import CatalogRoute
from image_catalog_functions.api.reading.details import no_such_image
from image_catalog_functions.api.writing.asking import Asker, check_reference, request_event
from image_catalog_functions.api.writing.documents import EventOutcome, EventOutcomeList
from image_catalog_functions.api.writing.event_forms import MEDIA_TYPES, forms_of
from image_catalog_functions.api.writing.namespaces import require_namespace
from image_catalog_functions.api.writing.publishing import written_by
from image_catalog_functions.api.writing.verifying import found_by
from image_catalog_functions.api.writing.written import refresh

if TYPE_CHECKING:
    from image_catalog_functions.api.services import Services
    from image_catalog_functions.api.writing.outcome import Outcome

__all__ = ["router", "take_event"]

MAX_BATCH: Final = 100
CONCURRENCY: Final = 8
"""Events of a batch under way at once. Their order is that of their ``time``, by which publications are ordered."""

_IDS: Final = uuid.UUID("0d2b6a54-0f57-5c8e-8c8a-3f1de1a0a7c5")
"""Namespace of the ids that functions see; fixed, because a second delivery must give the same id."""

Payload: TypeAlias = PublishRequest | VerificationRequest | TestReport

_PAYLOADS: Final[dict[str, type[BaseModel]]] = {
    EventType.PUBLISH_REQUESTED: PublishRequest,
    EventType.VERIFICATION_REQUESTED: VerificationRequest,
    EventType.TEST_REPORTED: TestReport,
}

_DONE: Final[dict[int | str, dict[str, Any]]] = {
    201: {"model": EventOutcome, "description": "Something was published."},
}


async def take_event(services: Services, asker: Asker, raw: RawEvent) -> EventOutcome:
    """Have done what an event asks for.

    Parameters
    ----------
    services
        What the API works with.
    asker
        Who sent it; needs the rights that the same call would need.
    raw
        The event as it came. An actor in its data is not believed.

    Returns
    -------
    EventOutcome
        What became of it.

    Raises
    ------
    Problem
        As the same call would be answered.
    InvalidEventError
        Raised for a type that is not taken from outside.
    """
    data = _read(raw)
    caller, data = await _admit(services, asker, data)
    event = _bound(services, asker, raw, data, caller)
    match data:
        case PublishRequest():
            outcome = await services.functions.publish(event)
            return await _published(services, raw, outcome, data)
        case VerificationRequest():
            outcome = await services.functions.verify(event)
            if data.name is not None:
                await refresh(services, data.namespace or "", data.name)
            if data.name is None or data.reason is VerificationReason.MANUAL:
                found_by(services, outcome, namespace=data.namespace or "", name=data.name)
            return _told(raw, 200, "verified" if outcome.verified else "nothing", outcome)
        case TestReport():
            outcome = await services.functions.verify(event)
            entry = await refresh(services, data.namespace, data.name)
            if entry is None:
                raise no_such_image(data.namespace, data.name)
            return _reported(raw, outcome, entry.object.get("status") or {}, report=event.id, board=data.target)


def router(services: Services) -> APIRouter:
    """Return the route of events."""
    routes = APIRouter(route_class=CatalogRoute, tags=["events"])

    @routes.post(
        "/events",
        operation_id="sendEvents",
        summary="Send CloudEvents",
        response_model=EventOutcome | EventOutcomeList,
        responses=_DONE | problems(400, 401, 403, 404, 408, 409, 413, 415, 422, 502, 503, 504),
        response_description="The event, or the batch, was taken; what became of each event.",
        openapi_extra=forms_of(_PAYLOADS, most=MAX_BATCH),
    )
    async def send_events(request: Request) -> Response:
        """Do what the calls above do, with the same rights, for whoever speaks CloudEvents 1.0."""
        asker, headers = Asker.of(request), dict(request.headers)
        check_media_type(request, MEDIA_TYPES)
        body = await read_body(request)
        if not is_batch(headers):
            told = await take_event(services, asker, parse_event(headers, body))
            return uncached(orjson.dumps(told.to_dict()), told.status)
        slots = asyncio.Semaphore(CONCURRENCY)

        async def take(event: RawEvent | InvalidEventError) -> EventOutcome:
            async with slots:
                return await _take_one(services, asker, event)

        items = await asyncio.gather(*map(take, parse_batch(body, limit=MAX_BATCH)))
        return uncached(orjson.dumps(EventOutcomeList(items=items).to_dict()))

    return routes


async def _take_one(services: Services, asker: Asker, event: RawEvent | InvalidEventError) -> EventOutcome:
    """Take an event of a batch: what is wrong with one is told in its place."""
    try:
        if isinstance(event, InvalidEventError):
            raise event
        return await take_event(services, asker, event)
    except (Problem, CatalogError) as e:
        problem = problem_of(e)
        attributes = {} if isinstance(event, InvalidEventError) else event.attributes
        return EventOutcome(
            id=attributes.get("id", ""),
            type=attributes.get("type", ""),
            status=problem.status,
            outcome="refused",
            events=[],
            problem={"reason": problem.reason, "detail": problem.detail, "details": problem.details},
        )


def _read(raw: RawEvent) -> Payload:
    event_type = raw.attributes["type"]
    model = _PAYLOADS.get(event_type)
    if model is None:
        known = ", ".join(sorted(_PAYLOADS))
        raise InvalidEventError(f"events of the type {event_type[:128]!r} are not taken from outside; send {known}")
    try:
        raw.json()  # Refuses data of another type in the words that every function has for it.
        data = read_strictly(model, raw.data or b"null")
    except ValidationError as e:
        violations = violations_of(e, root="data")
        raise broken_schema("the event's data", ProblemReason.INVALID_EVENT, violations) from e
    assert isinstance(data, PublishRequest | VerificationRequest | TestReport)  # noqa: S101 - the table holds no other
    return data


async def _admit(services: Services, asker: Asker, data: Payload) -> tuple[Caller, Payload]:
    """Return the caller if it may ask for this, and the data with what the caller left open."""
    default, require = services.settings.default_namespace, services.guard.require
    match data:
        case PublishRequest():
            build = data.image_build
            namespace = data.namespace or (build.namespace if build is not None else default)
            if build is not None:
                await require(asker.authorization, "get", build.namespace, "imagebuilds")
            verb = "create"
            if data.promoted_from is not None:
                message = "data.promotedFrom: promote with POST /images/{name}/promote, which asks whether you may"
                violations = [{"path": "data.promotedFrom", "message": "is not taken from outside"}]
                raise Problem(400, ProblemReason.INVALID_EVENT, message, details={"violations": violations})
            reference, path = data.registry_url, "data.registryUrl"
        case VerificationRequest():
            secret = data.auth_secret_ref
            namespace = data.namespace or (secret.namespace if secret is not None else None) or default
            verb = "update" if data.name is not None else "create"
            if secret is not None and secret.namespace not in {None, namespace}:
                await require(asker.authorization, "create", secret.namespace)
            reference, path = data.reference, "data.reference"
        case TestReport():
            namespace, verb, reference, path = data.namespace, "update", None, ""
    caller = await require(asker.authorization, verb, namespace)
    if reference is not None:
        check_reference(reference, path)
    if isinstance(data, PublishRequest):
        await require_namespace(services, namespace)
    return caller, data.model_copy(update={"namespace": namespace, "actor": caller.username})


def _bound(services: Services, asker: Asker, raw: RawEvent, data: Payload, caller: Caller) -> CatalogEvent:
    attributes = raw.attributes
    told = "\n".join((caller.username, attributes["source"], attributes["type"], attributes["id"]))
    traced = Asker(asker.authorization, raw.traceparent or asker.traceparent)
    return request_event(data, clock=services.clock, asker=traced, event_id=str(uuid.uuid5(_IDS, told)), time=raw.time)


def _reported(raw: RawEvent, outcome: Outcome, status: dict[str, Any], *, report: str, board: str) -> EventOutcome:
    """Tell whether a report is among what is kept, and what holds of the board now."""
    runs = [run["id"] for item in status.get("evidence") or () if item["target"] == board for run in item["runs"]]
    target = next((target for target in status.get("targets") or () if target["name"] == board), None)
    told = _told(raw, 200, "recorded" if report in runs else "nothing", outcome)
    return told.model_copy(update={"target": None if target is None else TestedTarget.model_validate(target)})


async def _published(services: Services, raw: RawEvent, outcome: Outcome, data: PublishRequest) -> EventOutcome:
    if data.automatic and outcome.rejected is None and outcome.published is None:
        return _told(raw, 200, "nothing", outcome)
    written = await written_by(services, outcome)
    return _told(raw, written.status, "published" if written.status == HTTPStatus.CREATED else "unchanged", outcome)


def _told(raw: RawEvent, status: int, word: str, outcome: Outcome | None) -> EventOutcome:
    events = [dict(event) for event in outcome.events] if outcome is not None else []
    return EventOutcome(
        id=raw.attributes["id"], type=raw.attributes["type"], status=status, outcome=word, events=events
    )
