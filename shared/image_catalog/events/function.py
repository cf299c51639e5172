"""The one decorator that turns a typed coroutine into a functions-framework function."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import structlog
from starlette.requests import Request
from starlette.responses import Response

from image_catalog.events.lifecycle import ContextT, Lifecycle
from image_catalog.events.logs import configure_logging
from image_catalog.events.serving import Handler, PayloadT, ServedFunction
from image_catalog.events.triggers import TriggerFilter
from image_catalog.events.types import EventType
from image_catalog.tracing import start_tracing

__all__ = ["CatalogFunction", "catalog_function"]


class CatalogFunction(Protocol):
    """What `catalog_function` makes of a coroutine."""

    async def __call__(self, request: Request) -> Response:
        """Answer one request."""

    async def aclose(self) -> None:
        """Close the context, for who calls the function without a server."""


def catalog_function(
    *,
    triggers: Sequence[TriggerFilter],
    emits: Sequence[EventType],
    context: Callable[[], Awaitable[ContextT]],
) -> Callable[[Handler[PayloadT, ContextT]], CatalogFunction]:
    """Make a function that listens to events and emits events.

    The function answers ``POST`` of a CloudEvent in binary or structured mode,
    and ``GET`` of ``/healthz``, ``/readyz`` and ``/metrics``.

    Parameters
    ----------
    triggers
        What it listens to. The first that matches decides the payload's type.
    emits
        Types that it may emit; another is a fault of the function.
    context
        Builds the context on first use, in the serving process's loop.

    Returns
    -------
    Callable
        Decorator of ``async def main(event, context)`` that returns the events
        to emit. Raise `TransientError` to have the event come again.
    """
    # It brings Flask, which is a fifth of what the API and the command lines would import.
    import functions_framework.aio  # noqa: PLC0415 - see above

    def decorate(handler: Handler[PayloadT, ContextT]) -> CatalogFunction:
        # The folder is the function's name; its module is "main" to functions-framework, whatever the folder.
        name = Path(inspect.getfile(cast("Any", handler))).parent.name
        served = ServedFunction(name, tuple(triggers), frozenset(emits), handler, Lifecycle(context))

        @functools.cache
        def begin() -> None:
            if not structlog.is_configured():
                configure_logging()
            start_tracing(os.environ, service=name)

        @functools.wraps(handler)
        async def serve(request: Request) -> Response:
            # Not at import: the server forks afterwards, and threads do not come along.
            begin()
            return await served.answer(request)

        # A registration of the framework's, read when it builds the ASGI application; HTTP functions own their answer.
        registered = cast("Any", functions_framework.aio.http(serve))
        registered.aclose = served.lifecycle.aclose
        return cast("CatalogFunction", registered)

    return decorate
