r"""``LIKE`` of CloudEvents SQL: ``%`` stands for any text, ``_`` for any character, ``\%`` and ``\_`` for themselves.

https://github.com/cloudevents/spec/blob/main/cesql/spec.md, section 3.4.3.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["compile_pattern"]

_TOKEN = re.compile(r"\\[%_]|.", re.DOTALL)

Find = Callable[[str, int, int], int]
"""Tells where a part of a pattern first is between two places; -1 if it is not there."""


@dataclass(frozen=True, slots=True)
class _Part:
    """What stands between two ``%``: it matches texts of one length."""

    length: int
    find: Find

    def is_at(self, text: str, position: int) -> bool:
        """Tell whether it is just there."""
        return self.find(text, position, position + self.length) == position


def compile_pattern(pattern: str) -> Callable[[str], bool]:
    """Return what tells whether a text is like a pattern.

    One regular expression for the whole would go back for ever where there are
    many ``%``. Between them nothing has a choice of length, so the first place
    of each part behind the one before is as good as any.

    Parameters
    ----------
    pattern
        As it stands between the quotes.
    """
    first, *parts = [_part(tokens) for tokens in _split(pattern)]
    if not parts:
        return lambda text: len(text) == first.length and first.is_at(text, 0)
    *middle, last = parts

    def matches(text: str) -> bool:
        position, end = first.length, len(text) - last.length
        if end < position or not first.is_at(text, 0) or not last.is_at(text, end):
            return False
        for part in middle:
            position = part.find(text, position, end)
            if position < 0:
                return False
            position += part.length
        return True

    return matches


def _split(pattern: str) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for token in _TOKEN.findall(pattern):
        if token == "%":
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _part(tokens: list[str]) -> _Part:
    if "_" not in tokens:
        literal = "".join(token[-1] for token in tokens)
        return _Part(len(literal), lambda text, start, end: text.find(literal, start, end))
    expression = re.compile("".join("." if token == "_" else re.escape(token[-1]) for token in tokens), re.DOTALL)

    def find(text: str, start: int, end: int) -> int:
        found = expression.search(text, start, end)
        return found.start() if found else -1

    return _Part(len(tokens), find)
