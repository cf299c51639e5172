"""Who may do what: the stored roles and bindings, and a small built-in policy.

https://kubernetes.io/docs/reference/access-authn-authz/rbac/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from image_catalog.local.kubernetes.access.auth import User
from image_catalog.local.kubernetes.status import StatusError
from image_catalog.local.kubernetes.storage.store import Change, Store

__all__ = ["Attributes", "Authorizer", "Decision", "forbidden"]

_RBAC = "rbac.authorization.k8s.io"

_USERS_KEPT = 1024
"""Users and namespaces whose rules are remembered."""
_PUBLIC_PATHS = frozenset({"/healthz", "/livez", "/readyz", "/version", "/version/"})
_DISCOVERY_PREFIXES = ("/api", "/apis", "/openapi")

_SELF_REVIEWS: tuple[Mapping[str, Any], ...] = (
    {
        "verbs": ["create"],
        "apiGroups": ["authorization.k8s.io"],
        "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
    },
    {"verbs": ["create"], "apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"]},
)
"""What every authenticated user may do (``system:basic-user``)."""

_EVERYTHING: Mapping[str, Any] = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
_PUBLIC_RULE = {"verbs": ["get"], "nonResourceURLs": sorted(_PUBLIC_PATHS)}
_DISCOVERY_RULE = {
    "verbs": ["get"],
    "nonResourceURLs": [
        "/api",
        "/api/*",
        "/apis",
        "/apis/*",
        "/healthz",
        "/livez",
        "/openapi",
        "/openapi/*",
        "/readyz",
        "/version",
        "/version/",
    ],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """What is to be done.

    Attributes
    ----------
    namespace
        Empty for cluster-scoped kinds and for all namespaces.
    subresource
        ``status`` for example; empty for the object itself.
    name
        Empty for collections.
    path
        Set for requests that are not about a resource; then only `verb` counts beside it.
    """

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether it may be done, and which binding says so."""

    allowed: bool
    reason: str = ""


_ALLOWED, _DENIED = Decision(allowed=True), Decision(allowed=False)


@dataclass(frozen=True, slots=True)
class _Grant:
    """A rule, taken apart once, and not for every request; `None` for all names."""

    verbs: frozenset[str]
    groups: frozenset[str]
    resources: frozenset[str]
    names: frozenset[str] | None
    decision: Decision

    @classmethod
    def of(cls, rule: Mapping[str, Any], reason: str) -> Self:
        verbs, groups, resources = (frozenset(rule.get(part) or ()) for part in ("verbs", "apiGroups", "resources"))
        names = rule.get("resourceNames")
        decision = Decision(allowed=True, reason=reason)
        return cls(verbs, groups, resources, frozenset(names) if names else None, decision)

    def covers(self, attributes: Attributes) -> bool:
        if attributes.verb not in self.verbs and "*" not in self.verbs:
            return False
        if attributes.group not in self.groups and "*" not in self.groups:
            return False
        if self.names is not None and attributes.name not in self.names:
            return False
        if "*" in self.resources:
            return True
        if not attributes.subresource:
            return attributes.resource in self.resources
        of_any = f"*/{attributes.subresource}"
        return f"{attributes.resource}/{attributes.subresource}" in self.resources or of_any in self.resources


class Authorizer:
    """Decides by group, by the built-in policy, and by the stored RBAC objects.

    Parameters
    ----------
    store
        Where roles and bindings are.
    """

    def __init__(self, *, store: Store) -> None:
        self._store = store
        self._known: dict[tuple[str, tuple[str, ...], str], tuple[_Grant, ...]] = {}
        store.listen(self._forget)

    def decide(self, user: User, attributes: Attributes) -> Decision:
        """Decide about one action of one user."""
        if "system:masters" in user.groups:
            return _ALLOWED
        if attributes.path:
            return _ALLOWED if self._path_allowed(user, attributes) else _DENIED
        for grant in self._granted(user, attributes.namespace):
            if grant.covers(attributes):
                return grant.decision
        return _DENIED

    def rules_of(self, user: User, namespace: str) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
        """Return the resource rules and the path rules of a user in a namespace."""
        resources = [rule for rule, _ in self._rules(user, namespace) if rule.get("resources")]
        paths: list[Mapping[str, Any]] = [_PUBLIC_RULE]
        if "system:authenticated" in user.groups:
            paths.append(_DISCOVERY_RULE)
        if "system:masters" in user.groups:
            resources.insert(0, _EVERYTHING)
            paths.insert(0, {"verbs": ["*"], "nonResourceURLs": ["*"]})
        return resources, paths

    def _path_allowed(self, user: User, attributes: Attributes) -> bool:
        if attributes.verb != "get":
            return False
        if attributes.path in _PUBLIC_PATHS:
            return True
        known = any(attributes.path == p or attributes.path.startswith(p + "/") for p in _DISCOVERY_PREFIXES)
        return known and "system:authenticated" in user.groups

    def _granted(self, user: User, namespace: str) -> tuple[_Grant, ...]:
        """Return a user's rights, which are the same from one request to the next until somebody changes a role."""
        key = user.name, user.groups, namespace
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _USERS_KEPT:
                self._known.clear()
            known = self._known[key] = tuple(_Grant.of(rule, reason) for rule, reason in self._rules(user, namespace))
        return known

    def _forget(self, kind: tuple[str, str], _: Change) -> None:
        if kind[0] == _RBAC:
            self._known.clear()

    def _rules(self, user: User, namespace: str) -> Iterable[tuple[Mapping[str, Any], str]]:
        if "system:authenticated" in user.groups:
            yield from ((rule, "") for rule in _SELF_REVIEWS)
        for binding in self._store.bucket((_RBAC, "clusterrolebindings")).select(None):
            yield from self._bound(user, binding.body, "")
        if namespace:
            for binding in self._store.bucket((_RBAC, "rolebindings")).select(namespace):
                yield from self._bound(user, binding.body, namespace)

    def _bound(self, user: User, binding: Mapping[str, Any], namespace: str) -> Iterable[tuple[Mapping[str, Any], str]]:
        subject = next((s for s in binding.get("subjects") or () if _is(user, s, namespace)), None)
        if subject is None:
            return
        reference = binding["roleRef"]
        cluster = reference["kind"] == "ClusterRole"
        bucket = self._store.bucket((_RBAC, "clusterroles" if cluster else "roles"))
        role = bucket.get(("" if cluster else namespace, reference["name"]))
        if role is None:
            return
        name = binding["metadata"]["name"]
        full = f"{name}/{namespace}" if namespace else name
        who = subject["name"]
        if subject["kind"] == "ServiceAccount":
            who = f"{who}/{subject.get('namespace') or namespace}"
        reason = (
            f'RBAC: allowed by {binding["kind"]} "{full}" of {reference["kind"]} "{reference["name"]}" '
            f'to {subject["kind"]} "{who}"'
        )
        for rule in role.body.get("rules") or ():
            yield rule, reason


def _is(user: User, subject: Mapping[str, Any], namespace: str) -> bool:
    match subject.get("kind"):
        case "User":
            return bool(subject["name"] == user.name)
        case "Group":
            return subject["name"] in user.groups
        case "ServiceAccount":
            home = subject.get("namespace") or namespace
            return bool(user.name == f"system:serviceaccount:{home}:{subject['name']}")
        case _:
            return False


def forbidden(user: User, attributes: Attributes) -> StatusError:
    """403 in the API server's words."""
    if attributes.path:
        message = f'forbidden: User "{user.name}" cannot {attributes.verb} path "{attributes.path}"'
        return StatusError(403, "Forbidden", message, {})
    resource = attributes.resource + (f"/{attributes.subresource}" if attributes.subresource else "")
    subject = f"{attributes.resource}.{attributes.group}" if attributes.group else attributes.resource
    named = f' "{attributes.name}"' if attributes.name else ""
    scope = f'in the namespace "{attributes.namespace}"' if attributes.namespace else "at the cluster scope"
    message = (
        f'{subject}{named} is forbidden: User "{user.name}" cannot {attributes.verb} resource "{resource}" '
        f'in API group "{attributes.group}" {scope}'
    )
    details = {"name": attributes.name, "group": attributes.group, "kind": attributes.resource}
    return StatusError(403, "Forbidden", message, {key: value for key, value in details.items() if value})
