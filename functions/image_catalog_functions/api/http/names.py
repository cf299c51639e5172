"""Names as they stand in paths and parameters."""

from __future__ import annotations

import re
from typing import Annotated, Final

from fastapi import Path

from image_catalog.models.wording import LABEL_PATTERN, NAME_PATTERN, WORDS
from image_catalog_functions.api.http.problems import Problem, ProblemReason

__all__ = ["LABEL_PATTERN", "MAX_LABEL", "MAX_NAME", "NAME_PATTERN", "EntryName", "check_name"]

MAX_LABEL: Final = 63
"""Longest name of a namespace."""
MAX_NAME: Final = 253
"""Longest name of an entry."""

_NAME_RE = re.compile(NAME_PATTERN.replace("$", r"\Z"))

EntryName = Annotated[
    str,
    Path(description="Name of the entry.", pattern=NAME_PATTERN, min_length=1, max_length=MAX_NAME, examples=["as9"]),
]
"""An entry's name in a path, as the OpenAPI document declares it."""


def check_name(name: str) -> str:
    """Return a name that an entry can have.

    Raises
    ------
    Problem
        400 ``InvalidName`` for any other.
    """
    if len(name) <= MAX_NAME and _NAME_RE.match(name):
        return name
    raise Problem(
        400,
        ProblemReason.INVALID_NAME,
        f"{name[:MAX_NAME]!r} is no name of an entry: it {WORDS[NAME_PATTERN]}, at most {MAX_NAME} characters",
        details={"parameter": "name", "allowed": {"pattern": NAME_PATTERN, "maxLength": MAX_NAME}},
    )
