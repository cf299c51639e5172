"""What a Trigger lets through: the dialects of its ``filters`` list.

https://knative.dev/docs/eventing/triggers/#supported-filter-dialects. A filter
sees attributes and extensions, never data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from image_catalog.errors import InvalidExpressionError

__all__ = ["Filter", "read_filters", "read_legacy_filter"]

Filter = Callable[[Mapping[str, str]], bool]
"""Tells by an event's attributes whether it passes."""


def read_filters(entries: Sequence[Any]) -> Filter:
    """Read ``spec.filters``; every entry must match.

    Parameters
    ----------
    entries
        Each holds exactly one dialect.

    Raises
    ------
    ValueError
        Raised if an entry is not as the dialect wants it; the message names it.
    """
    return _all([_read_entry(entry, f"[{index}]") for index, entry in enumerate(entries)])


def read_legacy_filter(attributes: Mapping[str, str]) -> Filter:
    """Read ``spec.filter.attributes``; an empty value accepts any value of the attribute.

    Parameters
    ----------
    attributes
        Expected values by attribute name.
    """
    wanted = dict(attributes)
    return lambda event: all(name in event and (not value or event[name] == value) for name, value in wanted.items())


def _all(filters: Sequence[Filter]) -> Filter:
    return lambda event: all(matches(event) for matches in filters)


def _any(filters: Sequence[Filter]) -> Filter:
    return lambda event: any(matches(event) for matches in filters)


def _read_entry(entry: Any, path: str) -> Filter:
    if not isinstance(entry, dict) or len(entry) != 1:
        raise ValueError(f"{path}: an entry holds exactly one dialect")
    ((dialect, content),) = entry.items()
    reader = _DIALECTS.get(dialect)
    if reader is None:
        raise ValueError(f"{path}: {dialect} is none of {', '.join(_DIALECTS)}")
    return reader(content, f"{path}.{dialect}")


def _comparing(compare: Callable[[str, str], bool]) -> Callable[[Any, str], Filter]:
    def read(content: Any, path: str) -> Filter:
        if not isinstance(content, dict) or not content:
            raise ValueError(f"{path}: a map of attribute names to values is needed")
        for name, value in content.items():
            if not isinstance(value, str) or not value:
                raise ValueError(f"{path}.{name}: a text that is not empty is needed")
        return lambda event: all(name in event and compare(event[name], value) for name, value in content.items())

    return read


def _combining(combine: Callable[[Sequence[Filter]], Filter]) -> Callable[[Any, str], Filter]:
    def read(content: Any, path: str) -> Filter:
        if not isinstance(content, list) or not content:
            raise ValueError(f"{path}: a list of filters is needed")
        return combine([_read_entry(entry, f"{path}[{index}]") for index, entry in enumerate(content)])

    return read


def _read_not(content: Any, path: str) -> Filter:
    inner = _read_entry(content, path)
    return lambda event: not inner(event)


def _read_cesql(content: Any, path: str) -> Filter:
    if not isinstance(content, str) or not content:
        raise ValueError(f"{path}: an expression is needed")
    from image_catalog.events import cesql  # noqa: PLC0415 - its parser takes a start long, and few Triggers need it

    try:
        return cesql.parse(content).matches
    except InvalidExpressionError as e:
        raise ValueError(f"{path}: {e.message}") from e


_DIALECTS: Mapping[str, Callable[[Any, str], Filter]] = {
    "exact": _comparing(str.__eq__),
    "prefix": _comparing(str.startswith),
    "suffix": _comparing(str.endswith),
    "all": _combining(_all),
    "any": _combining(_any),
    "not": _read_not,
    "cesql": _read_cesql,
}
