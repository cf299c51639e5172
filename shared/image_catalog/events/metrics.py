"""What the functions count."""

from prometheus_client import Counter, Histogram

__all__ = ["EVENTS", "EVENTS_EMITTED", "EVENT_DURATION"]

EVENTS = Counter(
    "image_catalog_events_total",
    "Events that a function was given, by what became of them.",
    ("function", "type", "outcome"),
)
EVENTS_EMITTED = Counter(
    "image_catalog_events_emitted_total",
    "Events that the sink has taken.",
    ("type",),
)
EVENT_DURATION = Histogram(
    "image_catalog_event_duration_seconds",
    "Time from the request's head to the answer.",
    ("function", "type"),
    # From an event that needs no call at all to a registry that hangs until its time limit.
    buckets=(0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
