"""Reads objects as JSON gave them: what is missing, or is not what the schema says, is nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["content_of", "count", "objects", "part", "text", "text_in", "texts"]

_NOTHING: Mapping[str, Any] = {}


def part(obj: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    """Return an object inside another; an empty one where there is none."""
    value = obj.get(field)
    return value if isinstance(value, dict) else _NOTHING


def content_of(obj: Mapping[str, Any]) -> str | None:
    """Return the digest that an entry stands for: what its registry was found to have, or else what it is pinned to."""
    return text(part(part(obj, "status"), "registryMetadata"), "resolvedDigest") or text(part(obj, "spec"), "digest")


def count(value: Any) -> int | None:
    """Return a whole number; `None` where it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def text(obj: Mapping[str, Any], field: str) -> str | None:
    """Return a text; `None` where there is none or it is empty."""
    value = obj.get(field)
    return value if isinstance(value, str) and value else None


def text_in(value: Any, *path: str) -> str:
    """Return a text inside objects inside each other; empty where there is none."""
    for field in path:
        value = value.get(field) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""


def objects(value: Any) -> Iterator[Mapping[str, Any]]:
    """Return the objects of a list; none where it is no list."""
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else iter(())


def texts(value: Any) -> Iterator[str]:
    """Return the texts of a list; none where it is no list."""
    return (item for item in value if isinstance(item, str)) if isinstance(value, list) else iter(())
