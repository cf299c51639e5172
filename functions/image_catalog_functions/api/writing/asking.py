"""Who asks for a write, and the event that asks a function for it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from starlette.requests import Request

from image_catalog.errors import InvalidReferenceError
from image_catalog.events import CatalogEvent, EventType
from image_catalog.events.wire import valid_traceparent
from image_catalog.models import Reference
from image_catalog.models.artifact_events import ArtifactsRequest
from image_catalog.models.events import PublishRequest, TestReport, VerificationRequest
from image_catalog_functions.api.http.problems import Problem, ProblemReason

__all__ = ["SOURCE", "Asker", "check_reference", "request_event"]

SOURCE: Final = "/api/v1alpha1/catalog"
"""``source`` of the events that the API makes of its calls."""


@dataclass(frozen=True, slots=True)
class Asker:
    """What a request says of who makes it.

    Attributes
    ----------
    authorization
        The header field as it came.
    traceparent
        W3C trace context, where the caller gave a valid one.
    """

    authorization: str | None = None
    traceparent: str | None = None

    @classmethod
    def of(cls, request: Request) -> Self:
        """Read a request's header."""
        headers = request.headers
        return cls(headers.get("authorization"), valid_traceparent(headers.get("traceparent")))


def request_event(
    data: PublishRequest | VerificationRequest | TestReport | ArtifactsRequest,
    *,
    clock: Callable[[], datetime],
    asker: Asker,
    event_id: str | None = None,
    time: datetime | None = None,
) -> CatalogEvent:
    """Make the event that asks for something.

    Parameters
    ----------
    data
        What is asked for, with its actor.
    clock
        Tells the time.
    asker
        Who asks.
    event_id
        Id of the request; made here when absent. What comes again under the
        same id is done once.
    time
        When it was asked for; now when absent.
    """
    types = {
        PublishRequest: EventType.PUBLISH_REQUESTED,
        VerificationRequest: EventType.VERIFICATION_REQUESTED,
        TestReport: EventType.TEST_REPORTED,
        ArtifactsRequest: EventType.ARTIFACTS_REQUESTED,
    }
    namespace, name = data.namespace or "", data.name or ""
    attributes = {"partitionkey": f"{namespace}/{name}"}
    return CatalogEvent(
        id=event_id or str(uuid.uuid4()),
        type=types[type(data)],
        source=SOURCE,
        subject=f"{namespace}/{name}",
        data=data,
        attributes=attributes,
        time=time or clock(),
        traceparent=asker.traceparent,
    )


def check_reference(url: str, path: str) -> None:
    """Refuse what is no reference with an explicit host.

    Parameters
    ----------
    url
        The reference.
    path
        Where it stands in the body.

    Raises
    ------
    Problem
        400 ``InvalidReference`` naming the path.
    """
    try:
        Reference.parse(url)
    except InvalidReferenceError as e:
        violations = [{"path": path, "message": e.message}]
        detail = f"{path}: {e.message}"
        raise Problem(400, ProblemReason.INVALID_REFERENCE, detail, details={"violations": violations}) from e
