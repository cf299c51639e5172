"""Lists that are no entries: versions, files, builds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from image_catalog.cli.output import Format, Table, notice, print_document

__all__ = ["print_items"]

_Item = Mapping[str, Any]


def print_items(
    items: Iterable[_Item], cells: Mapping[str, Callable[[_Item], object]], form: Format, *, nothing: str
) -> None:
    """Print items as a table, or as they are.

    Parameters
    ----------
    items
        As the API answered them.
    cells
        What stands above each column, and its cell of an item; those without a value are empty.
    form
        ``table`` and ``wide`` are the same here.
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
        first = next(iter(cells.values()))
        for item in found:
            print(first(item))  # noqa: T201 - the command's output
    else:
        Table(list(cells)).print(
            ["" if (value := cell(item)) is None else str(value) for cell in cells.values()] for item in found
        )
