"""What the registry client counts."""

from __future__ import annotations

from prometheus_client import Counter

__all__ = ["count_request"]

_REQUESTS = Counter(
    "image_catalog_registry_requests",
    "Requests to registries and their token servers, by the registry that they were made for.",
    ["registry", "method", "outcome"],
)

_REGISTRIES_COUNTED = 256
"""Registries with series of their own; users type hosts, so the rest shares the name below."""

_OTHER = "other"

_OUTCOMES = {200: "ok", 401: "unauthorized", 403: "forbidden", 404: "not_found", 429: "rate_limited"}
_FAMILIES = {2: "ok", 3: "redirect", 4: "client_error", 5: "server_error"}

_registries: set[str] = set()
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
    if registry not in _registries:
        if len(_registries) >= _REGISTRIES_COUNTED:
            # Not kept by its name: a dictionary of all names would be what the bound is against.
            return _REQUESTS.labels(registry=_OTHER, method=method, outcome=word)
        _registries.add(registry)
    child = _REQUESTS.labels(registry=registry, method=method, outcome=word)
    _children[registry, method, outcome] = child
    return child
