"""``caib catalog get``: everything that is known of an image."""

from __future__ import annotations

from typing import Annotated

import typer

from image_catalog.cli.flags import EntryName
from image_catalog.cli.options import CatalogCommand, GlobalOptions
from image_catalog.cli.output import Format, Table, notice, print_document

__all__ = ["app"]

app = typer.Typer(add_completion=False)


@app.command("get", cls=CatalogCommand)
def get_image(
    ctx: typer.Context,
    name: EntryName,
    *,
    output: Annotated[
        Format | None,
        typer.Option("--output", "-o", metavar="FORMAT", help="table, wide, name, or for kubectl apply json and yaml."),
    ] = None,
) -> None:
    """Show everything that is known of an image; with -o json or yaml what can be edited and applied again."""
    from datetime import UTC, datetime  # noqa: PLC0415 - `--help` needs none of these

    from image_catalog.cli.entries import columns, recalled, row, without_server_fields  # noqa: PLC0415 - the same
    from image_catalog.cli.manifest import manifest  # noqa: PLC0415 - the same
    from image_catalog.cli.steps import one_line  # noqa: PLC0415 - the same

    options: GlobalOptions = ctx.obj
    with options.connect() as catalog:
        entry = catalog.get_image(name).document
    if (why := recalled(entry)) is not None:
        notice(f"{name} must not be used: {one_line(why)}")
    if output in {Format.TABLE, Format.WIDE}:
        cells = columns(output, all_namespaces=False)
        Table(list(cells)).print([row(entry, cells, now=datetime.now(UTC))])
    elif output is None:
        print_document(without_server_fields(entry), Format.YAML)
    else:
        print_document(manifest(entry), output)
