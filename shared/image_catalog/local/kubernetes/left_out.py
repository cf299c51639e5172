"""What the embedded API leaves out: the one list, each entry with its reason.

A request for it is answered with 501 and a Status body, unless the entry says
what is answered instead.
"""

from __future__ import annotations

from collections.abc import Mapping

from image_catalog.local.kubernetes.status import StatusError, not_implemented

__all__ = ["ANSWERED_OTHERWISE", "LEFT_OUT", "left_out"]

LEFT_OUT: Mapping[str, str] = {
    "server-side apply": (
        "who owns a field is told (managedFields), and not enforced; kubectl apply without --server-side and merge "
        "patches work"
    ),
    "conversion webhooks": "nothing is called from here; versions of a CRD must differ in name only",
    "namespace finalize": "namespaces are finalized by the server itself once they are empty",
}
"""What is answered with 501, and why."""

ANSWERED_OTHERWISE: Mapping[str, str] = {
    "protobuf answers": "JSON is sent, which every client that names it accepts; protobuf alone is answered 406",
    "managedFields": "told of custom resources alone; a list is one field, and its items have no owners of their own",
    "duplicate keys in a body": "the last one counts, also under fieldValidation=Strict; kubectl sends none",
    "CEL over dates and durations": "a rule sees them as strings, and the cost budget of rules is not counted",
    "schema combinations": "allOf, anyOf, oneOf and not judge values; they carry no defaults and do not prune",
    "admission webhooks, quotas, priorities": "nothing else is installed that could ask for them",
    "waiting for a resource version in the future": "answered 504 at once, not after three seconds",
    "scale subresource": "none of the kinds has replicas; the path is answered 404",
    "pods, services and other kinds": "404: what the catalog does not need is not served, so `kubectl get all` is not",
    "server version": "told as 1.32: the kubectl of the Google Cloud SDK runs the client of the version it reads there",
    "OpenAPI v2": "an empty message, which kubectl takes for no schemas; explain and field validation read v3",
    "expiry of events": "they stay until they are deleted; a cluster drops them after an hour",
    "OpenID discovery": "not served, service account tokens are checked by TokenReview; no right to read it is listed",
    "removal of a CRD": "it is gone with its objects as soon as the deletion was answered, not a moment later",
    "garbage collection": "runs inside, where the recorded server had no controller manager beside it",
}
"""What behaves differently without being an error of its own, and how."""


def left_out(what: str) -> StatusError:
    """Make the 501 for an entry of `LEFT_OUT`."""
    return not_implemented(what, LEFT_OUT[what])
