"""An event loop whose clock jumps: whoever waits has waited as soon as nobody else has anything to do.

Nothing here waits for a socket or a thread. What is under way on such a loop is
a function of what it was given alone, and a day of it takes a tenth of a second.
"""

from __future__ import annotations

import asyncio
import math
import selectors
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

__all__ = ["EPOCH", "StandstillError", "VirtualLoop", "run_virtually"]

T = TypeVar("T")

EPOCH = datetime(2026, 1, 5, 6, 0, tzinfo=UTC)
"""When every simulated world begins: a whole minute, as ticks are."""


class StandstillError(RuntimeError):
    """Everybody waits, and nothing will ever come."""


class _Skipping(selectors.SelectSelector):
    """Never waits: it moves the clock on instead."""

    def __init__(self) -> None:
        super().__init__()
        self.pass_time: Callable[[float], None] = lambda _: None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Let the time pass for which the loop would sleep."""
        if timeout is None:
            raise StandstillError("everybody waits for something that will never come")
        if timeout > 0:
            self.pass_time(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs callbacks in the order of their times, without waiting for these.

    Attributes
    ----------
    seconds
        How long it has run, by its own clock.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._now: datetime | None = EPOCH
        selector = _Skipping()
        super().__init__(selector)
        selector.pass_time = self._pass

    def time(self) -> float:
        """Tell the loop's time in seconds."""
        return self.seconds

    def now(self) -> datetime:
        """Tell the time as everybody in the simulated world reads it."""
        if self._now is None:
            self._now = EPOCH + timedelta(seconds=self.seconds)
        return self._now

    def run_in_executor(  # type: ignore[override]  # the stub's type variables, which an override need not repeat
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Run a blocking function at once: a thread would come back at a moment that depends on the machine."""
        del executor
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as e:  # noqa: BLE001 - whatever it raises is the caller's
            done.set_exception(e)
        return done

    def _pass(self, seconds: float) -> None:
        later = self.seconds + seconds
        # A step that is too small to be added would be taken for ever.
        self.seconds = later if later > self.seconds else math.nextafter(self.seconds, math.inf)
        self._now = None  # Most moments pass without anybody looking.


def run_virtually(main: Callable[[VirtualLoop], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine on a loop of its own, from the first to the last of its virtual seconds.

    Parameters
    ----------
    main
        Makes the coroutine; what it leaves running is cancelled.

    Raises
    ------
    StandstillError
        Raised if everybody waits and nothing is to come.
    """
    loop = VirtualLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main(loop))
