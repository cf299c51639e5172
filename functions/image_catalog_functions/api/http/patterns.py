"""The pattern of a request's path, which figures and traces are told by: never a path that somebody chose."""

from __future__ import annotations

from collections.abc import Iterable

from image_catalog_functions.api.http.asgi import Scope

__all__ = ["pattern_of"]


def pattern_of(scope: Scope, above: Iterable[str]) -> str | None:
    """Return the pattern of the route that took a request; `None` when none did.

    Parameters
    ----------
    scope
        The request's, once it has been answered.
    above
        What the calls' paths begin with: a route that is included below a prefix names itself without it.
    """
    pattern: str | None = getattr(scope.get("route"), "path", None)
    if pattern is None:
        return None
    prefix = next((prefix.rstrip("/") for prefix in above if scope["path"].startswith(prefix)), "")
    return pattern if pattern.startswith(prefix) else f"{prefix}{pattern}"
