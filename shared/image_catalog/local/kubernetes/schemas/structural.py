"""Structural schemas, compiled once per CRD version: pruning, defaulting and validation.

See https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
The texts of the causes are those of the API server, so that kubectl shows what
it shows on a cluster.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import orjson

from image_catalog.local.kubernetes.schemas.cel import Rules, compile_rules
from image_catalog.local.kubernetes.schemas.checks import Check, compile_checks, type_cause, type_matches
from image_catalog.local.kubernetes.status import Cause, required

__all__ = ["ABSENT", "Schema", "compile_schema", "same", "stored_schema"]

ABSENT: Final = object()
"""Stands for "there was no value before"."""

_ENVELOPE = frozenset({"apiVersion", "kind", "metadata"})

_NOT_CHECKED = Cause(
    "FieldValueInvalid",
    "Invalid value: null: some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation",
    "<nil>",
)
_BLOCKING = frozenset(
    {
        "FieldValueNotSupported",
        "FieldValueRequired",
        "FieldValueTooLong",
        "FieldValueTooMany",
        "FieldValueTypeInvalid",
    }
)
"""Causes after which the API server does not evaluate CEL rules."""

_KEPT: Final = 64
"""Schemas that are remembered."""
_stored: Final[dict[int, tuple[Mapping[str, Any], Schema]]] = {}
"""The schemas of stored definitions, by the identity of these."""


def same(left: Any, right: Any) -> bool:
    """Tell whether two JSON values are equal; 1, 1.0 and true are three different values."""
    # Most of an object is not in a patch, and is the very same after it.
    if left is right:
        return True
    return bool(left == right) and orjson.dumps(left, option=orjson.OPT_SORT_KEYS) == orjson.dumps(
        right, option=orjson.OPT_SORT_KEYS
    )


class Schema:
    """The schema of one CRD version.

    Parameters
    ----------
    openapi
        The version's ``openAPIV3Schema``.
    """

    def __init__(self, openapi: Mapping[str, Any]) -> None:
        self._root = _Node(openapi, envelope=True)
        self._has_rules = self._root.has_rules

    def normalise(self, body: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """Prune what the schema does not know and fill in defaults.

        Returns
        -------
        tuple
            A new object and the sorted paths of the fields that were pruned. What is right as it is, the new object
            shares with the one that came.
        """
        unknown: list[str] = []
        normal = self._root.normalise(body, "", unknown)
        return dict(normal), sorted(unknown)

    def validate(self, body: Mapping[str, Any], old: Any = ABSENT, *, causes: Sequence[Cause] = ()) -> list[Cause]:
        """Find what is wrong with an object.

        Parameters
        ----------
        old
            The object before the update. What did not change is not judged
            again, as the API server's ratcheting has it.
        causes
            What other checks found before; rules are skipped when it blocks them.
        """
        found = list(causes)
        self._root.validate(body, "", old, found)
        if not self._has_rules:
            return found
        if any(cause.reason in _BLOCKING for cause in found):
            found.append(_NOT_CHECKED)
        else:
            self._root.judge(body, "", old, found)
        return found


def stored_schema(openapi: Mapping[str, Any] | None) -> Schema | None:
    """Return the schema of a definition that is stored, and so never changed; the rest is `compile_schema`'s.

    Clusters that are furnished with the same definitions store the same mappings: their text need not be compared.
    """
    if openapi is None:
        return None
    known = _stored.get(id(openapi))
    if known is None or known[0] is not openapi:
        if len(_stored) >= _KEPT:
            _stored.clear()
        known = _stored[id(openapi)] = (openapi, _compiled(orjson.dumps(openapi)))
    return known[1]


def compile_schema(openapi: Mapping[str, Any] | None) -> Schema | None:
    """Compile a version's schema; None where the version has none.

    Raises
    ------
    ValueError
        When a pattern or a CEL rule does not compile.
    """
    return None if openapi is None else _compiled(orjson.dumps(openapi))


@lru_cache(maxsize=_KEPT)
def _compiled(openapi: bytes) -> Schema:
    """Compile a schema by its text: a definition is judged, served and applied again with one and the same."""
    return Schema(orjson.loads(openapi))


class _Node:
    __slots__ = (
        "_additional",
        "_checks",
        "_envelope",
        "_items",
        "_map_keys",
        "_preserve",
        "_properties",
        "_required",
        "_rules",
        "_type",
        "_unique",
        "default",
        "has_rules",
        "nullable",
    )

    def __init__(self, schema: Mapping[str, Any], *, envelope: bool = False) -> None:
        self._envelope: frozenset[str] = (
            _ENVELOPE if envelope or schema.get("x-kubernetes-embedded-resource") else frozenset()
        )
        properties = schema.get("properties") or {}
        self._properties = {name: _Node(sub) for name, sub in properties.items() if name not in self._envelope}
        additional = schema.get("additionalProperties")
        self._additional = _Node(additional) if isinstance(additional, Mapping) else None
        self._items = _Node(schema["items"]) if "items" in schema else None
        self._required: tuple[str, ...] = tuple(n for n in schema.get("required") or () if n not in self._envelope)
        self._preserve = bool(schema.get("x-kubernetes-preserve-unknown-fields")) or additional is True
        self.nullable = bool(schema.get("nullable"))
        self.default: Any = schema.get("default", ABSENT)
        self._type: str = "int-or-string" if schema.get("x-kubernetes-int-or-string") else schema.get("type", "")
        self._unique = schema.get("x-kubernetes-list-type") == "set"
        self._map_keys: tuple[str, ...] = tuple(schema.get("x-kubernetes-list-map-keys") or ())
        self._checks: tuple[Check, ...] = compile_checks(schema, self._type)
        self._rules: Rules | None = compile_rules(schema.get("x-kubernetes-validations") or ())
        children = [*self._properties.values(), *(n for n in (self._additional, self._items) if n is not None)]
        self.has_rules: bool = self._rules is not None or any(child.has_rules for child in children)

    # Pruning and defaulting

    def normalise(self, value: Any, path: str, unknown: list[str]) -> Any:
        if isinstance(value, dict):
            return self._normalise_object(value, path, unknown)
        if isinstance(value, list) and self._items is not None:
            normal = [self._items.normalise(item, f"{path}[{i}]", unknown) for i, item in enumerate(value)]
            return value if all(map(operator.is_, normal, value)) else normal
        return value

    def _normalise_object(self, value: dict[str, Any], path: str, unknown: list[str]) -> dict[str, Any]:
        properties, prefix = self._properties, f"{path}." if path else ""
        normal: dict[str, Any] = {}
        right = True
        for name, child in value.items():
            node = properties.get(name) or self._additional
            if node is not None:
                if child is None and not node.nullable:
                    right = False
                    continue
                inner = normal[name] = node.normalise(child, prefix + name, unknown)
                right = right and inner is child
            elif name in self._envelope or self._preserve:
                normal[name] = child
            else:
                right = False
                unknown.append(prefix + name)
        for name, node in properties.items():
            if node.default is not ABSENT and name not in normal:
                # A default may itself be an object with defaults inside.
                right = False
                normal[name] = node.normalise(copy.deepcopy(node.default), prefix + name, unknown)
        return value if right else normal

    # Validation

    def validate(self, value: Any, path: str, old: Any, causes: list[Cause]) -> None:
        if old is not ABSENT and same(value, old):
            return
        if value is None and self.nullable:
            return
        if self._type and not type_matches(value, self._type):
            causes.extend(type_cause(value, path, self._type, self._checks))
            return
        for check in self._checks:
            causes.extend(check(value, path))
        if isinstance(value, dict):
            self._validate_object(value, path, old, causes)
        elif isinstance(value, list) and self._items is not None:
            self._validate_list(value, path, old, causes)

    def _validate_object(self, value: Mapping[str, Any], path: str, old: Any, causes: list[Cause]) -> None:
        prefix = f"{path}." if path else ""
        causes.extend(required(prefix + name) for name in self._required if name not in value)
        for name, child, node in self._known(value):
            node.validate(child, prefix + name, _member(old, name), causes)

    def _validate_list(self, value: list[Any], path: str, old: Any, causes: list[Cause]) -> None:
        items = self._items
        assert items is not None  # noqa: S101 - narrows for mypy; the caller has looked
        for i, item in enumerate(value):
            items.validate(item, f"{path}[{i}]", self._correlate(item, old), causes)
        if self._unique or self._map_keys:
            seen: set[bytes] = set()
            for i, item in enumerate(value):
                identity = self._identity(item)
                encoded = orjson.dumps(identity, option=orjson.OPT_SORT_KEYS)
                if encoded in seen:
                    causes.append(Cause("FieldValueDuplicate", f"Duplicate value: {encoded.decode()}", f"{path}[{i}]"))
                seen.add(encoded)

    # CEL rules

    def judge(self, value: Any, path: str, old: Any, causes: list[Cause]) -> None:
        if not self.has_rules or value is None or (old is not ABSENT and same(value, old)):
            return
        if self._rules is not None:
            causes.extend(self._rules.judge(value, None if old is ABSENT else old, path))
        if isinstance(value, dict):
            prefix = f"{path}." if path else ""
            for name, child, node in self._known(value):
                node.judge(child, prefix + name, _member(old, name), causes)
        elif isinstance(value, list) and self._items is not None:
            for i, item in enumerate(value):
                self._items.judge(item, f"{path}[{i}]", self._correlate(item, old), causes)

    # Helpers

    def _known(self, value: Mapping[str, Any]) -> list[tuple[str, Any, _Node]]:
        found = []
        for name, child in value.items():
            node = self._properties.get(name) or (None if name in self._envelope else self._additional)
            if node is not None:
                found.append((name, child, node))
        return found

    def _identity(self, item: Any) -> Any:
        if self._map_keys and isinstance(item, dict):
            return {key: item.get(key) for key in self._map_keys}
        return item

    def _correlate(self, item: Any, old: Any) -> Any:
        """Find what a list item was before: by its keys, for lists of type ``map`` alone."""
        if not self._map_keys or not isinstance(old, list):
            return ABSENT
        identity = self._identity(item)
        return next((candidate for candidate in old if self._identity(candidate) == identity), ABSENT)


def _member(old: Any, name: str) -> Any:
    return old.get(name, ABSENT) if isinstance(old, dict) else ABSENT
