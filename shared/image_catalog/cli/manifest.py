"""An entry as somebody edits and applies it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from image_catalog.cli.entries import without_server_fields

__all__ = ["manifest"]

_WRITTEN_BY_PEOPLE = ("name", "namespace", "labels", "annotations")
"""Of an object's metadata; the rest is the server's, or the functions' as the finalizer is."""

# The names of `image_catalog.models.names`: to import that costs a command all of pydantic.
_GROUP = "automotive.sdv.cloud.redhat.com"
_METADATA_OVERRIDE = f"{_GROUP}/metadata-override"
_PINNED_BY = f"{_GROUP}/digest-pinned-by"
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def manifest(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry as it can be edited and applied, also when it has moved on meanwhile.

    ``kubectl apply`` takes everything in it for what its user wants, and removes later what is in it no longer. So
    that it takes nothing back from the functions, this has none of what they keep: their labels and annotations, the
    finalizer, and a digest that publish pinned (it is also in ``status``, which ``kubectl apply`` cannot change). A
    ``resourceVersion`` would protect no better: it is a conflict after every check too, and once it is applied, a
    manifest without one is refused.
    """
    shown = without_server_fields(entry)
    metadata, spec = shown["metadata"], dict(shown.get("spec") or {})
    annotations = metadata.get("annotations") or {}
    if annotations.get(_PINNED_BY):
        spec.pop("digest", None)
    own = {key: metadata[key] for key in _WRITTEN_BY_PEOPLE if metadata.get(key)}
    for kind in ("labels", "annotations"):
        if kept := {key: value for key, value in own.pop(kind, {}).items() if not _is_kept_by_functions(key)}:
            own[kind] = kept
    return {**shown, "metadata": own, "spec": spec}


def _is_kept_by_functions(key: str) -> bool:
    """Whether a label or annotation is written by the functions, or by kubectl."""
    ours = key.partition("/")[0].endswith(_GROUP) and key != _METADATA_OVERRIDE
    return ours or key == _LAST_APPLIED
