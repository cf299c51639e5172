"""The blocks of a page as Markdown, for a file in the repository."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from typing import Final

from image_catalog.pages.blocks import Block, Code, Contents, Heading, Paragraph, Table, anchor_of

__all__ = ["render"]

_WIDTH: Final = 116
"""Characters of a line of prose; a row of a table is one line, however long."""


def render(blocks: Iterable[Block]) -> str:
    """Return a page's blocks as the text of a file."""
    return "\n\n".join(_written(block) for block in blocks) + "\n"


def _written(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f"{'#' * level} {text}"
        case Paragraph(text):
            return _wrapped(text)
        case Code(language, text):
            return f"```{language}\n{text}\n```"
        case Table(head, rows):
            return "\n".join(_row(row) for row in (head, ("---",) * len(head), *rows))
        case Contents():
            return "\n".join(_lines(block))


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|').replace(chr(10), '<br>') for cell in cells)} |"


def _lines(contents: Contents) -> Iterator[str]:
    for heading, below in contents.groups:
        yield f"- [{heading}](#{anchor_of(heading)})"
        # What has nothing beside it is short: together they make a paragraph.
        short = " · ".join(f"[{text}](#{anchor_of(text)})" for text, beside in below if not beside)
        yield from (f"  - [{text}](#{anchor_of(text)}) {beside}" for text, beside in below if beside)
        if short:
            yield _wrapped(short, first="  - ", others="    ")


def _wrapped(text: str, *, first: str = "", others: str = "") -> str:
    """Return prose in short lines, broken at spaces alone: a link or a name stays whole."""
    return textwrap.fill(
        text,
        width=_WIDTH,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )
