"""Puts the API together: the one place that knows every part."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from image_catalog.errors import CatalogError
from image_catalog_functions.api import flat, writing
from image_catalog_functions.api.artifacts import calls as artifacts
from image_catalog_functions.api.http import methods, probes
from image_catalog_functions.api.http.asgi import ASGIApp, Scope
from image_catalog_functions.api.http.front import Front
from image_catalog_functions.api.http.metrics import observe_services
from image_catalog_functions.api.http.patterns import pattern_of
from image_catalog_functions.api.http.problems import Problem, problem_of, respond
from image_catalog_functions.api.http.traced import traced
from image_catalog_functions.api.notifying import routes as notifications
from image_catalog_functions.api.openapi import document
from image_catalog_functions.api.past import history, records
from image_catalog_functions.api.reading import builds, details, lists, registries
from image_catalog_functions.api.recalling import routes as recalls
from image_catalog_functions.api.resolving.resolver import Resolver
from image_catalog_functions.api.resolving.routing import router as resolve_router
from image_catalog_functions.api.services import Services
from image_catalog_functions.api.streaming import routes as streaming

__all__ = ["BASE", "FLAT_BASE", "create_app", "make_framework", "running"]

BASE: Final = "/api/v1alpha1/catalog"
FLAT_BASE: Final = "/v1/catalog"
"""Where the Go ``caib`` in the field asks."""

_ABOVE: Final = (f"{BASE}/", f"{FLAT_BASE}/")


def create_app(services: Services, framework: FastAPI | None = None) -> ASGIApp:
    """Make the application that a server runs.

    Parameters
    ----------
    services
        What its calls work with.
    framework
        What knows every call; made for the services when absent.
    """
    resolver = Resolver(services, base=BASE)
    observe_services(services)
    front = Front(
        framework or make_framework(services, resolver),
        path=f"{BASE}/images",
        boards=f"{BASE}/resolve",
        guarded=_ABOVE,
        proving=(f"{BASE}{notifications.PATH}",),
        lists=lists.Lists(services),
        details=details.Details(services),
        resolver=resolver,
        guard=services.guard,
        feed=services.image_feed,
    )
    return traced(front, route_of=_route_of)


def _route_of(scope: Scope) -> str | None:
    """Return the pattern of a request's path, also where it was answered before the framework was asked."""
    path, listed = scope["path"], f"{BASE}/images"
    if path in {listed, f"{BASE}/resolve"}:
        return str(path)
    above, _, name = path.rpartition("/")
    quick = f"{listed}/{{name}}" if above == listed and name else None
    return pattern_of(scope, _ABOVE) or quick


def make_framework(services: Services, resolver: Resolver | None = None) -> FastAPI:
    """Make what knows every call, and what each is declared to take and answer.

    Parameters
    ----------
    services
        What the calls work with.
    resolver
        Chooses images; one of its own when absent.
    """
    framework = FastAPI(
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # It would see neither lists nor details, and would add its own spans and figures to those that ours are.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        lifespan=lambda _: running(services),
    )
    reads = (lists, details, artifacts, history, records, builds, registries, streaming)
    for make in (calls.router for calls in reads):
        framework.include_router(make(services), prefix=BASE)
    framework.include_router(resolve_router(services, resolver or Resolver(services, base=BASE)), prefix=BASE)
    for routes in (*writing.routers(services), recalls.router(services), notifications.router(services)):
        framework.include_router(routes, prefix=BASE)
    for routes in flat.routers(services):
        framework.include_router(routes, prefix=FLAT_BASE)
    framework.include_router(probes.router(services))
    framework.include_router(document.router(framework))
    framework.add_exception_handler(Problem, _answer)
    framework.add_exception_handler(CatalogError, _answer)
    framework.add_exception_handler(HTTPException, methods.answer)
    return framework


@asynccontextmanager
async def running(services: Services) -> AsyncIterator[None]:
    """Run the jobs while the application serves, then close everything.

    An ASGI server with a lifespan does that by itself.

    Parameters
    ----------
    services
        What has jobs and closers.
    """
    async with AsyncExitStack() as stack:
        for closer in reversed(services.closers):
            stack.push_async_callback(closer)
        jobs = [asyncio.ensure_future(job()) for job in services.jobs]
        stack.push_async_callback(_stop, jobs)
        yield


async def _stop(jobs: Sequence[asyncio.Future[None]]) -> None:
    for job in jobs:
        job.cancel()
    await asyncio.gather(*jobs, return_exceptions=True)


async def _answer(request: Request, error: Exception) -> Response:
    return respond(problem_of(error), request.url.path)
