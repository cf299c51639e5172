"""``caib catalog history``: what an entry points to, and what it pointed to before."""

from __future__ import annotations

import typer

from image_catalog.cli.flags import EntryName, Shown
from image_catalog.cli.options import CatalogCommand, GlobalOptions
from image_catalog.cli.output import Format

__all__ = ["app"]

app = typer.Typer(add_completion=False)


@app.command("history", cls=CatalogCommand)
def history(
    ctx: typer.Context,
    name: EntryName,
    *,
    output: Shown = Format.TABLE,
) -> None:
    """Show the versions of an image, the current one first."""
    from image_catalog.cli.tables import print_items  # noqa: PLC0415 - `--help` needs no tables

    options: GlobalOptions = ctx.obj
    with options.connect() as catalog:
        versions = catalog.history(name).document.get("items") or ()
    print_items(
        versions,
        {
            "DIGEST": lambda version: version.get("digest"),
            "PUBLISHED": lambda version: version.get("publishedAt"),
            "SUPERSEDED": lambda version: version.get("supersededAt"),
            "BUILD": lambda version: (version.get("sourceImageBuild") or {}).get("name"),
        },
        output,
        name=lambda version: version.get("digest"),
        nothing=f"no version of {name} is known yet",
    )
