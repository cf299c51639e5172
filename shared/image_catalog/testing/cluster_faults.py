"""What can go wrong between the catalog and an API server, made to order."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from urllib.parse import unquote

import orjson

from image_catalog.cluster import Response

__all__ = ["WRITES", "Call", "Effect", "Fault", "answer", "parse_call", "status_body"]

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
"""The verbs that change something."""


class Effect(Enum):
    """How a call fails."""

    CONFLICT = "conflict"
    """409: somebody else wrote first."""
    TIMEOUT_BEFORE = "time-out before"
    """No answer, and nothing happened."""
    TIMEOUT_AFTER = "time-out after"
    """No answer, though it was carried out."""
    UNAVAILABLE = "unavailable"
    """503 with ``Retry-After: 1``."""
    INTERNAL = "internal"
    """500 with a page that is no JSON."""
    THROTTLED = "throttled"
    """429 with ``Retry-After: 1``: nothing happened, come again."""
    GONE = "gone"
    """410: the continuation or version has expired; a watch gets it as its first event."""
    FORBIDDEN = "forbidden"
    """403: the ServiceAccount lacks the right."""
    INVALID = "invalid"
    """422: the object breaks its schema."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request, in the words of an RBAC rule.

    Attributes
    ----------
    actor
        The ServiceAccount that asked.
    verb
        The RBAC verb.
    group
        The API group; empty for the core group.
    resource
        The resource's plural.
    subresource
        ``status`` for example; empty for the object itself.
    namespace
        Empty for all namespaces, or for a cluster-scoped kind.
    name
        Empty for a collection.
    """

    actor: str
    verb: str
    group: str
    resource: str
    subresource: str = ""
    namespace: str = ""
    name: str = ""

    @property
    def rule(self) -> tuple[str, str, str]:
        """API group, resource with its subresource, and verb: what a Role must grant."""
        resource = f"{self.resource}/{self.subresource}" if self.subresource else self.resource
        return (self.group, resource, self.verb)


@dataclass(slots=True)
class Fault:
    """A fault that waits for its call.

    Attributes
    ----------
    effect
        What happens: an `Effect`, or something to do just before the call goes
        through (another writer, for example).
    verb
        The RBAC verb; ``write`` for any that changes something, `None` for all.
    resource, subresource, name, actor
        Which calls count; `None` for all. An empty ``subresource`` means the object itself.
    nth
        The first matching call that is hit, counted from 1.
    times
        How many calls are hit from there on.
    """

    effect: Effect | Callable[[], Awaitable[None]]
    verb: str | None = None
    resource: str | None = None
    subresource: str | None = None
    name: str | None = None
    actor: str | None = None
    nth: int = 1
    times: int = 1
    seen: int = 0

    def strikes(self, call: Call) -> bool:
        """Count the call if it matches, and tell whether it is hit."""
        verb_matches = self.verb is None or self.verb == call.verb or (self.verb == "write" and call.verb in WRITES)
        wanted = (self.resource, self.subresource, self.name, self.actor)
        given = (call.resource, call.subresource, call.name, call.actor)
        if not verb_matches or any(w is not None and w != g for w, g in zip(wanted, given, strict=True)):
            return False
        self.seen += 1
        return self.nth <= self.seen < self.nth + self.times


_PATH = re.compile(
    r"/(?:api/(?P<core>[^/]+)|apis/(?P<group>[^/]+)/[^/]+)"
    r"(?:/namespaces/(?P<namespace>[^/]+)(?=/[^/]+))?"
    r"/(?P<resource>[^/]+)(?:/(?P<name>[^/]+))?(?:/(?P<subresource>[^/]+))?"
)


def parse_call(actor: str, method: str, path: str, query: Mapping[str, str] | None) -> Call:
    """Read a request as an authorizer does.

    See https://kubernetes.io/docs/reference/access-authn-authz/authorization/#determine-the-request-verb.
    """
    return _parse_call(actor, method, path, watching=(query or {}).get("watch") == "true")


@lru_cache(maxsize=4096)
def _parse_call(actor: str, method: str, path: str, *, watching: bool) -> Call:
    match = _PATH.fullmatch(path)
    if match is None:
        return Call(actor, method.lower(), "", path)
    part = {key: unquote(value or "") for key, value in match.groupdict().items()}
    if method == "GET":
        verb = "watch" if watching else "get" if part["name"] else "list"
    elif method == "DELETE":
        verb = "delete" if part["name"] else "deletecollection"
    else:
        verb = {"POST": "create", "PUT": "update", "PATCH": "patch"}[method]
    return Call(actor, verb, part["group"], part["resource"], part["subresource"], part["namespace"], part["name"])


def status_body(code: int, reason: str, message: str) -> bytes:
    """Write the ``Status`` that an API server answers a failure with."""
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return orjson.dumps({**status, "message": message, "reason": reason, "code": code})


_ANSWERS = {
    Effect.CONFLICT: (409, "Conflict", "the object has been modified"),
    Effect.UNAVAILABLE: (503, "ServiceUnavailable", "the API server is shutting down"),
    Effect.THROTTLED: (429, "TooManyRequests", "too many requests, please try again later"),
    Effect.GONE: (410, "Expired", "the provided continue parameter is too old"),
    Effect.FORBIDDEN: (403, "Forbidden", "the ServiceAccount cannot do that"),
    Effect.INVALID: (422, "Invalid", "the object is invalid"),
}


def answer(effect: Effect) -> Response:
    """Make the answer that stands for an effect."""
    if effect is Effect.INTERNAL:
        return Response(500, {"content-type": "text/html"}, b"<html>upstream connect error</html>")
    code, reason, message = _ANSWERS[effect]
    headers = {"content-type": "application/json"}
    if effect in (Effect.UNAVAILABLE, Effect.THROTTLED):
        headers["retry-after"] = "1"
    return Response(code, headers, status_body(code, reason, message))
