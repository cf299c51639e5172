"""What the API counts."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram

from image_catalog_functions.api.http.reliability import AVAILABILITY

if TYPE_CHECKING:
    from image_catalog_functions.api.reading.feed import Feed
    from image_catalog_functions.api.services import Services

__all__ = ["CACHE", "DURATION", "REQUESTS", "RESOLUTIONS", "observe_services"]

REQUESTS = Counter(
    "image_catalog_api_requests_total",
    "Requests, by the route that took them, and the status code of the answer.",
    ("method", "route", "code"),
)
DURATION = Histogram(
    "image_catalog_api_request_duration_seconds",
    "Time from a request's head to the answer; answers from memory that waited for nothing are not in it.",
    ("method", "route"),
    # From a read of the index to a publication whose registry is slow.
    buckets=(0.0001, 0.0005, 0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 30),
)
CACHE = Counter(
    "image_catalog_api_list_queries_total",
    "List queries, by whether a prepared answer was there.",
    ("result",),
)
RESOLUTIONS = Counter(
    "image_catalog_api_resolutions_total",
    "Questions for a board's image, by whether the answer was kept from before.",
    ("result",),
)
_ENTRIES = Gauge("image_catalog_api_index_entries", "Objects in the index that requests are answered from.", ("kind",))
_AGE = Gauge(
    "image_catalog_api_index_age_seconds",
    "For how long changes may have been missed because the watch is broken; 0 while it works.",
    ("kind",),
)


def observe_services(services: Services) -> None:
    """Have the gauges show what these services hold."""
    index, builds = services.index, services.builds
    _ENTRIES.labels("CatalogImage").set_function(index.__len__)
    _ENTRIES.labels("ImageBuild").set_function(builds.__len__)
    _AGE.labels("CatalogImage").set_function(partial(_age, services.image_feed))
    _AGE.labels("ImageBuild").set_function(partial(_age_once_filled, services.build_feed))
    AVAILABILITY.watch(index, services.clock)


def _age(feed: Feed) -> float:
    age = feed.age()
    return 0.0 if age is None else age.total_seconds()


def _age_once_filled(feed: Feed) -> float:
    """Tell nothing of a kind that was never listed: without the build operator there are no builds to miss."""
    return _age(feed) if feed.filled.is_set() else 0.0
