"""What a request is about: its path and method, read as the API server reads them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from image_catalog.local.kubernetes.access.rbac import Attributes

__all__ = ["Target", "parse_target"]

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}


@dataclass(frozen=True, slots=True)
class Target:
    """The place that a path names.

    Attributes
    ----------
    namespace
        None for cluster-scoped kinds and for lists over all namespaces.
    name
        None for the collection.
    subresource
        None for the object itself.
    """

    group: str
    version: str
    plural: str
    namespace: str | None
    name: str | None
    subresource: str | None

    def attributes(self, method: str, *, watch: bool) -> Attributes:
        """Say what `method` would do here, in the words of RBAC."""
        if method in ("GET", "HEAD"):
            verb = "watch" if watch else "get" if self.name is not None else "list"
        elif method == "DELETE":
            verb = "delete" if self.name is not None else "deletecollection"
        else:
            verb = _VERBS.get(method, method.lower())
        return Attributes(
            verb=verb,
            group=self.group,
            resource=self.plural,
            subresource=self.subresource or "",
            namespace=self.namespace or "",
            name=self.name or "",
        )


@lru_cache(maxsize=4096)
def parse_target(path: str) -> Target | None:
    """Read a resource path; None for any other path (discovery among them)."""
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) > 2:  # noqa: PLR2004 - /api/V/plural is the shortest
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:  # noqa: PLR2004 - /apis/G/V/plural is the shortest
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace: str | None = None
    subresources = ("status", "finalize")
    # /namespaces/x/status is about a namespace, /namespaces/x/secrets about what lies in it.
    if rest[0] == "namespaces" and len(rest) > 2 and not (not group and rest[2] in subresources):  # noqa: PLR2004 - same
        namespace, rest = rest[1], rest[2:]
    if not all(rest) or len(rest) > 3:  # noqa: PLR2004 - plural, name, subresource
        return None
    plural, name, subresource = (*rest, None, None)[:3]
    assert plural is not None  # noqa: S101 - rest is not empty, which mypy cannot see
    if not group and plural == "namespaces" and name is not None:
        namespace = None
    return Target(group, version, plural, namespace, name, subresource)
