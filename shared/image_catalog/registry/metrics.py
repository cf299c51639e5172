"""What the registry client counts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from prometheus_client import Counter, Gauge, Histogram

from image_catalog.metrics import exemplar
from image_catalog.models import CircuitState

__all__ = ["BoundedNames", "count_refusal", "count_request", "registry_label", "show_circuit", "show_places"]

_REQUESTS = Counter(
    "image_catalog_registry_requests_total",
    "Requests to registries and their token servers, by the registry that they were made for, and what came back.",
    ["registry", "method", "outcome"],
)

_REFUSALS = Counter(
    "image_catalog_registry_refusals_total",
    "Requests that were not made: the registry's circuit is open, it asked us to slow down, or has no place free.",
    ["registry", "reason"],
)

_DURATION = Histogram(
    "image_catalog_registry_request_duration_seconds",
    "Time from a request to a registry or its token server to the end of the answer, or until there was none.",
    ["registry"],
    # No finer: each registry has series of its own for every one of them.
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)

_CIRCUIT = Gauge(
    "image_catalog_registry_circuit_state",
    "Whether this process lets requests through to a registry: 0 closed, 1 half-open, 2 open.",
    ["registry"],
)

_PLACES = Gauge(
    "image_catalog_registry_places",
    "Checks of a registry's images that this process has room for at present; few while it is slow or not known.",
    ["registry"],
)

_PLACES_TAKEN = Gauge(
    "image_catalog_registry_places_taken",
    "Checks of a registry's images that are under way in this process.",
    ["registry"],
)

_PLACES_AWAITED = Gauge(
    "image_catalog_registry_places_awaited",
    "Checks of a registry's images that wait for a place in this process.",
    ["registry"],
)

_REGISTRIES_COUNTED = 256
"""Registries with series of their own; users type hosts, so the rest shares one name."""


class BoundedNames:
    """Gives the first so many names back as they are, and all that come later as one.

    Parameters
    ----------
    most
        How many names are told apart.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[str] = set()

    def __call__(self, name: str) -> str:
        """Return what figures call something of this name."""
        if name not in self._known and len(self._known) < self._most:
            self._known.add(name)
        return name if name in self._known else "other"


_OUTCOMES = {200: "ok", 401: "unauthorized", 403: "forbidden", 404: "not_found", 429: "rate_limited"}
_FAMILIES = {2: "ok", 3: "redirect", 4: "client_error", 5: "server_error"}

_STATES = {CircuitState.CLOSED: 0, CircuitState.HALF_OPEN: 1, CircuitState.OPEN: 2}

_label = BoundedNames(_REGISTRIES_COUNTED)
_children: dict[tuple[str, str, int | str], tuple[Counter, Histogram]] = {}


def count_request(registry: str, method: str, outcome: int | str, *, took: timedelta) -> None:
    """Count one request.

    Parameters
    ----------
    registry
        ``host[:port]`` that it was made for.
    method
        The HTTP method.
    outcome
        The status of the answer, or one word for why there was none.
    took
        Time until the end of the answer, or until there was none.
    """
    count, duration = _children.get((registry, method, outcome)) or _find_children(registry, method, outcome)
    trace = exemplar()
    count.inc(1, trace)
    duration.observe(took.total_seconds(), trace)


def _find_children(registry: str, method: str, outcome: int | str) -> tuple[Counter, Histogram]:
    word = outcome if isinstance(outcome, str) else _OUTCOMES.get(outcome) or _FAMILIES.get(outcome // 100, "invalid")
    label = registry_label(registry)
    children = _REQUESTS.labels(registry=label, method=method, outcome=word), _DURATION.labels(registry=label)
    if label == registry:
        # Others are not kept by name: a dictionary of all names would be what the bound is against.
        _children[registry, method, outcome] = children
    return children


def count_refusal(registry: str, reason: str) -> None:
    """Count one request that was not made.

    Parameters
    ----------
    registry
        ``host[:port]`` that it would have been made for.
    reason
        ``circuit_open``, ``rate_limited`` or ``busy``.
    """
    _REFUSALS.labels(registry=registry_label(registry), reason=reason).inc()


def show_circuit(registry: str, state: Callable[[], CircuitState]) -> None:
    """Show the state of a registry's circuit, whenever somebody wants to see it.

    Parameters
    ----------
    registry
        ``host[:port]`` as references name it.
    state
        Tells how it is now.
    """
    if registry_label(registry) == registry:
        _CIRCUIT.labels(registry=registry).set_function(lambda: _STATES[state()])


def show_places(registry: str, *, there: int, taken: int, awaited: int) -> None:
    """Show how much of this process a registry has and holds.

    Parameters
    ----------
    registry
        ``host[:port]`` as references name it.
    there
        Its places.
    taken
        Those of them that checks hold.
    awaited
        How many checks wait for one.
    """
    if registry_label(registry) == registry:
        _PLACES.labels(registry=registry).set(there)
        _PLACES_TAKEN.labels(registry=registry).set(taken)
        _PLACES_AWAITED.labels(registry=registry).set(awaited)


def registry_label(registry: str) -> str:
    """Return what figures call a registry: its own name, or ``other`` once there are too many.

    Parameters
    ----------
    registry
        ``host[:port]`` as references name it. Users type it, so it may be anything.
    """
    return _label(registry)
