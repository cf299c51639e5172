"""Label and field selectors.

https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

from image_catalog.local.kubernetes.status import bad_request

__all__ = ["Selector", "everything", "field_selector", "field_value", "label_selector"]

Selector: TypeAlias = Callable[[Mapping[str, Any]], bool]

_TOKEN = re.compile(r"\s*(==|!=|=|!|\(|\)|,|<|>|[^\s=!(),<>]+|$)")
_FIELD_TERM = re.compile(r"^(?P<path>[^=!]+)(?P<op>==|!=|=)(?P<value>.*)$", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)")
_Labels: TypeAlias = Mapping[str, str]
_Requirement: TypeAlias = Callable[[_Labels], bool]


def everything(_body: Mapping[str, Any]) -> bool:
    """Select every object."""
    return True


@lru_cache(maxsize=256)
def label_selector(text: str) -> Selector:
    """Compile a ``labelSelector``.

    Parameters
    ----------
    text
        Equality and set-based requirements, separated by commas.

    Raises
    ------
    StatusError
        400 when the text is no selector.
    """
    requirements = tuple(_Parser(text).requirements())
    if not requirements:
        return everything

    def matches(body: Mapping[str, Any]) -> bool:
        labels = body["metadata"].get("labels") or {}
        return all(requirement(labels) for requirement in requirements)

    return matches


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = [token for token in _TOKEN.findall(text) if token]
        self._position = 0

    def requirements(self) -> Iterable[_Requirement]:
        while self._peek():
            yield self._requirement()
            if self._peek() and self._next() != ",":
                raise bad_request(f"found '{self._tokens[self._position - 1]}', expected: ',' or 'end of string'")

    def _peek(self) -> str:
        return self._tokens[self._position] if self._position < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self._position += 1
        return token

    def _name(self, expected: str) -> str:
        token = self._next()
        if not token or token in "=!(),<>" or token in ("==", "!="):
            raise bad_request(f"found '{token}', expected: {expected}")
        return token

    def _requirement(self) -> _Requirement:
        if self._peek() == "!":
            self._next()
            return _absent(self._name("identifier"))
        key = self._name("!, identifier, or 'end of string'")
        operator = self._peek()
        if operator in ("", ","):
            return _present(key)
        self._next()
        if operator in ("=", "==", "!="):
            value = "" if self._peek() in ("", ",") else self._name("identifier")
            return _one_of(key, frozenset((value,)), wanted=operator != "!=")
        if operator in ("in", "notin"):
            return _one_of(key, frozenset(self._values()), wanted=operator == "in")
        if operator in ("<", ">"):
            return _compare(key, operator, self._name("identifier"))
        raise bad_request(f"found '{operator}', expected: in, notin, =, ==, !=, <, >")

    def _values(self) -> Iterable[str]:
        if self._next() != "(":
            raise bad_request(f"found '{self._tokens[self._position - 1]}', expected: '('")
        while True:
            yield "" if self._peek() in (",", ")") else self._name("',', ')' or identifier")
            if (end := self._next()) != ",":
                break
        if end != ")":
            raise bad_request(f"found '{end}', expected: ',' or ')'")


def _present(key: str) -> _Requirement:
    return lambda labels: key in labels


def _absent(key: str) -> _Requirement:
    return lambda labels: key not in labels


def _one_of(key: str, values: frozenset[str], *, wanted: bool) -> _Requirement:
    if wanted:
        return lambda labels: labels.get(key) in values
    return lambda labels: key not in labels or labels[key] not in values


def _compare(key: str, operator: str, bound: str) -> _Requirement:
    try:
        limit = int(bound)
    except ValueError as e:
        raise bad_request(
            f"values[0][{key}]: Invalid value: \"{bound}\": for 'Gt', 'Lt' operators, the value must be an integer"
        ) from e

    def matches(labels: _Labels) -> bool:
        try:
            value = int(labels[key])
        except (KeyError, ValueError):
            return False
        return value > limit if operator == ">" else value < limit

    return matches


@lru_cache(maxsize=256)
def field_selector(text: str, selectable: frozenset[str]) -> Selector:
    """Compile a ``fieldSelector``.

    Parameters
    ----------
    text
        Terms ``path=value`` or ``path!=value``, separated by commas.
    selectable
        The paths that the kind knows, beside ``metadata.name`` and
        ``metadata.namespace``.

    Raises
    ------
    StatusError
        400 when a term is malformed or its path is not selectable.
    """
    required: list[tuple[tuple[str, ...], str]] = []
    # Together by path: whoever leaves out a hundred values of a field has each object looked at once.
    refused: defaultdict[tuple[str, ...], set[str]] = defaultdict(set)
    for term in filter(None, _split_terms(text)):
        match = _FIELD_TERM.match(term)
        if match is None:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{term}'")
        path = match["path"].strip()
        if path not in selectable and path not in ("metadata.name", "metadata.namespace"):
            raise bad_request(f"field label not supported: {path}")
        keys, value = tuple(path.split(".")), match["value"]
        if "\\" in value:
            value = _ESCAPED.sub(r"\1", value)
        if match["op"] == "!=":
            refused[keys].add(value)
        else:
            required.append((keys, value))
    if not required and not refused:
        return everything
    unwanted = tuple(refused.items())

    def matches(body: Mapping[str, Any]) -> bool:
        return all(field_value(body, path) == value for path, value in required) and not any(
            field_value(body, path) in values for path, values in unwanted
        )

    return matches


def _split_terms(text: str) -> list[str]:
    return re.split(r"(?<!\\),", text)


def field_value(body: Mapping[str, Any], path: tuple[str, ...]) -> str:
    """Read a field as selectors compare it: a string, empty when absent."""
    value: Any = body
    for part in path:
        if not isinstance(value, Mapping):
            return ""
        value = value.get(part)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    # The one core field that is selected by its parent: events are found by the component of their source.
    return str(value.get("component", "")) if isinstance(value, Mapping) else str(value)
