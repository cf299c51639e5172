"""Errors as the API server tells them: a code, a reason, and a ``Status`` body.

The reasons are those of ``metav1.StatusReason``; see
https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from image_catalog.errors import CatalogError
from image_catalog.local.kubernetes.resources import Resource

__all__ = [
    "Cause",
    "StatusError",
    "already_exists",
    "bad_request",
    "conflict",
    "details_of",
    "expired",
    "forbidden_field",
    "internal_error",
    "invalid",
    "invalid_options",
    "invalid_value",
    "not_acceptable",
    "not_found",
    "not_implemented",
    "required",
    "status_body",
    "unauthorized",
    "unsupported_media_type",
    "version_too_large",
]


@dataclass(frozen=True, slots=True)
class Cause:
    """One entry of ``details.causes``.

    Attributes
    ----------
    reason
        ``FieldValueInvalid``, ``FieldValueRequired`` and so on.
    message
        What is wrong, in the API server's words, without the field.
    field
        Path of the field, ``spec.tags[1]`` for example.
    """

    reason: str
    message: str
    field: str


class StatusError(CatalogError):
    """An answer of the API server that is not a success.

    Parameters
    ----------
    code
        HTTP status code.
    reason
        ``metav1.StatusReason``, empty where the API server gives none.
    message
        One sentence for people.
    details
        The ``details`` of the Status body; None leaves them out.
    """

    def __init__(self, code: int, reason: str, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status_reason = reason
        self.details = details

    def body(self) -> dict[str, Any]:
        """Build the Status body."""
        body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.status_reason:
            body["reason"] = self.status_reason
        if self.details is not None:
            body["details"] = self.details
        body["code"] = self.code
        return body


def status_body(resource: Resource, name: str, uid: str) -> dict[str, Any]:
    """Build the Status that tells a deletion's success."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {**details_of(resource, name), "uid": uid},
    }


def details_of(resource: Resource, name: str = "", *, kind: str | None = None) -> dict[str, Any]:
    """Name an object as ``details`` do; empty parts are left out, as Go does."""
    details = {"name": name, "group": resource.group, "kind": resource.plural if kind is None else kind}
    return {key: value for key, value in details.items() if value}


def not_found(resource: Resource, name: str) -> StatusError:
    """404 for an object."""
    return StatusError(404, "NotFound", f'{resource.group_resource} "{name}" not found', details_of(resource, name))


def already_exists(resource: Resource, name: str, *, terminating: bool = False) -> StatusError:
    """409 for a create that met an object of that name."""
    prefix = "object is being deleted: " if terminating else ""
    message = f'{prefix}{resource.group_resource} "{name}" already exists'
    return StatusError(409, "AlreadyExists", message, details_of(resource, name))


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def conflict(resource: Resource, name: str, why: str = MODIFIED, *, kind: str | None = None) -> StatusError:
    """409 for a write whose precondition does not hold."""
    subject = resource.group_resource if kind is None else kind_name(resource, kind)
    message = f'Operation cannot be fulfilled on {subject} "{name}": {why}'
    return StatusError(409, "Conflict", message, details_of(resource, name, kind=kind))


def kind_name(resource: Resource, kind: str) -> str:
    """Name a kind as validation messages do: ``Secret`` or ``Gadget.contract.example.com``."""
    return f"{kind}.{resource.group}" if resource.group else kind


def invalid(resource: Resource, name: str, causes: Sequence[Cause], *, kind: str | None = None) -> StatusError:
    """422 with its causes.

    Parameters
    ----------
    kind
        What to call the object; its kind unless the API server, as for an
        update without resource version, names the plural.
    """
    kind = resource.kind if kind is None else kind
    return _invalid(f'{kind_name(resource, kind)} "{name}"', details_of(resource, name, kind=kind), causes)


def invalid_options(causes: Sequence[Cause]) -> StatusError:
    """422 for query parameters that do not go together."""
    return _invalid('ListOptions.meta.k8s.io ""', {"group": "meta.k8s.io", "kind": "ListOptions"}, causes)


def _invalid(subject: str, details: Mapping[str, Any], causes: Sequence[Cause]) -> StatusError:
    told = [f"{cause.field}: {cause.message}" for cause in dict.fromkeys(causes)]
    summary = told[0] if len(told) == 1 else f"[{', '.join(told)}]"
    listed = [{"reason": c.reason, "message": c.message, "field": c.field} for c in causes]
    return StatusError(422, "Invalid", f"{subject} is invalid: {summary}", {**details, "causes": listed})


def invalid_value(field: str, value: str, why: str) -> Cause:
    """Cause for a value that breaks a rule; `value` is shown as the API server quotes it."""
    return Cause("FieldValueInvalid", f"Invalid value: {value}: {why}", field)


def required(field: str, why: str = "") -> Cause:
    """Cause for a field that must be there."""
    return Cause("FieldValueRequired", f"Required value: {why}" if why else "Required value", field)


def forbidden_field(field: str, why: str) -> Cause:
    """Cause for a change that may not be made."""
    return Cause("FieldValueForbidden", f"Forbidden: {why}", field)


def bad_request(message: str) -> StatusError:
    """400."""
    return StatusError(400, "BadRequest", message)


def unauthorized() -> StatusError:
    """401."""
    return StatusError(401, "Unauthorized", "Unauthorized")


def expired(message: str) -> StatusError:
    """410: the resource version or continue token is older than the history."""
    return StatusError(410, "Expired", message)


def unsupported_media_type(accepted: Sequence[str]) -> StatusError:
    """415, naming what is accepted."""
    message = "the body of the request was in an unknown format - accepted media types include: "
    return StatusError(415, "UnsupportedMediaType", message + ", ".join(accepted))


def not_acceptable(served: Sequence[str]) -> StatusError:
    """406, naming what is served."""
    return StatusError(406, "NotAcceptable", "only the following media types are accepted: " + ", ".join(served))


def not_implemented(what: str, why: str) -> StatusError:
    """501 for what the embedded API leaves out, see :mod:`image_catalog.local.kubernetes.left_out`."""
    return StatusError(501, "NotImplemented", f"the embedded Kubernetes API leaves out {what}: {why}")


def internal_error(message: str) -> StatusError:
    """500 in the form that the API server gives errors which carry no reason."""
    return StatusError(500, "", message)


def version_too_large(asked: int, current: int) -> StatusError:
    """504: the resource version lies in the future."""
    details = {"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]}
    details_with_retry: dict[str, Any] = {**details, "retryAfterSeconds": 1}
    message = f"Too large resource version: {asked}, current: {current}"
    return StatusError(504, "Timeout", f"Timeout: {message}", details_with_retry)
