"""What pydantic has to say against an input, in the words of the catalog."""

from __future__ import annotations

from pydantic import ValidationError

from image_catalog.errors import Violation

__all__ = ["violations_of"]


def violations_of(error: ValidationError, *, root: str = "") -> tuple[Violation, ...]:
    """Return every violation with its path: ``spec.metadata.targets[0].name``.

    Neither input nor context is told: a value that was put into the wrong field
    may be a secret.

    Parameters
    ----------
    error
        What a model raised.
    root
        What the input as a whole is called: the first part of every path.
    """
    errors = error.errors(include_url=False, include_input=False, include_context=False)
    return tuple(Violation(_path(root, each["loc"]), each["msg"].removeprefix("Value error, ")) for each in errors)


def _path(root: str, location: tuple[int | str, ...]) -> str:
    path = root
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path
