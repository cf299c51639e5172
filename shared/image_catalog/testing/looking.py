"""Waits for what another process does, or a signal, by looking every so often."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from datetime import timedelta
from typing import Protocol, TypeVar

import stamina

__all__ = ["NotYetError", "look", "until"]

Seen = TypeVar("Seen")


class NotYetError(Exception):
    """What is waited for has not happened."""


class _Looks(Iterable[stamina.Attempt], AsyncIterable[stamina.Attempt], Protocol):
    """Attempts for a ``for`` of either kind."""


def look(*, every: timedelta, limit: timedelta, on: tuple[type[Exception], ...] = (NotYetError,)) -> _Looks:
    """Return attempts at constant distance: waits that grow, or differ by chance, would be measured with the rest.

    Parameters
    ----------
    every
        From the end of an attempt to the next one.
    limit
        After which the last error is raised.
    on
        Errors that mean that it has not happened yet.
    """
    return stamina.retry_context(
        on=on, attempts=None, timeout=limit, wait_initial=every, wait_max=every, wait_jitter=0, wait_exp_base=1
    )


async def until(looks: Callable[[], Awaitable[Seen]], *, limit: timedelta = timedelta(seconds=20)) -> Seen:
    """Look until there is something to see, and return it.

    Parameters
    ----------
    looks
        What it returns is something when it is true.
    limit
        How long.

    Raises
    ------
    NotYetError
        Raised if there was nothing to see all that time.
    """
    async for attempt in look(every=timedelta(milliseconds=50), limit=limit):
        with attempt:
            if seen := await looks():
                return seen
            raise NotYetError
    raise NotYetError
