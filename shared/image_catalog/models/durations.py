"""Durations as Go writes them, which is how Kubernetes users do."""

from __future__ import annotations

import re
from datetime import timedelta

import durationpy

__all__ = ["DURATION_PATTERN", "parse_duration"]

DURATION_PATTERN = r"^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$"
"""What the CRD accepts; the rule of https://pkg.go.dev/time#ParseDuration without signs."""


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
