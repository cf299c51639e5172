"""Writing to an object that others write too."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, TypeVar

from image_catalog.errors import WriteConflictError

__all__ = ["retry_on_conflict"]

T = TypeVar("T")
C = TypeVar("C")

# Enough for a handful of writers on one object; more means that two of them undo each other.
ATTEMPTS: Final = 8
FIRST_PAUSE: Final = timedelta(milliseconds=10)
LONGEST_PAUSE: Final = timedelta(milliseconds=500)


async def retry_on_conflict(
    *,
    read: Callable[[], Awaitable[T | None]],
    change: Callable[[T], C | None],
    write: Callable[[T, C], Awaitable[T | None]],
    start: T | None = None,
    attempts: int = ATTEMPTS,
    rng: random.Random | None = None,
) -> T | None:
    """Apply a change to a fresh object until no other writer comes between.

    Parameters
    ----------
    read
        Reads the object; `None` when it is absent.
    change
        Decides what to write on the object as it is now. Called again on every
        fresh object: `None` says that nothing is to be done (any more), an
        exception abandons the write.
    write
        Writes with the object's resource version as precondition; `None` when the
        object is absent.
    start
        An object read a moment ago, to be tried before the first read.
    attempts
        How many writes are tried.
    rng
        Spreads the pauses.

    Returns
    -------
    T or None
        The object as written, or as read when nothing was to be done; `None` when
        it is absent.

    Raises
    ------
    WriteConflictError
        When another writer came between every time.
    """
    rng = rng or random.Random()  # noqa: S311 - spreads load, guards nothing
    current = start
    attempt = 0
    while True:
        if current is None:
            current = await read()
        if current is None:
            return None
        wanted = change(current)
        if wanted is None:
            return current
        try:
            return await write(current, wanted)
        except WriteConflictError:
            attempt += 1
            if attempt >= attempts:
                raise
        current = None
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempt)
        await asyncio.sleep(rng.random() * pause.total_seconds())
