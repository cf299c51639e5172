"""What commands print: tables as kubectl aligns them, JSON, YAML and names. Data goes to stdout, the rest to stderr."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, TextIO

__all__ = ["Format", "Table", "is_terminal", "notice", "paint", "print_document", "size_text"]

_PADDING = 3
"""Spaces between columns, as kubectl has them."""

_COLOURS = {"green": "32", "yellow": "33", "red": "31", "dim": "2"}
_PHASES = {
    "Available": "green",
    "Available,Recalled": "red",
    "Pending": "yellow",
    "Verifying": "yellow",
    "Unavailable": "red",
    "Failed": "red",
    "Deleted": "red",
}

# What an entry says of itself must not move the cursor or rename the window of whoever lists it.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Format(StrEnum):
    """How a command prints what it found."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"


class Table:
    """Rows below each other; columns never become narrower, so that rows that come later fit under those before.

    Parameters
    ----------
    headings
        Names of the columns.
    stream
        Where the rows go; colours only if it is a terminal.
    """

    def __init__(self, headings: Sequence[str], *, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._headings: Sequence[str] | None = headings
        self._widths = [len(heading) for heading in headings]
        self._coloured = is_terminal(self._stream)

    def print(self, rows: Iterable[Sequence[str]]) -> None:
        """Print rows, the first time with the headings above them.

        Parameters
        ----------
        rows
            A text for each column; a phase is coloured on a terminal.
        """
        cells = [[_CONTROLS.sub(_escaped, cell) for cell in row] for row in rows]
        for row in cells:
            self._widths = [max(width, len(cell)) for width, cell in zip(self._widths, row, strict=True)]
        if self._headings is not None:
            cells.insert(0, list(self._headings))
            self._headings = None
        self._stream.write("".join(f"{self._line(row)}\n" for row in cells))
        self._stream.flush()

    def _line(self, row: Sequence[str]) -> str:
        padded = []
        for cell, width in zip(row, self._widths, strict=True):
            shown = paint(cell, _PHASES[cell]) if self._coloured and cell in _PHASES else cell
            padded.append(shown + " " * (width - len(cell) + _PADDING))
        return "".join(padded).rstrip()


def print_document(document: Mapping[str, Any], form: str) -> None:
    """Print an object, or a list of objects.

    Parameters
    ----------
    document
        The object; a list has ``items``.
    form
        JSON, YAML, or name: ``catalogimage/<name>`` in a line for each, which kubectl takes.
    """
    stream = sys.stdout
    if form == Format.JSON:
        stream.write(f"{json.dumps(document, indent=2, ensure_ascii=False)}\n")
    elif form == Format.YAML:
        import yaml  # noqa: PLC0415 - tables need none

        dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
        yaml.dump(document, stream, Dumper=dumper, sort_keys=False, allow_unicode=True, width=_NO_FOLDING)
    else:
        for item in document.get("items", [document]):
            kind = str(item.get("kind") or "CatalogImage").lower()
            stream.write(f"{kind}/{item['metadata']['name']}\n")
    stream.flush()


_NO_FOLDING = 10**6
"""A folded digest or message cannot be found with grep."""


def size_text(size: object) -> str:
    """Return a number of bytes as people read it, ``1.2 GB``, in powers of ten; empty when it is none.

    Parameters
    ----------
    size
        Bytes.
    """
    if not isinstance(size, int):
        return ""
    if size < 1000:  # noqa: PLR2004 - where kilobytes begin
        return f"{size} B"
    value = float(size)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        # What would be rounded to 1000 is the next unit's 1.
        if value < 999.95 or unit == "TB":  # noqa: PLR2004 - the same
            break
    return f"{value:.1f} {unit}"


def paint(text: str, colour: str) -> str:
    """Return a text in a colour: ``green``, ``yellow``, ``red`` or ``dim``."""
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"


def is_terminal(stream: TextIO) -> bool:
    """Return whether colours and spinners may be used: https://no-color.org."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def notice(text: str) -> None:
    """Tell a person something that is no data, on stderr."""
    print(text, file=sys.stderr)  # noqa: T201 - it is what the command says


def _escaped(found: re.Match[str]) -> str:
    return f"\\x{ord(found[0]):02x}"
