"""``caib catalog recall``: a content must not be used any more, wherever it is."""

from __future__ import annotations

from typing import Annotated

import typer

from image_catalog.cli.flags import EntryName, Output
from image_catalog.cli.options import CatalogCommand, GlobalOptions
from image_catalog.cli.steps import Telling
from image_catalog.cli.writing import confirm, interruptible, make_narrator

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
    from image_catalog.cli.recalls import current_digest, tell_report  # noqa: PLC0415 - `--help` needs no tables

    options: GlobalOptions = ctx.obj
    with options.connect() as catalog:
        content = digest or current_digest(catalog, name)
        where = f'{content} of catalog image "{name}" in namespace "{catalog.namespace}"'
        if not (force or options.dry_run):
            refusal = f"{where} is not recalled without being asked for"
            confirm(f"Recall {where}?", refusal=refusal, nothing="recalled")
        narrator = make_narrator(Telling.PUBLISHING, options=options, data=output is not None)
        with interruptible(f"caib catalog get {name} -n {catalog.namespace}"), narrator.busy("Recalling"):
            answer = catalog.recall_image(name, {"digest": content, "reason": reason}).document
        tell_report(narrator, answer, f"Recalled {where}", output)
