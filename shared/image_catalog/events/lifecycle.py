"""The life of a function's context: built on first use, closed before the server leaves.

functions-framework has no start-up and no shutdown hook, and gunicorn imports
the function before it forks. So nothing is opened at import; the first event
builds the context in the worker's own loop. On a signal the server would leave
as soon as the last request is answered, without a word to us. Its own handler
is therefore held back until the requests in flight are done and the context
is closed.
"""

from __future__ import annotations

import asyncio
import contextvars
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar

import structlog

from image_catalog.events.sink import Sink
from image_catalog.tracing import stop_tracing

__all__ = ["ContextT", "FunctionContext", "Lifecycle", "TokenReviewer"]

_log = structlog.get_logger(__name__)

DRAIN_TIMEOUT = timedelta(seconds=20)
"""How long SIGTERM waits for requests in flight; gunicorn kills its worker after 30 s."""

QUICK_DRAIN_TIMEOUT = timedelta(milliseconds=500)
"""The same for SIGINT and SIGQUIT: somebody sits at a terminal, and the broker redelivers what is cut off."""


CLOSE_TIMEOUT = timedelta(seconds=5)
"""How long closing may take: with the drain before it, it ends before gunicorn loses its patience."""


class TokenReviewer(Protocol):
    """Judges the bearer token of a direct caller."""

    async def __call__(self, token: str, /) -> str | None:
        """Return the caller's name if it may speak for others, else `None`.

        Parameters
        ----------
        token
            What stood after ``Bearer``. A TokenReview for the audience
            ``image-catalog`` must accept it, and its user must be one that is
            trusted to say who the actor is: any pod can get a token of its own.
        """


class FunctionContext(Protocol):
    """What `catalog_function` needs of the context that it builds."""

    @property
    def clock(self) -> Callable[[], datetime]:
        """Tells the time."""

    @property
    def sink(self) -> Sink | None:
        """Where events go; `None` only for a function that emits none."""

    @property
    def reviewer(self) -> TokenReviewer | None:
        """Judge of direct callers; `None` believes nobody."""

    async def ready(self) -> None:
        """Open what is opened on first use; raise an error while that cannot be done."""

    async def aclose(self) -> None:
        """Close what the context opened."""


ContextT = TypeVar("ContextT", bound=FunctionContext)


class Lifecycle(Generic[ContextT]):
    """Builds one context per process and closes it on a signal.

    Parameters
    ----------
    factory
        Builds the context; called again after it has failed.
    """

    def __init__(self, factory: Callable[[], Awaitable[ContextT]]) -> None:
        self._factory = factory
        self._building: asyncio.Task[ContextT] | None = None
        self._running: set[asyncio.Task[Any]] = set()
        self._idle = asyncio.Event()
        self._chained_loop: asyncio.AbstractEventLoop | None = None
        self._leaving: asyncio.Task[None] | None = None

    @property
    def is_closing(self) -> bool:
        """Whether a signal has come, so that no new work is begun."""
        return self._leaving is not None

    async def context(self) -> ContextT:
        """Return the context; the first caller builds it, the others wait for the same."""
        self._chain_signals()
        loop = asyncio.get_running_loop()
        task = self._building
        if task is None or task.get_loop() is not loop or (task.done() and (task.cancelled() or task.exception())):
            # In a fresh set of context variables: what the context starts must not log under the first event's id.
            task = self._building = loop.create_task(self._build(), context=contextvars.Context())
        # Shielded: a caller that goes away must not take the context from the others.
        return await asyncio.shield(task)

    @contextmanager
    def request(self) -> Iterator[None]:
        """Count a request as in flight, so that closing waits for it."""
        self._chain_signals()
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # a coroutine always runs in a task here
        self._running.add(task)
        self._idle.clear()
        try:
            yield
        finally:
            self._running.discard(task)
            if not self._running:
                self._idle.set()

    async def aclose(self) -> None:
        """Close the context if there is one; the next use builds another."""
        task, self._building = self._building, None
        if task is None or task.get_loop() is not asyncio.get_running_loop():
            return
        try:
            context = await task
        except Exception:  # noqa: BLE001  # who asked for the context has been told already
            return
        await context.aclose()

    async def _build(self) -> ContextT:
        return await self._factory()

    def _chain_signals(self) -> None:
        loop = asyncio.get_running_loop()
        if self._chained_loop is loop or threading.current_thread() is not threading.main_thread():
            return
        self._chained_loop = loop
        leave = signal.getsignal(signal.SIGTERM)
        if not callable(leave):
            # Nobody serves here (a test calls the application itself), so there is nothing to hold back.
            return
        for number, grace in (
            (signal.SIGTERM, DRAIN_TIMEOUT),
            (signal.SIGINT, QUICK_DRAIN_TIMEOUT),
            (signal.SIGQUIT, QUICK_DRAIN_TIMEOUT),
        ):
            loop.add_signal_handler(number, self._on_signal, grace, leave)

    def _on_signal(self, grace: timedelta, leave: Callable[[int, Any], Any]) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(grace.total_seconds(), self._cancel_running)
        if self._leaving is None:
            self._leaving = loop.create_task(self._leave(leave))

    def _cancel_running(self) -> None:
        for task in self._running:
            task.cancel("the function is shutting down")

    async def _leave(self, leave: Callable[[int, Any], Any]) -> None:
        try:
            if self._running:
                await self._idle.wait()
            try:
                async with asyncio.timeout(CLOSE_TIMEOUT.total_seconds()):
                    await self.aclose()
            finally:
                # Last, with what closing has added, and all the more where it failed; with a time limit of its own.
                await stop_tracing()
        except Exception:  # noqa: BLE001  # a context that cannot be closed must not keep the process
            _log.exception("context not closed")
        finally:
            leave(signal.SIGTERM, None)
