"""The blocks of a page as Markdown, for a file in the repository."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from image_catalog_functions.api.openapi.blocks import (
    Block,
    Code,
    Contents,
    Heading,
    Paragraph,
    Table,
    anchor_of,
)

__all__ = ["render"]


def render(blocks: Iterable[Block]) -> str:
    """Return a page's blocks as the text of a file."""
    return "\n\n".join(_written(block) for block in blocks) + "\n"


def _written(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f"{'#' * level} {text}"
        case Paragraph(text):
            return text
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
        # What has nothing beside it is short: a line for all of them.
        short = " · ".join(f"[{text}](#{anchor_of(text)})" for text, beside in below if not beside)
        yield from (f"  - [{text}](#{anchor_of(text)}) {beside}" for text, beside in below if beside)
        if short:
            yield f"  - {short}"
