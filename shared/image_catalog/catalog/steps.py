"""What is done for somebody who waits, step by step, and how long each step took."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from image_catalog.models.events import Step, StepStatus

__all__ = ["StepLog"]


class StepLog:
    """The steps of a publication, or of a check, as they go by; each takes from the end of the one before it.

    Parameters
    ----------
    clock
        Tells seconds that only go forward.

    Attributes
    ----------
    done
        The steps so far, in their order.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.done: list[Step] = []
        self._clock = clock
        self._since = clock()

    def add(self, name: str, message: str, status: StepStatus = StepStatus.OK) -> None:
        """Note that a step has come to its end."""
        now = self._clock()
        self.done.append(
            Step(name=name, status=status, message=message[:4096], milliseconds=round((now - self._since) * 1000))
        )
        self._since = now

    def extend(self, steps: Iterable[Step]) -> None:
        """Take over steps that somebody else has timed."""
        self.done.extend(steps)
        self._since = self._clock()
