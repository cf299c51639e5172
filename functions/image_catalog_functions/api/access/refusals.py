"""What a caller is told who may not."""

from __future__ import annotations

from image_catalog.cluster import Caller, ResourceKind
from image_catalog.models.reasons import ProblemReason
from image_catalog_functions.api.http.problems import Problem

__all__ = ["forbidden", "unauthenticated"]

_CHALLENGE = 'Bearer realm="image-catalog"'


def unauthenticated(*, sent: bool) -> Problem:
    """Return the answer to a caller who has not shown who it is.

    See https://www.rfc-editor.org/rfc/rfc6750#section-3: a caller that sent
    nothing is told no error code, because it has made none.

    Parameters
    ----------
    sent
        Whether it sent something that was meant to be a credential.
    """
    if not sent:
        detail = "a bearer token is needed: send Authorization: Bearer <token>, for example from `oc whoami -t` or "
        detail += "`kubectl create token`"
        return Problem(401, ProblemReason.UNAUTHENTICATED, detail, headers={"WWW-Authenticate": _CHALLENGE})
    detail = "the bearer token is not valid here: it is unknown, has expired or is for somebody else; get a new one"
    why = 'error="invalid_token", error_description="unknown, expired, or for another audience"'
    return Problem(401, ProblemReason.UNAUTHENTICATED, detail, headers={"WWW-Authenticate": f"{_CHALLENGE}, {why}"})


def forbidden(caller: Caller, verb: str, kind: ResourceKind, namespace: str | None) -> Problem:
    """Return the answer to a caller whom RBAC does not let do this, with the command that shows it."""
    where = "in any namespace" if namespace is None else f'in namespace "{namespace}"'
    scope = "--all-namespaces" if namespace is None else f"--namespace {namespace}"
    detail = (
        f"{caller.username} may not {verb} {kind.resource} {where}; ask for a role that grants it, "
        f"then see: kubectl auth can-i {verb} {kind.resource} {scope}"
    )
    details = {"verb": verb, "resource": kind.resource, "namespace": namespace, "user": caller.username}
    return Problem(403, ProblemReason.FORBIDDEN, detail, details=details)
