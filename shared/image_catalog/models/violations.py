"""What pydantic has to say against an input, in the words of the catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from image_catalog.errors import Violation
from image_catalog.models.wording import WORDS

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = ["complaint_of", "violations_of"]

_KINDS = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "string_type": "must be a text",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "string_too_long": "has more than {max_length} characters",
    "string_too_short": "has fewer than {min_length} characters",
    "too_long": "has more than {max_length} items",
}
"""What is said of a value, by pydantic's name for what is wrong; in braces what the schema says."""


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
    errors = error.errors(include_url=False, include_input=False)
    return tuple(Violation(_path(root, each["loc"]), complaint_of(each)) for each in errors)


def complaint_of(error: ErrorDetails) -> str:
    """Return what is to be said of a value, behind its name: ``must be true or false``.

    Parameters
    ----------
    error
        One of `pydantic.ValidationError.errors`, with its context; of that
        only what the schema says is told.
    """
    kind, limits = error["type"], error.get("ctx", {})
    words = WORDS.get(limits["pattern"]) if kind == "string_pattern_mismatch" else _KINDS.get(kind)
    return error["msg"].removeprefix("Value error, ") if words is None else words.format(**limits)


def _path(root: str, location: tuple[int | str, ...]) -> str:
    path = root
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path
