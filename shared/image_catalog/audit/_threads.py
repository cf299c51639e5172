"""Threads for calls that block, which keep no process from ending."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Final, TypeVar

from image_catalog.errors import AuditUnavailableError

__all__ = ["Threads"]

_T = TypeVar("_T")

_FAREWELL: Final = 5.0
"""Seconds that a call in flight is waited for when the threads are closed."""


class Threads:
    """A few threads that run calls.

    Unlike those of `concurrent.futures` they are daemons: a call to a server
    that accepts and then says nothing would keep a command line from ending.

    Parameters
    ----------
    count
        How many; started with the first call.
    name
        What they are called.
    """

    def __init__(self, count: int, *, name: str) -> None:
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads = [threading.Thread(target=self._work, name=f"{name}-{i}", daemon=True) for i in range(count)]
        self._starting = threading.Lock()
        self._started = False
        self._closed = False

    def submit(self, call: Callable[[], _T]) -> Future[_T]:
        """Have a call run.

        Raises
        ------
        AuditUnavailableError
            Raised if the threads were closed.
        """
        with self._starting:
            if self._closed:
                raise AuditUnavailableError("the audit's store was closed")
            if not self._started:
                self._started = True
                for thread in self._threads:
                    thread.start()
        future: Future[_T] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(call())
            except BaseException as e:  # noqa: BLE001 - whoever waits is told, whatever it is
                future.set_exception(e)

        self._calls.put(run)
        return future

    async def aclose(self) -> None:
        """End the threads once the calls before are done, or after a while."""
        with self._starting:
            self._closed = True
        if self._started:
            for _ in self._threads:
                self._calls.put(None)
            await asyncio.to_thread(self._join)

    def _join(self) -> None:
        for thread in self._threads:
            thread.join(_FAREWELL)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
