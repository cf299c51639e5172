"""Runs the lifespan of an ASGI application, as a server does before the first request and after the last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, cast

from image_catalog.testing.cluster_asgi import ASGIApp, Message

__all__ = ["alive"]

_PATIENCE = timedelta(seconds=20)


@asynccontextmanager
async def alive(app: ASGIApp) -> AsyncIterator[None]:
    """Start an application, and stop it when the context ends.

    See https://asgi.readthedocs.io/en/latest/specs/lifespan.html.

    Parameters
    ----------
    app
        The application.

    Raises
    ------
    RuntimeError
        Raised if it says that it cannot start or stop, or ends by itself.
    """
    told: asyncio.Queue[Message] = asyncio.Queue()
    said: asyncio.Queue[Message] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
    running = asyncio.create_task(cast("Coroutine[Any, Any, None]", app(scope, told.get, said.put)))
    try:
        await _exchange("startup", running, told, said)
        yield
        await _exchange("shutdown", running, told, said)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _exchange(
    phase: str, running: asyncio.Task[None], told: asyncio.Queue[Message], said: asyncio.Queue[Message]
) -> None:
    told.put_nowait({"type": f"lifespan.{phase}"})
    answering = asyncio.create_task(said.get())
    tasks: set[asyncio.Task[Any]] = {running, answering}
    await asyncio.wait(tasks, timeout=_PATIENCE.total_seconds(), return_when=asyncio.FIRST_COMPLETED)
    if answering.done():
        answer = answering.result()
        if answer["type"] != f"lifespan.{phase}.complete":
            raise RuntimeError(f"{phase}: {answer.get('message') or answer['type']}")
        return
    answering.cancel()
    if running.done():
        running.result()
    raise RuntimeError(f"{phase}: no answer")
