"""Kinds that are answered and not stored: tokens and reviews.

https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from image_catalog.local.kubernetes.access.auth import API_AUDIENCE, Authenticator, TokenRejectedError, User
from image_catalog.local.kubernetes.access.rbac import Attributes, Authorizer
from image_catalog.local.kubernetes.objects.meta import timestamp
from image_catalog.local.kubernetes.objects.shapes import SHAPES, TOKEN_REQUEST
from image_catalog.local.kubernetes.objects.writes import check_shape
from image_catalog.local.kubernetes.resources import Resource
from image_catalog.local.kubernetes.status import StatusError, bad_request, invalid, invalid_value
from image_catalog.local.kubernetes.storage.store import Body, Store, Stored

__all__ = ["Reviews"]

_DEFAULT_LIFETIME = timedelta(hours=1)
_SHORTEST_LIFETIME = timedelta(minutes=10)
_LONGEST_LIFETIME = timedelta(seconds=1 << 32)
_BOUND_TO = {"Pod": "pods", "Secret": "secrets"}
"""What a token may end with, of the kinds that there are here."""


class Reviews:
    """Answers the review kinds and token requests.

    Parameters
    ----------
    authenticator, authorizer
        What the answers come from.
    store
        Where the objects are that tokens may end with.
    clock
        Tells the time of an answer.
    """

    def __init__(
        self,
        *,
        authenticator: Authenticator,
        authorizer: Authorizer,
        store: Store,
        clock: Callable[[], datetime],
    ) -> None:
        self._authenticator = authenticator
        self._store = store
        self._authorizer = authorizer
        self._clock = clock
        self._answers: Mapping[str, Callable[[Resource, User, str, Body], Body]] = {
            "TokenReview": self._token_review,
            "SelfSubjectReview": self._self_review,
            "SubjectAccessReview": self._access_review,
            "LocalSubjectAccessReview": self._access_review,
            "SelfSubjectAccessReview": self._own_access_review,
            "SelfSubjectRulesReview": self._rules_review,
        }

    def answer(self, resource: Resource, user: User, namespace: str, body: Any) -> Body:
        """Answer a review.

        Parameters
        ----------
        user
            Who asks.
        namespace
            Empty for reviews that are cluster-scoped.
        body
            The review as it was sent.

        Raises
        ------
        StatusError
            400 or 422 for a review that asks nothing.
        """
        if not isinstance(body, dict):
            raise bad_request(f"the object provided is unrecognized (must be of type {resource.kind})")
        check_shape(resource.kind, resource.version, body, SHAPES[resource.group_resource])
        answered = self._answers[resource.kind](resource, user, namespace, body)
        return {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": {}, **answered}

    def issue_token(self, account: Stored, body: Any) -> Body:
        """Answer a TokenRequest for a service account.

        Raises
        ------
        StatusError
            400 for a body that cannot be read or binds the token to what cannot be, 404 and 409 for an object that
            is not there, 422 for a lifetime outside 10 minutes to 2^32 seconds.
        """
        check_shape("TokenRequest", "v1", body, TOKEN_REQUEST)
        spec: Mapping[str, Any] = body.get("spec") or {}
        metadata = account.body["metadata"]
        seconds = spec.get("expirationSeconds")
        lifetime = _DEFAULT_LIFETIME if seconds is None else timedelta(seconds=seconds)
        if not _SHORTEST_LIFETIME <= lifetime <= _LONGEST_LIFETIME:
            raise _bad_lifetime(
                metadata["name"], int(lifetime.total_seconds()), too_short=lifetime < _SHORTEST_LIFETIME
            )
        audiences = list(spec.get("audiences") or [API_AUDIENCE])
        token, expires = self._authenticator.issue(
            metadata["namespace"],
            metadata["name"],
            audiences=audiences,
            lifetime=lifetime,
            secret=self._bound_secret(metadata["namespace"], spec.get("boundObjectRef")),
        )
        return {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "uid": metadata["uid"],
                "creationTimestamp": timestamp(self._clock()),
            },
            "spec": {
                "audiences": audiences,
                "expirationSeconds": int(lifetime.total_seconds()),
                "boundObjectRef": spec.get("boundObjectRef"),
            },
            "status": {"token": token, "expirationTimestamp": timestamp(expires)},
        }

    def _bound_secret(self, namespace: str, reference: Mapping[str, Any] | None) -> Mapping[str, str] | None:
        """Return name and uid of the Secret that a token is to end with."""
        if reference is None:
            return None
        version, kind, name = (reference.get(key) or "" for key in ("apiVersion", "kind", "name"))
        if version != "v1" or kind not in _BOUND_TO:
            group = version if "/" in version else f"/{version}"
            raise bad_request(f"cannot bind token to object of type {group}, Kind={kind}")
        # Nothing runs in Pods here, so none is there.
        stored = self._store.bucket(("", _BOUND_TO[kind])).get((namespace, name))
        if stored is None:
            details = {"name": name, "kind": _BOUND_TO[kind]}
            raise StatusError(404, "NotFound", f'{_BOUND_TO[kind]} "{name}" not found', details)
        uid = stored.body["metadata"]["uid"]
        if reference.get("uid") not in (None, "", uid):
            told = (
                f"the UID in the bound object reference ({reference['uid']}) does not match the UID in record. "
                "The object might have been deleted and then recreated"
            )
            details = {"name": name, "kind": _BOUND_TO[kind]}
            raise StatusError(
                409, "Conflict", f'Operation cannot be fulfilled on {_BOUND_TO[kind]} "{name}": {told}', details
            )
        return {"name": name, "uid": uid}

    def _token_review(self, _resource: Resource, _user: User, _namespace: str, body: Body) -> Body:
        spec: Mapping[str, Any] = body.get("spec") or {}
        token = spec.get("token")
        if not token:
            raise bad_request("token is required for TokenReview in authentication")
        try:
            reviewed, audiences = self._authenticator.review(token, spec.get("audiences") or [API_AUDIENCE])
        except TokenRejectedError as e:
            return {"spec": spec, "status": {"user": {}, "error": e.message}}
        return {
            "spec": spec,
            "status": {"authenticated": True, "user": _user_info(reviewed), "audiences": audiences},
        }

    def _self_review(self, _resource: Resource, user: User, _namespace: str, _body: Body) -> Body:
        return {
            "metadata": {"creationTimestamp": timestamp(self._clock())},
            "status": {"userInfo": _user_info(user)},
        }

    def _access_review(self, resource: Resource, _user: User, namespace: str, body: Body) -> Body:
        spec: Mapping[str, Any] = body.get("spec") or {}
        if not spec.get("user") and not spec.get("groups"):
            cause = invalid_value("spec.user", '""', "at least one of user or group must be specified")
            raise _unnamed_invalid(resource, cause)
        asked = (spec.get("resourceAttributes") or {}).get("namespace", "")
        if namespace and asked != namespace:
            told = f"must match metadata.namespace {namespace}"
            raise _unnamed_invalid(resource, invalid_value("spec.resourceAttributes.namespace", f'"{asked}"', told))
        subject = User(spec.get("user", ""), spec.get("uid", ""), tuple(spec.get("groups") or ()))
        return self._decided(resource, subject, spec)

    def _own_access_review(self, resource: Resource, user: User, _namespace: str, body: Body) -> Body:
        return self._decided(resource, user, body.get("spec") or {})

    def _decided(self, resource: Resource, subject: User, spec: Mapping[str, Any]) -> Body:
        about, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
        if bool(about) == bool(path):
            told = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
            raise _unnamed_invalid(resource, invalid_value("spec.resourceAttributes", "null", told))
        if about:
            known = ("verb", "group", "resource", "subresource", "namespace", "name")
            attributes = Attributes(**{key: about.get(key, "") for key in known})
        else:
            attributes = Attributes(verb=(path or {}).get("verb", ""), path=(path or {}).get("path", ""))
        decision = self._authorizer.decide(subject, attributes)
        status: Body = {"allowed": decision.allowed}
        if decision.reason:
            status["reason"] = decision.reason
        return {"spec": spec, "status": status}

    def _rules_review(self, _resource: Resource, user: User, _namespace: str, body: Body) -> Body:
        namespace = (body.get("spec") or {}).get("namespace", "")
        if not namespace:
            raise bad_request("no namespace on request")
        resources, paths = self._authorizer.rules_of(user, namespace)
        return {
            "spec": {},
            "status": {"resourceRules": resources, "nonResourceRules": paths, "incomplete": False},
        }


def _user_info(user: User) -> Body:
    info = {"username": user.name, "uid": user.uid, "groups": list(user.groups), "extra": dict(user.extra)}
    return {key: value for key, value in info.items() if value}


def _unnamed_invalid(resource: Resource, cause: Any) -> StatusError:
    """422 for a review: it has neither name nor, in the API server's message, a kind."""
    return invalid(resource, "", [cause], kind="")


def _bad_lifetime(name: str, seconds: int, *, too_short: bool) -> StatusError:
    told = (
        "may not specify a duration less than 10 minutes"
        if too_short
        else "may not specify a duration larger than 2^32 seconds"
    )
    cause = invalid_value("spec.expirationSeconds", str(seconds), told)
    details = {
        "name": name,
        "group": "authentication.k8s.io",
        "kind": "TokenRequest",
        "causes": [{"reason": cause.reason, "message": cause.message, "field": cause.field}],
    }
    message = f'TokenRequest.authentication.k8s.io "{name}" is invalid: {cause.field}: {cause.message}'
    return StatusError(422, "Invalid", message, details)
