"""What a manifest must fulfil before the registry keeps it.

The rules and their answers are those of the distribution server, against which
``tests/integration`` compares them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from image_catalog.local.registry._digest import is_digest
from image_catalog.local.registry._media_types import INDEX_TYPES, MANIFEST_TYPES
from image_catalog.local.registry._store import RegistryStore

__all__ = ["Refusal", "check_manifest"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a manifest is not kept: the error's code, message and detail."""

    code: str
    message: str
    detail: Any = None


def check_manifest(store: RegistryStore, repository: str, content: bytes, media_type: str) -> Refusal | None:
    """Check a manifest that is being pushed.

    Parameters
    ----------
    store
        Where the blobs and children must be already.
    repository
        Where it is pushed to.
    content
        Its bytes.
    media_type
        Its ``Content-Type`` without parameters.

    Returns
    -------
    Refusal or None
        `None` when the registry may keep it.
    """
    invalid = Refusal("MANIFEST_INVALID", "manifest invalid")
    document = _parse(content, media_type)
    if document is None:
        return invalid
    try:
        missing = next(_missing(store, repository, document, media_type), None)
    except (KeyError, TypeError, AttributeError):
        return invalid
    if missing is not None:
        return Refusal("MANIFEST_BLOB_UNKNOWN", "blob unknown to registry", missing)
    return None


def _parse(content: bytes, media_type: str) -> dict[str, Any] | None:
    try:
        document = json.loads(content)
    except ValueError:
        return None
    if media_type not in MANIFEST_TYPES or not isinstance(document, dict):
        return None
    # Version 2 is the only one left, and a body must not say another type than its header.
    consistent = document.get("schemaVersion") == 2 and document.get("mediaType", media_type) == media_type  # noqa: PLR2004 explained above
    return document if consistent else None


def _missing(store: RegistryStore, repository: str, document: dict[str, Any], media_type: str) -> Iterator[str]:
    if media_type in INDEX_TYPES:
        for child in document["manifests"]:
            if not is_digest(child["digest"]) or store.manifest(repository, child["digest"]) is None:
                yield child["digest"]
        return
    for descriptor in (document["config"], *document["layers"]):
        # A layer with URLs is kept elsewhere and need not be here.
        if descriptor.get("urls"):
            continue
        if not is_digest(descriptor["digest"]) or store.blob(repository, descriptor["digest"]) is None:
            yield descriptor["digest"]
