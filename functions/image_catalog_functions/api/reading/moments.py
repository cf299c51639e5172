"""Moments as parameters: a time of RFC 3339, or an age."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import AfterValidator, StringConstraints

from image_catalog.models.durations import AGE_PATTERN, parse_age
from image_catalog.models.kubernetes import parse_time

__all__ = ["QueryMoment", "read_moment"]

_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
"""https://www.rfc-editor.org/rfc/rfc3339#section-5.6; `datetime.fromisoformat` takes much more."""


def _check(text: str) -> str:
    if not (_TIME.fullmatch(text) and isinstance(parse_time(text.upper()), datetime)) and not re.fullmatch(
        AGE_PATTERN, text, re.ASCII
    ):
        raise ValueError("must be a time such as 2026-01-31T09:00:00Z, or an age such as 12h or 7d")
    return text


QueryMoment = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_check)]
"""A time of RFC 3339, or an age: how long ago."""


def read_moment(text: str, *, now: datetime) -> datetime:
    """Return the moment that a checked text means.

    Parameters
    ----------
    text
        What `QueryMoment` takes.
    now
        What an age is counted from; by the second, so that those who ask again
        ask for the same.
    """
    if _TIME.fullmatch(text):
        moment = parse_time(text.upper())
        assert isinstance(moment, datetime)  # noqa: S101 - the text was checked
        return moment
    return now.astimezone(UTC).replace(microsecond=0) - parse_age(text)
