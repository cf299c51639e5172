"""Durations as Go writes them, which is how Kubernetes users do."""

from __future__ import annotations

import re
from datetime import timedelta

import durationpy

__all__ = ["AGE_PATTERN", "DURATION_PATTERN", "LONGEST_AGE", "format_duration", "parse_age", "parse_duration"]

DURATION_PATTERN = r"^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$"
"""What the CRD accepts; the rule of https://pkg.go.dev/time#ParseDuration without signs."""

_TIME = "T(?:[0-9]+H(?:[0-9]+M)?(?:[0-9]+S)?|[0-9]+M(?:[0-9]+S)?|[0-9]+S)"
AGE_PATTERN = rf"^(?:(?:[0-9]+(?:\.[0-9]+)?[wdhms])+|P(?:[0-9]+W|[0-9]+D(?:{_TIME})?|{_TIME}))$"
"""An age: as Go writes durations, with days and weeks, or as ISO 8601 does (`RFC 3339, appendix A
<https://www.rfc-editor.org/rfc/rfc3339#appendix-A>`__)."""

LONGEST_AGE = timedelta(days=36_500)
"""Nothing in a catalog is older."""

_SECONDS = {"W": 604_800, "D": 86_400, "H": 3600, "M": 60, "S": 1}


def parse_age(text: str) -> timedelta:
    """Read an age such as ``30d``, ``1h30m``, ``P30D`` or ``PT12H``; `LONGEST_AGE` at most.

    Parameters
    ----------
    text
        What `AGE_PATTERN` matches.

    Raises
    ------
    ValueError
        Raised if the text is no age.
    """
    if not re.fullmatch(AGE_PATTERN, text, re.ASCII):
        raise ValueError(f"{text[:64]!r} is no age; write 30d, 12h or P30D")
    parts = re.findall(r"([0-9.]+)([WDHMS])", text.upper())
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    return timedelta(seconds=min(seconds, LONGEST_AGE.total_seconds()))


def parse_duration(text: str) -> timedelta:
    """Read a duration such as ``1h30m``.

    Parameters
    ----------
    text
        What `DURATION_PATTERN` matches.

    Raises
    ------
    ValueError
        Raised if the text is no duration, or one too long for a `timedelta`.
    """
    # The library also knows days and years, which Go and the API server do not.
    if re.fullmatch(DURATION_PATTERN, text):
        try:
            duration: timedelta = durationpy.from_str(text)
        except (durationpy.DurationError, OverflowError) as e:
            raise ValueError(f"{text[:64]!r} is no duration that can be counted; write 30m or 1h30m") from e
        return duration
    raise ValueError(f"{text[:64]!r} is no duration; write 30m or 1h30m")


def format_duration(duration: timedelta) -> str:
    """Write a duration as Go reads it and people do: ``1h30m``, to the second.

    Parameters
    ----------
    duration
        The duration; a negative one is written as none.
    """
    minutes, seconds = divmod(max(round(duration.total_seconds()), 0), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (seconds, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"
