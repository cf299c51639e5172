"""``caib catalog history``: what an entry points to, what it pointed to before, and what happened to it."""

from __future__ import annotations

from typing import Annotated

import typer

from image_catalog.cli.flags import EntryName, Shown
from image_catalog.cli.options import CatalogCommand, GlobalOptions
from image_catalog.cli.output import Format, notice
from image_catalog.cli.past import (
    Actor,
    Kinds,
    Limit,
    Outcomes,
    Since,
    Until,
    filters_of,
    print_records,
    print_versions,
)

__all__ = ["app"]

app = typer.Typer(add_completion=False)


@app.command("history", cls=CatalogCommand)
def history(
    ctx: typer.Context,
    name: EntryName,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Everything that happened, not only versions.")] = False,
    kind: Kinds = None,
    actor: Actor = None,
    outcome: Outcomes = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 20,
    output: Shown = Format.TABLE,
) -> None:
    """Show the versions of an image, the current one first; also of one that was removed."""
    if everything and kind:
        raise typer.BadParameter("--all and --kind exclude each other", param_hint="--kind")
    kinds = ["all"] if everything else kind
    asked = filters_of(kinds, actor=actor, outcome=outcome, since=since, until=until, limit=limit)
    options: GlobalOptions = ctx.obj
    with options.connect() as catalog:
        document = catalog.history(name, asked).document
    items, metadata = document.get("items") or (), document.get("metadata") or {}
    if kinds:
        print_records(
            items, output, nothing=f"nothing of that is known of {name}", with_name=False, with_namespace=False
        )
    else:
        print_versions(items, output, nothing=f"no such version of {name} is known")
    if note := metadata.get("note"):
        notice(str(note))
    if metadata.get("continue"):
        notice("there are more; --limit N shows up to 500, --until TIME what was before")
