"""The last publication that was applied to an entry, kept on the entry itself.

A publication is two writes, spec and status. Whoever writes the status next
can complete the version from this record if the publisher dies in between.
It also remembers what was published, so that a later publication can tell
what a person has changed since.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import Field, ValidationError

from image_catalog.models import AuthSecretRef, CatalogImage, KubernetesModel, Promotion, SourceImageBuild
from image_catalog.models.kubernetes import Time
from image_catalog.models.names import ANNOTATION_PUBLICATION

__all__ = ["Publication", "parse_publication", "read_publication"]


class Publication(KubernetesModel):
    """One publication as it was applied to an entry's spec."""

    cause: str
    """Id of the event that caused it."""
    time: Time
    """What publications are ordered by: completion of the build, or time of the request."""
    applied_at: Time
    """When the spec was written."""
    digest: str | None = None
    """Content that was checked; absent when the registry was not asked."""
    build: SourceImageBuild | None = None
    """The build that was published."""
    promoted_from: Promotion | None = None
    """The entry that the image was promoted from."""
    auth_secret_ref: AuthSecretRef | None = None
    """The Secret that was published."""
    metadata: dict[str, Any] = Field(default_factory=dict)
    """The metadata that was published, as it stood on the wire."""
    traceparent: str | None = None
    """Trace that the publication is part of, where it is traced: sources of changes carry none."""

    def to_annotation(self) -> dict[str, str]:
        """Return the annotation that keeps the record."""
        return {ANNOTATION_PUBLICATION: json.dumps(self.to_dict(), separators=(",", ":"), sort_keys=True)}


def read_publication(image: CatalogImage) -> Publication | None:
    """Return the record on an entry; `None` when there is none that can be read.

    A person may edit annotations: a broken record means the same as none, and
    the next publication writes a good one.
    """
    return parse_publication(image.metadata.annotations.get(ANNOTATION_PUBLICATION))


def parse_publication(text: str | None) -> Publication | None:
    """Return the record in an annotation's text; `None` when there is none that can be read."""
    if not text:
        return None
    try:
        return Publication.model_validate_json(text)
    except ValidationError:
        return None
