"""The patch kinds: JSON merge patch, JSON patch and, for built-in kinds, strategic merge patch."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from image_catalog.local.kubernetes.status import StatusError, bad_request

__all__ = ["apply_json_patch", "apply_merge_patch", "apply_strategic_patch"]

_REJECTED = "the server rejected our request due to an error in our request"

_MERGE_KEYS: Mapping[str, str] = {
    "secrets": "name",
    "imagePullSecrets": "name",
    "ownerReferences": "uid",
    "conditions": "type",
}
"""Lists of objects that strategic merge patch merges by key, of the kinds that are served."""

_PRIMITIVE_LISTS = frozenset({"finalizers"})
"""Lists of strings that strategic merge patch unites instead of replacing them."""


def apply_merge_patch(target: Any, patch: Any) -> Any:
    """Apply a JSON merge patch (RFC 7396) and return the result; `target` is not changed."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = apply_merge_patch(merged.get(key), value)
    return merged


def apply_json_patch(target: Mapping[str, Any], operations: Any) -> Any:
    """Apply a JSON patch (RFC 6902) and return the result; `target` is not changed.

    Raises
    ------
    StatusError
        400 when the patch is no list of operations, 422 when an operation
        cannot be applied or a test fails.
    """
    if not isinstance(operations, list):
        raise bad_request(
            "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"
        )
    document: Any = copy.deepcopy(target)
    for operation in operations:
        try:
            document = _operate(document, operation)
        except (KeyError, IndexError, ValueError, TypeError, AttributeError) as e:
            raise StatusError(422, "Invalid", _REJECTED, {}) from e
    return document


def _operate(document: Any, operation: Mapping[str, Any]) -> Any:
    kind, path = operation["op"], _pointer(operation["path"])
    if kind == "add":
        return _add(document, path, copy.deepcopy(operation["value"]))
    if kind == "remove":
        return _remove(document, path)
    if kind == "replace":
        _resolve(document, path)
        return _add(_remove(document, path) if path else document, path, copy.deepcopy(operation["value"]))
    if kind == "test":
        if _resolve(document, path) != operation["value"]:
            raise ValueError(path)
        return document
    source = _pointer(operation["from"])
    value = copy.deepcopy(_resolve(document, source))
    if kind == "move":
        return _add(_remove(document, source), path, value)
    if kind == "copy":
        return _add(document, path, value)
    raise ValueError(kind)


def _pointer(text: str) -> list[str]:
    if not text:
        return []
    if not text.startswith("/"):
        raise ValueError(text)
    return [part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/")]


def _step(container: Any, part: str) -> Any:
    return container[_index(part)] if isinstance(container, list) else container[part]


def _index(part: str) -> int:
    if not part.isdigit():
        raise ValueError(part)
    return int(part)


def _resolve(document: Any, path: Sequence[str]) -> Any:
    for part in path:
        document = _step(document, part)
    return document


def _add(document: Any, path: Sequence[str], value: Any) -> Any:
    if not path:
        return value
    container, last = _resolve(document, path[:-1]), path[-1]
    if isinstance(container, list):
        position = len(container) if last == "-" else _index(last)
        if position > len(container):
            raise IndexError(position)
        container.insert(position, value)
    else:
        container[last] = value
    return document


def _remove(document: Any, path: Sequence[str]) -> Any:
    container, last = _resolve(document, path[:-1]), path[-1]
    if isinstance(container, list):
        del container[_index(last)]
    else:
        del container[last]
    return document


def apply_strategic_patch(target: Any, patch: Any) -> Any:
    """Apply a strategic merge patch to an object of a built-in kind.

    Known are what kubectl sends for these kinds: merged maps, lists merged by
    key, ``$patch: delete|replace``, ``$retainKeys`` and
    ``$deleteFromPrimitiveList``; see
    https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md
    """
    if not isinstance(patch, Mapping):
        return patch
    directive = patch.get("$patch")
    if directive == "delete":
        return {}
    plain = {key: value for key, value in patch.items() if not key.startswith("$")}
    if directive == "replace" or not isinstance(target, Mapping):
        return {key: value for key, value in plain.items() if value is not None}
    merged = dict(target)
    if (retained := patch.get("$retainKeys")) is not None:
        merged = {key: value for key, value in merged.items() if key in retained}
    for key, value in patch.items():
        if key.startswith("$deleteFromPrimitiveList/"):
            field = key.partition("/")[2]
            merged[field] = [item for item in merged.get(field) or [] if item not in value]
    for key, value in plain.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, list) and (merge_key := _MERGE_KEYS.get(key)):
            merged[key] = _merge_list(merged.get(key) or [], value, merge_key)
        elif key in _PRIMITIVE_LISTS:
            merged[key] = list(dict.fromkeys([*(merged.get(key) or []), *value]))
        else:
            merged[key] = apply_strategic_patch(merged.get(key), value)
    return merged


def _merge_list(current: list[Any], patches: list[Any], merge_key: str) -> list[Any]:
    if any(item.get("$patch") == "replace" for item in patches):
        return [item for item in patches if "$patch" not in item]
    merged = {item.get(merge_key): item for item in current}
    for item in patches:
        name = item.get(merge_key)
        if item.get("$patch") == "delete":
            merged.pop(name, None)
        else:
            merged[name] = apply_strategic_patch(merged.get(name), item)
    return list(merged.values())
