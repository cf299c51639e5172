"""Events in their two API groups, stored in the form of the core group.

The API server keeps one object for both; ``events.k8s.io`` renames fields:
https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
"""

from __future__ import annotations

from image_catalog.local.kubernetes.status import Cause, invalid_value, required
from image_catalog.local.kubernetes.storage.store import Body

__all__ = ["from_core", "prepare_core", "to_core", "validate_core", "validate_new"]

_RENAMED = {
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
"""The new group's names, with the core group's."""

_BACK = {core: new for new, core in _RENAMED.items()}


def prepare_core(body: Body) -> Body:
    """Fill in the fields that a core event always shows."""
    return {
        "involvedObject": {},
        "source": {},
        "firstTimestamp": None,
        "lastTimestamp": None,
        "eventTime": None,
        "reportingComponent": "",
        "reportingInstance": "",
        **body,
    }


def validate_core(body: Body, _old: Body | None) -> list[Cause]:
    """Check that the event lies in the namespace of its object."""
    involved = body["involvedObject"].get("namespace", "")
    # Events about cluster-scoped objects live in the default namespace.
    if involved != body["metadata"].get("namespace") and not (
        not involved and body["metadata"].get("namespace") == "default"
    ):
        return [invalid_value("involvedObject.namespace", f'"{involved}"', "does not match event.namespace")]
    return []


def to_core(body: Body) -> Body:
    """Turn an ``events.k8s.io`` event into the stored form."""
    core = {_RENAMED.get(name, name): value for name, value in body.items()}
    return prepare_core({**core, "apiVersion": "v1"})


def from_core(body: Body) -> Body:
    """Show a stored event as ``events.k8s.io`` does."""
    return {**{_BACK.get(name, name): value for name, value in body.items()}, "apiVersion": "events.k8s.io/v1"}


def validate_new(body: Body, old: Body | None) -> list[Cause]:
    """Check what the new group requires of a new event, which is stored as a core one already."""
    causes = validate_core(body, old)
    if old is not None:
        return causes
    if not body.get("eventTime"):
        causes.append(required("eventTime"))
    causes += [
        required(_BACK.get(name, name))
        for name in ("reportingComponent", "reportingInstance", "action", "reason")
        if not body.get(name)
    ]
    if body.get("type") not in ("Normal", "Warning"):
        causes.append(invalid_value("type", f'"{body.get("type", "")}"', "has invalid value"))
    return causes
