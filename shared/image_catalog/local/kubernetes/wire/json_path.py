r"""The JSONPath that printer columns and ``kubectl`` use, read and applied to plain JSON values.

Fields (``.status.phase``, ``['a.b']``, ``\.`` inside a name), indexes (``[0]``, ``[-1]``),
slices, ``[*]`` and one-comparison filters (``[?(@.type=="Ready")]``); no recursive descent.
See https://kubernetes.io/docs/reference/kubectl/jsonpath/.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

__all__ = ["JSONPath", "compile_path"]

_Step = Callable[[Any], Iterable[Any]]

_TOKEN = re.compile(
    r"""
      \.(?P<field>(?:\\.|[^.\[\]\\])+)                    # .name, with \. for a dot inside it
    | \[\s*'(?P<quoted>(?:\\.|[^'\\])*)'\s*\]             # ['name']
    | \[\s*(?P<star>\*)\s*\]                              # [*]
    | \[\s*(?P<index>-?\d+)\s*\]                          # [0]
    | \[(?P<slice>\s*(?:-?\d+)?\s*:\s*(?:-?\d+)?\s*)\]    # [1:3]
    | \[\?\(\s*@(?P<path>[^=!<>)]*?)\s*                   # [?(@.type=="Ready")]
        (?:(?P<operator>==|!=|<=|>=|<|>)\s*(?P<literal>[^)]+?)\s*)?\)\]
    """,
    re.VERBOSE,
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class JSONPath:
    """A path that was read once and is applied to many objects.

    Attributes
    ----------
    text
        The path as it was given.
    """

    text: str
    _steps: tuple[_Step, ...]

    def find(self, value: Any) -> list[Any]:
        """Return every value that the path names; a key that is missing names nothing."""
        found = [value]
        for step in self._steps:
            # Most paths name one value at each step, or none.
            found = [*step(found[0])] if len(found) == 1 else [result for item in found for result in step(item)]
        return found


@lru_cache(maxsize=512)
def compile_path(text: str) -> JSONPath:
    """Read a path such as ``.spec.url`` or ``.status.conditions[?(@.type=="Ready")].status``.

    Parameters
    ----------
    text
        With or without the surrounding braces.

    Raises
    ------
    ValueError
        When the path uses something that is not in the subset; the message names the place.
    """
    source = text.strip().removeprefix("{").removesuffix("}").strip()
    steps: list[_Step] = []
    position = 1 if source == "." else 0
    while position < len(source):
        token = _TOKEN.match(source, position)
        if token is None:
            raise ValueError(f"JSONPath {text!r} is not understood at {source[position:]!r}")
        steps.append(_step(token))
        position = token.end()
    return JSONPath(text, tuple(steps))


def _step(token: re.Match[str]) -> _Step:
    match token.lastgroup:
        case "field" | "quoted":
            return _field(re.sub(r"\\(.)", r"\1", token[token.lastgroup]))
        case "star":
            return _each
        case "index":
            return _index(int(token["index"]))
        case "slice":
            return _slice(token["slice"])
        case _:
            return _filter(token["path"], token["operator"], token["literal"])


def _field(name: str) -> _Step:
    if name == "*":
        return _each

    def step(value: Any) -> Iterable[Any]:
        # No generator: nearly every step of every cell is one of these.
        return (value[name],) if isinstance(value, Mapping) and name in value else ()

    return step


def _each(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _index(position: int) -> _Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, list) and -len(value) <= position < len(value):
            yield value[position]

    return step


def _slice(bounds: str) -> _Step:
    start, end = (int(bound) if bound.strip() else None for bound in bounds.split(":"))

    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, list):
            yield from value[start:end]

    return step


def _filter(path: str, comparison: str | None, literal: str | None) -> _Step:
    selected = compile_path(path)
    compare = _COMPARE[comparison] if comparison else None
    expected = _literal(literal) if literal is not None else None

    def step(value: Any) -> Iterator[Any]:
        for item in value if isinstance(value, list) else ():
            results = selected.find(item)
            if results and (compare is None or _holds(compare, results[0], expected)):
                yield item

    return step


def _holds(compare: Callable[[Any, Any], bool], left: Any, right: Any) -> bool:
    try:
        return compare(left, right)
    except TypeError:
        return False


def _literal(text: str) -> Any:
    if text[0] == text[-1] == "'":
        return text[1:-1]
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as e:
        raise ValueError(f"JSONPath literal {text!r} is neither a number nor a quoted string") from e
