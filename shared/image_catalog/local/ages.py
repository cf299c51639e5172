"""Points in time as ``kubectl get`` shows them: ``3s``, ``5m30s``, ``2d``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

__all__ = ["age_since", "human_duration"]

_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 24 * 3600, 365 * 24 * 3600

# Below how many seconds which unit is shown, and which smaller one beside it (0: none).
_STEPS = (
    (2 * _MINUTE, 1, "s", 0, ""),
    (10 * _MINUTE, _MINUTE, "m", 1, "s"),
    (3 * _HOUR, _MINUTE, "m", 0, ""),
    (8 * _HOUR, _HOUR, "h", _MINUTE, "m"),
    (2 * _DAY, _HOUR, "h", 0, ""),
    (8 * _DAY, _DAY, "d", _HOUR, "h"),
    (2 * _YEAR, _DAY, "d", 0, ""),
    (8 * _YEAR, _YEAR, "y", _DAY, "d"),
)


def human_duration(elapsed: timedelta) -> str:
    """Shorten a duration as the API server's tables do: two units at most, coarser the longer it is.

    Parameters
    ----------
    elapsed
        Up to two seconds below zero is taken for now (clocks differ), further below is ``<invalid>``.
    """
    seconds = int(elapsed.total_seconds())
    if seconds < -1:
        return "<invalid>"
    for limit, unit, suffix, small_unit, small_suffix in _STEPS:
        if seconds < limit:
            rest = max(seconds, 0) % unit // small_unit if small_unit else 0
            return f"{max(seconds, 0) // unit}{suffix}" + (f"{rest}{small_suffix}" if rest else "")
    return f"{seconds // _YEAR}y"


def age_since(timestamp: str | None, now: datetime) -> str:
    """Tell how long ago an RFC 3339 time was.

    Parameters
    ----------
    timestamp
        As objects carry it; ``<unknown>`` is told of none, ``<invalid>`` of one that is no time.
    now
        Aware; usually the moment of the answer.
    """
    if not timestamp:
        return "<unknown>"
    try:
        moment = datetime.fromisoformat(timestamp)
    except ValueError:
        return "<invalid>"
    return human_duration(now - (moment if moment.tzinfo else moment.replace(tzinfo=UTC)))
