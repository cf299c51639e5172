"""Waits for what another process does, by looking every so often."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import stamina

__all__ = ["NotYetError", "look"]


class NotYetError(Exception):
    """What is waited for has not happened."""


def look(
    *, every: timedelta, limit: timedelta, on: tuple[type[Exception], ...] = (NotYetError,)
) -> AsyncIterator[stamina.Attempt]:
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
    return aiter(
        stamina.retry_context(
            on=on, attempts=None, timeout=limit, wait_initial=every, wait_max=every, wait_jitter=0, wait_exp_base=1
        )
    )
