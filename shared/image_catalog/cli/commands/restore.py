"""``caib catalog restore``: a content that was recalled may be used again."""

from __future__ import annotations

from typing import Annotated

import typer

from image_catalog.cli.flags import EntryName, Output
from image_catalog.cli.options import CatalogCommand

__all__ = ["app"]

app = typer.Typer(add_completion=False)


@app.command("restore", cls=CatalogCommand)
def restore(
    ctx: typer.Context,
    name: EntryName,
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why it may be used again.")],
    digest: Annotated[
        str | None, typer.Option("--digest", help="The content that was recalled; the current one if absent.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Do not ask.")] = False,
    output: Output = None,
) -> None:
    """Take a recall back, where it was made."""
    from image_catalog.cli.recalls import RESTORE, move_recall  # noqa: PLC0415 - `--help` needs no tables

    move_recall(RESTORE, ctx.obj, name, reason=reason, digest=digest, force=force, output=output)
