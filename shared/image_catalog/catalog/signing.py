"""Who edited or removed an entry through the API, which writes to the cluster under its own name."""

from __future__ import annotations

from datetime import UTC, datetime

from image_catalog.cluster import Caller

__all__ = ["sign", "signer"]

_LONGEST = 512
"""Characters of a user's name; an object has 256 KiB for all of its annotations."""


def sign(caller: Caller, *, now: datetime) -> str:
    """Return the annotation's value for what a caller does now.

    The time makes it another value for each edit, so that whoever compares two
    states of an entry sees which edits went through the API.

    Parameters
    ----------
    caller
        Who does it.
    now
        When.
    """
    moment = now.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")
    return f"{moment}Z {caller.username[:_LONGEST]}"


def signer(value: str | None) -> str | None:
    """Return who an annotation's value names, `None` if nobody."""
    return (value or "").partition(" ")[2].strip() or None
