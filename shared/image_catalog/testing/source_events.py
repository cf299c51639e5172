"""The events that an ApiServerSource of mode Resource makes of changes."""

from __future__ import annotations

import uuid

from image_catalog.events import SourceType
from image_catalog.local.knative import CloudEvent
from image_catalog.local.kubernetes.storage.store import Change
from image_catalog.models.names import GROUP

__all__ = ["change_event"]

_CHANGES = {
    "ADDED": SourceType.RESOURCE_ADDED,
    "MODIFIED": SourceType.RESOURCE_UPDATED,
    "DELETED": SourceType.RESOURCE_DELETED,
}
_WATCHED = frozenset({"imagebuilds", "catalogimages"})


def change_event(kind: tuple[str, str], change: Change) -> CloudEvent | None:
    """Return the event of a change; `None` for kinds that nobody watches.

    Parameters
    ----------
    kind
        Group and plural.
    change
        What was committed.
    """
    group, plural = kind
    if group != GROUP or plural not in _WATCHED:
        return None
    item = change.stored.body
    metadata = item["metadata"]
    attributes = {
        "specversion": "1.0",
        "id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{metadata['uid']} {metadata['resourceVersion']}")),
        "type": str(_CHANGES[change.kind]),
        "source": "https://kubernetes.default.svc",
        "subject": f"/apis/{item['apiVersion']}/namespaces/{metadata['namespace']}/{plural}/{metadata['name']}",
        "datacontenttype": "application/json",
        "apiversion": item["apiVersion"],
        "kind": item["kind"],
        "name": metadata["name"],
        "namespace": metadata["namespace"],
    }
    return CloudEvent(attributes, change.stored.encoded)
