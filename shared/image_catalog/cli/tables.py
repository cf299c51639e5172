"""Lists that are no entries: versions, files, builds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from image_catalog.cli.output import Format, Table, notice, print_document

__all__ = ["print_items"]

_Item = Mapping[str, Any]
_Cell = Callable[[_Item], object]


def print_items(items: Iterable[_Item], cells: Mapping[str, _Cell], form: Format, *, name: _Cell, nothing: str) -> None:
    """Print items as a table, or as they are.

    Parameters
    ----------
    items
        As the API answered them.
    cells
        What stands above each column, and its cell of an item; those without a value are empty.
    form
        ``table`` and ``wide`` are the same here.
    name
        What ``name`` prints of an item.
    nothing
        What is said on stderr if there are none.
    """
    found = list(items)
    if form in {Format.JSON, Format.YAML}:
        print_document({"items": found}, form)
        return
    if not found:
        notice(nothing)
    elif form is Format.NAME:
        for item in found:
            print(name(item))  # noqa: T201 - the command's output
    else:
        Table(list(cells)).print(
            ["" if (value := cell(item)) is None else str(value) for cell in cells.values()] for item in found
        )
