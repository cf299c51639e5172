"""What a registry is answered, and what the OpenAPI document says of notifications."""

from __future__ import annotations

from typing import Any, Final

from pydantic import Field

from image_catalog.models.kubernetes import KubernetesModel
from image_catalog_functions.api.http.documents import REGISTRY, REGISTRY_IN_QUERY

__all__ = ["FORM", "NotificationAnswer"]


class NotificationAnswer(KubernetesModel):
    """What became of a notification: figures, and no names.

    A registry knows its repositories. Who in the cluster keeps entries of them,
    under which names, is none of its business.
    """

    pushes: int = Field(ge=0)
    """Pushes and deletions that it tells of."""
    requested: int = Field(ge=0)
    """Entries whose check has been asked for."""
    postponed: int = Field(ge=0)
    """Entries that will be checked, too, as soon as their pace or their registry's allows it."""


_EXAMPLE: Final[dict[str, Any]] = {
    "events": [
        {
            "id": "320678d8-ca14-430f-8bb6-4ca139cd83f7",
            "timestamp": "2026-03-09T14:44:26.402973972Z",
            "action": "push",
            "target": {
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": "sha256:9b74c9897bac770ffc029102a200c5de3c4a4a5f6a1f9a3f0f6d1f9c0c6e2a51",
                "repository": "acme/autosd",
                "tag": "cs9-qemu",
            },
        }
    ]
}

FORM: Final[dict[str, Any]] = {
    "security": [{REGISTRY: []}, {REGISTRY_IN_QUERY: []}],
    "requestBody": {
        "required": True,
        "description": "What the registry sends, in its own form, whatever media type it says: an envelope of "
        "distribution, or a notification of Quay, Harbor or Docker Hub. Shown is distribution's.",
        "content": {"application/json": {"schema": {"type": "object"}, "example": _EXAMPLE}},
    },
}
"""The declaration of proof and body, for ``openapi_extra``: all that the bodies of four senders share is their kind."""
