"""``caib catalog artifacts``: the files that belong to an image."""

from __future__ import annotations

from typing import Annotated

import typer

from image_catalog.cli.completion import complete_images
from image_catalog.cli.options import CatalogCommand, GlobalOptions
from image_catalog.cli.output import Format

__all__ = ["app"]

app = typer.Typer(add_completion=False)


@app.command("artifacts", cls=CatalogCommand)
def artifacts(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the entry.", autocompletion=complete_images)],
    *,
    output: Annotated[Format, typer.Option("--output", "-o", help="How to print them.")] = Format.TABLE,
) -> None:
    """Show where each file of an image can be had, its checksum and size."""
    from image_catalog.cli.output import size_text  # noqa: PLC0415 - `--help` needs no tables
    from image_catalog.cli.tables import print_items  # noqa: PLC0415 - the same

    options: GlobalOptions = ctx.obj
    with options.connect() as catalog:
        files = catalog.artifacts(name).document.get("items") or ()
    print_items(
        files,
        {
            "NAME": lambda file: file.get("name") or file.get("url", "").rpartition("/")[2],
            "TYPE": lambda file: file.get("type"),
            "FORMAT": lambda file: file.get("format"),
            "SIZE": lambda file: size_text(file.get("sizeBytes")).replace(" ", ""),
            "CHECKSUM": lambda file: file.get("checksum"),
            "URL": lambda file: file.get("url"),
        },
        output,
        nothing=f"{name} has no artifacts",
    )
