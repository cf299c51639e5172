"""``caib catalog recall``: a content must not be used any more, wherever it is."""

from __future__ import annotations

from typing import Annotated

import typer

from image_catalog.cli.flags import EntryName, Output
from image_catalog.cli.options import CatalogCommand

__all__ = ["app"]

app = typer.Typer(add_completion=False)


@app.command("recall", cls=CatalogCommand)
def recall(
    ctx: typer.Context,
    name: EntryName,
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is shown to everybody who asks for the image.")],
    digest: Annotated[
        str | None,
        typer.Option("--digest", help="The content, or a platform or file of it; the current one if absent."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Do not ask.")] = False,
    output: Output = None,
) -> None:
    """Say that a content must not be used any more, and list who has it."""
    from image_catalog.cli.recalls import RECALL, move_recall  # noqa: PLC0415 - `--help` needs no tables

    move_recall(RECALL, ctx.obj, name, reason=reason, digest=digest, force=force, output=output)
