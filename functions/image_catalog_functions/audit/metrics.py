"""What audit counts."""

from prometheus_client import Counter, Histogram

__all__ = ["AUDIT_LAG", "DEAD_LETTERS"]

DEAD_LETTERS = Counter(
    "image_catalog_dead_letters_total",
    "Events that came as dead letters, by type, and by the function that could not take them.",
    ["type", "function"],
)
AUDIT_LAG = Histogram(
    "image_catalog_audit_lag_seconds",
    "Time from an event to its record in the history.",
    # From a database that is near to one that was away for a night.
    buckets=(0.05, 0.25, 1, 5, 15, 60, 300, 900, 3600, 14400),
)
