"""What the functions count."""

from prometheus_client import Counter, Histogram

__all__ = ["EVENTS", "EVENTS_EMITTED", "EVENT_AGE", "EVENT_DURATION"]

EVENTS = Counter(
    "image_catalog_events_total",
    "Events that a function was given, by what became of them.",
    ("function", "type", "outcome"),
)
EVENTS_EMITTED = Counter(
    "image_catalog_events_emitted_total",
    "Events that a function has emitted and the Broker has taken.",
    ("type",),
)
EVENT_DURATION = Histogram(
    "image_catalog_event_duration_seconds",
    "Time from the request that brought an event to the function's answer.",
    ("function", "type"),
    # From an event that needs no call at all to a registry that hangs until its time limit.
    buckets=(0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
EVENT_AGE = Histogram(
    "image_catalog_event_age_seconds",
    "How long an event had waited when its handling began, since the time that it says itself.",
    ("function", "type"),
    # From a broker with nothing else to do to one that delivers after an outage of hours.
    buckets=(0.01, 0.05, 0.25, 1, 5, 15, 60, 300, 900, 3600, 14400),
)
