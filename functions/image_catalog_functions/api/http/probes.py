"""``/healthz``, ``/readyz`` and ``/metrics``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response

from image_catalog.metrics import exposition
from image_catalog_functions.api.http.documents import problems
from image_catalog_functions.api.http.problems import Problem, ProblemReason

if TYPE_CHECKING:
    from image_catalog_functions.api.services import Services

__all__ = ["router"]


def router(services: Services) -> APIRouter:
    """Return the probes' routes."""
    routes = APIRouter(tags=["probes"])
    text: dict[int | str, dict[str, Any]] = {
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "`ok`: yes, it is."}
    }
    text_type = {"schema": {"type": "string"}}
    figures: dict[int | str, dict[str, Any]] = {
        200: {
            "content": {"text/plain": text_type, "application/openmetrics-text": text_type},
            "description": "The figures.",
        }
    }

    @routes.get(
        "/healthz",
        operation_id="isAlive",
        response_class=PlainTextResponse,
        summary="Tell that the process lives",
        responses=text,
    )
    async def healthz() -> Response:
        """Answered for as long as anything is answered at all; no token is needed."""
        return PlainTextResponse("ok")

    @routes.get(
        "/readyz",
        operation_id="isReady",
        response_class=PlainTextResponse,
        summary="Tell whether requests may be sent here",
        responses={**text, **problems(503)},
    )
    async def readyz() -> Response:
        """Ready is an index that is filled, and not too old while the watch is broken. No token is needed."""
        feed = services.image_feed
        feed.require_filled()
        age, limit = feed.age(), services.settings.index_stale_limit
        if age is not None and age > limit:
            seconds = int(age.total_seconds())
            detail = f"the index is {seconds} seconds old: the watch of the API server is broken"
            details = {"ageSeconds": seconds, "limitSeconds": int(limit.total_seconds())}
            raise Problem(503, ProblemReason.INDEX_OUT_OF_DATE, detail, details=details, headers={"Retry-After": "5"})
        return PlainTextResponse("ok")

    @routes.get(
        "/metrics",
        operation_id="showMetrics",
        response_class=PlainTextResponse,
        summary="Show figures for Prometheus",
        responses=figures,
    )
    async def metrics(request: Request) -> Response:
        """Every figure of this process, in the format that the scraper prefers. No token is needed."""
        body, content_type = exposition(request.headers.get("accept", ""))
        return Response(body, headers={"Content-Type": content_type})

    return routes
