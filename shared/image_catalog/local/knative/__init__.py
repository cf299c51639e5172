"""The local stack's sources and broker, driven by the manifests that a cluster gets.

`read_manifests` reads a rendered overlay, `LocalKnative` runs it. Both are held
to what real Knative was recorded to send and do; where they differ, the
docstring of the module says so.
"""

from image_catalog.local.knative.apiserver import Watcher
from image_catalog.local.knative.cloudevent import CloudEvent, read_event
from image_catalog.local.knative.manifests import read_manifests
from image_catalog.local.knative.records import DeliveryRecord, Observer, Outcome
from image_catalog.local.knative.resources import (
    ApiServerSource,
    Backoff,
    Broker,
    Delivery,
    Destination,
    Manifests,
    PingSource,
    Service,
    SinkBinding,
    Trigger,
    WatchedResource,
)
from image_catalog.local.knative.settings import Clock, Settings, SystemClock
from image_catalog.local.knative.stack import LocalKnative
from image_catalog.local.knative.watching import ClusterWatcher

__all__ = [
    "ApiServerSource",
    "Backoff",
    "Broker",
    "Clock",
    "CloudEvent",
    "ClusterWatcher",
    "Delivery",
    "DeliveryRecord",
    "Destination",
    "LocalKnative",
    "Manifests",
    "Observer",
    "Outcome",
    "PingSource",
    "Service",
    "Settings",
    "SinkBinding",
    "SystemClock",
    "Trigger",
    "WatchedResource",
    "Watcher",
    "read_event",
    "read_manifests",
]
