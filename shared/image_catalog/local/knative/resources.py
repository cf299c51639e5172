"""The Knative resources that the local stack interprets, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from image_catalog.local.knative.filters import Filter

__all__ = [
    "ApiServerSource",
    "Backoff",
    "Broker",
    "Delivery",
    "Destination",
    "Manifests",
    "PingSource",
    "Service",
    "SinkBinding",
    "Trigger",
    "WatchedResource",
]


class Backoff(StrEnum):
    """How the pause before a retry grows."""

    LINEAR = "linear"
    EXPONENTIAL = "exponential"


@dataclass(frozen=True, slots=True)
class Destination:
    """Where events go: an object of the cluster, or a URL.

    Attributes
    ----------
    kind
        ``Service`` or ``Broker``; empty when there is only a URL.
    namespace
        The object's namespace.
    name
        The object's name.
    uri
        A URL; together with an object, a path to join to the object's URL.
    """

    kind: str = ""
    namespace: str = ""
    name: str = ""
    uri: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}{self.uri}" if self.kind else self.uri


@dataclass(frozen=True, slots=True)
class Delivery:
    """How hard to try, and what happens then.

    Attributes
    ----------
    retry
        Attempts after the first.
    backoff
        How the pauses grow.
    backoff_delay
        The unit of the pauses; without it a retry comes at once.
    timeout
        How long one attempt may take; `None` leaves it to the broker.
    dead_letter_sink
        Who gets what nobody took.
    """

    retry: int = 0
    backoff: Backoff = Backoff.EXPONENTIAL
    backoff_delay: timedelta = timedelta(0)
    timeout: timedelta | None = None
    dead_letter_sink: Destination | None = None

    def pause(self, number: int) -> timedelta:
        """Say how long to wait before a retry, without jitter.

        Parameters
        ----------
        number
            0 for the first retry; the linear policy therefore starts at once.
        """
        return self.backoff_delay * (number if self.backoff is Backoff.LINEAR else 2**number)


@dataclass(frozen=True, slots=True)
class Broker:
    """An event broker; its ingress path is ``/<namespace>/<name>``."""

    namespace: str
    name: str
    delivery: Delivery | None = None


@dataclass(frozen=True, slots=True)
class Trigger:
    """A subscription to a broker of the same namespace.

    Attributes
    ----------
    delivery
        Already merged with the Broker's, as Knative merges it.
    """

    namespace: str
    name: str
    broker: str
    subscriber: Destination
    accepts: Filter = field(compare=False, repr=False)
    delivery: Delivery


@dataclass(frozen=True, slots=True)
class WatchedResource:
    """A kind of object to watch.

    Attributes
    ----------
    label_selector
        As the API's query parameter has it; `None` selects all.
    """

    api_version: str
    kind: str
    label_selector: str | None = None


@dataclass(frozen=True, slots=True)
class ApiServerSource:
    """Turns changes of objects into events.

    Attributes
    ----------
    watched_namespace
        `None` watches all namespaces.
    accepts
        Which events are sent.
    extensions
        Attributes added to every event.
    """

    namespace: str
    name: str
    resources: tuple[WatchedResource, ...]
    watched_namespace: str | None
    sink: Destination
    accepts: Filter = field(compare=False, repr=False)
    extensions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PingSource:
    """Sends an event by the clock.

    Attributes
    ----------
    schedule
        Five cron fields, six with leading seconds, or ``@hourly`` and the like.
    timezone
        An IANA name; the schedule is read in this zone.
    """

    namespace: str
    name: str
    schedule: str
    timezone: str
    content_type: str
    data: bytes
    sink: Destination
    extensions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Service:
    """A ``serving.knative.dev/v1`` Service, as far as it matters without containers.

    Attributes
    ----------
    env
        The first container's plain environment; what comes from Secrets,
        ConfigMaps and fields is the cluster's business.
    annotations
        The revision template's, ``autoscaling.knative.dev/min-scale`` for example.
    command
        The first container's command and arguments; empty leaves it to the image.
    """

    namespace: str
    name: str
    env: Mapping[str, str]
    annotations: Mapping[str, str]
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SinkBinding:
    """Gives a Service its ``K_SINK``."""

    namespace: str
    name: str
    subject: Destination
    sink: Destination
    extensions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Manifests:
    """Everything that the local stack interprets, in the order of the manifest."""

    brokers: tuple[Broker, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    api_server_sources: tuple[ApiServerSource, ...] = ()
    ping_sources: tuple[PingSource, ...] = ()
    services: tuple[Service, ...] = ()
    sink_bindings: tuple[SinkBinding, ...] = ()
