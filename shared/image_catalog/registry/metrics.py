"""What the registry client counts."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

from image_catalog.models import CircuitState

__all__ = ["count_refusal", "count_request", "show_circuit"]

_REQUESTS = Counter(
    "image_catalog_registry_requests",
    "Requests to registries and their token servers, by the registry that they were made for.",
    ["registry", "method", "outcome"],
)

_REFUSALS = Counter(
    "image_catalog_registry_refusals",
    "What was not asked of registries: their circuit is open, they asked us to slow down, or have no place free.",
    ["registry", "reason"],
)

_CIRCUIT = Gauge(
    "image_catalog_registry_circuit_state",
    "Whether this process lets requests through to a registry: 0 closed, 1 half-open, 2 open.",
    ["registry"],
)

_REGISTRIES_COUNTED = 256
"""Registries with series of their own; users type hosts, so the rest shares the name below."""

_OTHER = "other"

_OUTCOMES = {200: "ok", 401: "unauthorized", 403: "forbidden", 404: "not_found", 429: "rate_limited"}
_FAMILIES = {2: "ok", 3: "redirect", 4: "client_error", 5: "server_error"}

_STATES = {CircuitState.CLOSED: 0, CircuitState.HALF_OPEN: 1, CircuitState.OPEN: 2}

_registries: set[str] = set()
_circuits: dict[str, CircuitState] = {}
_children: dict[tuple[str, str, int | str], Counter] = {}


def count_request(registry: str, method: str, outcome: int | str) -> None:
    """Count one request.

    Parameters
    ----------
    registry
        ``host[:port]`` that it was made for.
    method
        The HTTP method.
    outcome
        The status of the answer, or one word for why there was none.
    """
    child = _children.get((registry, method, outcome))
    if child is None:
        child = _child(registry, method, outcome)
    child.inc()


def _child(registry: str, method: str, outcome: int | str) -> Counter:
    word = outcome if isinstance(outcome, str) else _OUTCOMES.get(outcome) or _FAMILIES.get(outcome // 100, "invalid")
    if not _is_counted(registry):
        # Not kept by its name: a dictionary of all names would be what the bound is against.
        return _REQUESTS.labels(registry=_OTHER, method=method, outcome=word)
    child = _REQUESTS.labels(registry=registry, method=method, outcome=word)
    _children[registry, method, outcome] = child
    return child


def count_refusal(registry: str, reason: str) -> None:
    """Count one request that was not made.

    Parameters
    ----------
    registry
        ``host[:port]`` that it would have been made for.
    reason
        ``circuit_open``, ``rate_limited`` or ``busy``.
    """
    _REFUSALS.labels(registry=registry if _is_counted(registry) else _OTHER, reason=reason).inc()


def show_circuit(registry: str, state: CircuitState) -> None:
    """Show the state of a registry's circuit.

    Parameters
    ----------
    registry
        ``host[:port]`` as references name it.
    state
        How it is now.
    """
    if _circuits.get(registry, CircuitState.CLOSED) is not state and _is_counted(registry):
        _circuits[registry] = state
        _CIRCUIT.labels(registry=registry).set(_STATES[state])


def _is_counted(registry: str) -> bool:
    if registry not in _registries and len(_registries) < _REGISTRIES_COUNTED:
        _registries.add(registry)
    return registry in _registries
