"""What an answer that is no success means to the catalog.

The rules are those of the Kubernetes API conventions,
https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md#response-status-kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson

from image_catalog.cluster._kinds import ResourceKind
from image_catalog.cluster._transport import JSON, Response
from image_catalog.errors import (
    AlreadyExistsError,
    CatalogError,
    ClusterUnavailableError,
    ForbiddenError,
    InvalidObjectError,
    Violation,
    WriteConflictError,
)

__all__ = ["GONE", "NOT_FOUND", "Operation", "failure", "read_object"]

OK = 200
UNAUTHORIZED = 401
FORBIDDEN = 403
NOT_FOUND = 404
REQUEST_TIMEOUT = 408
CONFLICT = 409
GONE = 410
TOO_MANY_REQUESTS = 429
SERVER_ERRORS = 500
CLIENT_ERRORS = 400


@dataclass(frozen=True, slots=True)
class Operation:
    """What was asked, in the words of an RBAC rule, so that a message can name it.

    Attributes
    ----------
    verb
        The RBAC verb: ``get``, ``list``, ``watch``, ``create``, ``patch`` or ``delete``.
    kind
        The kind of object.
    namespace
        The namespace; `None` for all of them, or for a cluster-scoped kind.
    name
        The object's name; `None` for a collection.
    subresource
        ``status`` for example.
    """

    verb: str
    kind: ResourceKind
    namespace: str | None = None
    name: str | None = None
    subresource: str | None = None

    def __str__(self) -> str:
        resource = self.kind.resource if self.subresource is None else f"{self.kind.resource}/{self.subresource}"
        words = [self.verb, resource]
        if self.name is not None:
            words.append(self.name)
        if self.namespace is not None:
            words.append(f"in namespace {self.namespace}")
        return " ".join(words)


def read_object(response: Response, operation: Operation) -> JSON:
    """Read the JSON object of an answer.

    Raises
    ------
    ClusterUnavailableError
        When the body is no JSON object: a proxy's page, or an answer cut short.
    """
    try:
        body = orjson.loads(response.body)
    except orjson.JSONDecodeError as e:
        raise ClusterUnavailableError(f"{operation}: the answer {response.status} is no JSON") from e
    if not isinstance(body, dict):
        raise ClusterUnavailableError(f"{operation}: the answer {response.status} is no JSON object")
    return body


def failure(response: Response, operation: Operation) -> CatalogError:
    """Make the error that an unsuccessful answer stands for.

    Parameters
    ----------
    response
        An answer outside 200 to 299.
    operation
        What was asked.
    """
    status = _status_body(response)
    said = str(status.get("message") or f"answer {response.status}")
    message = f"{operation}: {said}"
    code = response.status
    if code in (UNAUTHORIZED, FORBIDDEN):
        return ForbiddenError(f"not allowed to {operation}: {said}")
    if code == CONFLICT:
        exists = status.get("reason") == "AlreadyExists"
        return AlreadyExistsError(message) if exists else WriteConflictError(message)
    if code in (REQUEST_TIMEOUT, TOO_MANY_REQUESTS) or not CLIENT_ERRORS <= code < SERVER_ERRORS:
        return ClusterUnavailableError(message, retry_after=_retry_after(response, status))
    if code == NOT_FOUND and _details(status).get("kind") == "namespaces":
        # Whoever named it needs not know what of the catalog's own was to be made there first.
        return InvalidObjectError(
            f'namespace "{operation.namespace}" not found',
            violations=(Violation("metadata.namespace", "this namespace does not exist"),),
        )
    if code in (NOT_FOUND, GONE):
        # Absent objects are None long before this: what is missing is the kind, which can still be installed.
        return ClusterUnavailableError(message)
    return InvalidObjectError(message, violations=_violations(status))


def _status_body(response: Response) -> JSON:
    """Read a ``Status`` body; anything else counts as an empty one."""
    try:
        body = orjson.loads(response.body)
    except orjson.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) and body.get("kind") == "Status" else {}


def _details(status: JSON) -> dict[str, Any]:
    details = status.get("details")
    return details if isinstance(details, dict) else {}


def _violations(status: JSON) -> tuple[Violation, ...]:
    causes = _details(status).get("causes") or ()
    return tuple(
        Violation(path=str(cause.get("field") or ""), message=str(cause.get("message") or cause.get("reason") or ""))
        for cause in causes
        if isinstance(cause, dict)
        # The API server adds a cause "<nil>" that says only that CEL rules were skipped.
        and cause.get("field") != "<nil>"
    )


def _retry_after(response: Response, status: JSON) -> timedelta | None:
    for value in (response.headers.get("retry-after"), _details(status).get("retryAfterSeconds")):
        try:
            seconds = float(value) if value is not None else 0.0
        except (TypeError, ValueError):
            continue  # The HTTP date form: the API server never sends it, a proxy's may be ignored.
        if seconds > 0:
            return timedelta(seconds=seconds)
    return None
