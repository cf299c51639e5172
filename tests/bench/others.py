"""A stack for measurements; where next to nothing is measured, without the functions that builds can do without."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from starlette.responses import Response

from image_catalog.local.knative import Observer
from image_catalog.local.serving import LoopbackServer
from image_catalog.local.stack import LocalStack, StackOptions

__all__ = ["running_stack"]

_OTHERS = ("cleanup", "reverify", "audit", "api")


@asynccontextmanager
async def running_stack(
    folder: Path, *, whole: bool = True, observer: Observer | None = None
) -> AsyncIterator[LocalStack]:
    """Run the local stack.

    Parameters
    ----------
    folder
        Where it keeps its files.
    whole
        Whether every function runs. Else all but publish and verify are one that takes every event and does nothing.
    observer
        Is told of each delivery.
    """
    async with AsyncExitStack() as stack:
        services = {}
        if not whole:
            server = await stack.enter_async_context(LoopbackServer(Response(status_code=204)))
            services = dict.fromkeys(_OTHERS, server.url)
        options = StackOptions(folder=folder / "stack", services=services)
        yield await stack.enter_async_context(LocalStack(options, observer=observer))
