"""``caib catalog artifacts``: the files that belong to an image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from image_catalog.cli.flags import EntryName, Shown
from image_catalog.cli.options import CatalogCommand, GlobalOptions
from image_catalog.cli.output import Format, notice, size_text

__all__ = ["app"]

app = typer.Typer(add_completion=False)


@app.command("artifacts", cls=CatalogCommand)
def artifacts(
    ctx: typer.Context,
    name: EntryName,
    *,
    output: Shown = Format.TABLE,
) -> None:
    """Show where each file of an image can be had, its checksum and size."""
    from image_catalog.cli.tables import print_items  # noqa: PLC0415 - `--help` needs no tables

    options: GlobalOptions = ctx.obj
    with options.connect() as catalog:
        answer = catalog.artifacts(name).document
    files = answer.get("items") or ()
    if trouble := answer.get("unavailable"):
        notice(
            f"Warning: files of the build's store cannot be opened: {trouble.get('reason')}: {trouble.get('message')}"
        )
    print_items(
        files,
        {
            "NAME": _name,
            "TYPE": lambda file: file.get("type"),
            "PARTITION": lambda file: file.get("partition"),
            "FORMAT": lambda file: file.get("format"),
            "SIZE": lambda file: size_text(file.get("sizeBytes")).replace(" ", ""),
            "CHECKSUM": lambda file: file.get("checksum"),
            "URL": lambda file: file.get("url"),
        },
        output,
        name=_name,
        nothing=f"{name} has no artifacts",
    )
    for file in files:
        if recall := file.get("recall"):
            notice(f"{_name(file)} must not be used: recalled at {recall.get('namespace')}/{recall.get('name')}")


def _name(file: Mapping[str, Any]) -> str:
    return str(file.get("name") or file.get("url", "").rpartition("/")[2])
