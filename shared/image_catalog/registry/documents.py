"""JSON from strangers: one reading only, and not too deep."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import orjson

from image_catalog.errors import ManifestInvalidError
from image_catalog.registry.limits import DOCUMENT_DEPTH, DOCUMENT_PARTS, KEPT_TEXT

__all__ = ["read_object", "texts"]


def read_object(body: bytes, subject: str) -> dict[str, Any]:
    """Read a JSON object strictly.

    Parameters
    ----------
    body
        UTF-8 text, already within its size limit.
    subject
        What it is, for messages.

    Raises
    ------
    ManifestInvalidError
        Raised if it is no JSON object, has a key twice (two parsers would read
        two documents, CVE-2021-41190), nests deeper than `DOCUMENT_DEPTH`, or
        has more than `DOCUMENT_PARTS` parts.
    """
    if sum(map(body.count, (b"{", b"[", b","))) > DOCUMENT_PARTS:
        raise ManifestInvalidError(f"{subject} has more than {DOCUMENT_PARTS} parts")
    try:
        document = orjson.loads(body)
        json.loads(body, object_pairs_hook=_refuse_duplicates)
    except _DuplicateKeyError as e:
        raise ManifestInvalidError(f"{subject} is ambiguous: it has the key {e.key!r} twice") from e
    except (ValueError, RecursionError) as e:
        raise ManifestInvalidError(f"{subject} is no JSON that can be read") from e
    if not isinstance(document, dict):
        raise ManifestInvalidError(f"{subject} is no JSON object")
    if _deeper_than(document, DOCUMENT_DEPTH):
        raise ManifestInvalidError(f"{subject} nests deeper than {DOCUMENT_DEPTH} levels")
    return document


def texts(value: Any) -> Mapping[str, str]:
    """Return the text entries of what should be a map of texts; anything else in it is left out.

    Parameters
    ----------
    value
        Annotations or labels, as they came.
    """
    if not isinstance(value, dict):
        return {}
    return {key: text for key, text in value.items() if isinstance(text, str) and len(text) <= KEPT_TEXT}


class _DuplicateKeyError(ValueError):
    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key[:64]


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise _DuplicateKeyError(key)
        seen.add(key)


def _deeper_than(document: Any, depth: int) -> bool:
    level = [document]
    while level and depth:
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, (dict, list))
        ]
        depth -= 1
    return bool(level)
