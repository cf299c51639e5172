"""A stack for measurements; where next to nothing is measured, without the functions that builds can do without."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from starlette.responses import Response
from tests.bench.slow_registry import Deliveries

from image_catalog.local.serving import LoopbackServer
from image_catalog.local.stack import LocalStack, StackOptions

__all__ = ["running_stack"]

_OTHERS = ("cleanup", "reverify", "audit", "api")


@asynccontextmanager
async def running_stack(folder: Path, *, whole: bool = True) -> AsyncIterator[tuple[LocalStack, Deliveries]]:
    """Run the local stack, and note its broker's deliveries.

    Parameters
    ----------
    folder
        Where it keeps its files.
    whole
        Whether every function runs. Else all but publish and verify are one that takes every event and does nothing.
    """
    async with AsyncExitStack() as stack:
        services = {}
        if not whole:
            server = await stack.enter_async_context(LoopbackServer(Response(status_code=204)))
            services = dict.fromkeys(_OTHERS, server.url)
        options = StackOptions(folder=folder / "stack", services=services)
        deliveries = Deliveries()
        yield await stack.enter_async_context(LocalStack(options, observer=deliveries.observe)), deliveries
