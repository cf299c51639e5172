"""What a page is made of; each kind of page renders the same blocks in its own way."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Block", "Code", "Contents", "Heading", "Paragraph", "Table", "anchor_of"]


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; its anchor is what `anchor_of` makes of its text."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Text with Markdown's backticks and links."""

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table; cells are text as in a paragraph."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Code:
    """Lines to copy."""

    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Contents:
    """What follows, by heading: each with the headings below it, and what is said beside each of those."""

    groups: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


Block: TypeAlias = Heading | Paragraph | Table | Code | Contents


def anchor_of(heading: str) -> str:
    """Return a heading's anchor, by the rule of those who render Markdown files for a repository."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
