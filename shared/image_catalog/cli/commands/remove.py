"""``caib catalog remove``: an entry goes; the image in its registry stays."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import Annotated

import typer

from image_catalog.cli.flags import EntryName, RemoveTimeout
from image_catalog.cli.options import CatalogCommand, GlobalOptions
from image_catalog.cli.steps import Telling
from image_catalog.cli.waiting import Deadline, wait_until_gone
from image_catalog.cli.writing import confirm, interruptible, make_narrator

__all__ = ["app"]

app = typer.Typer(add_completion=False)

_PATIENCE = timedelta(minutes=1)


@app.command("remove", cls=CatalogCommand)
def remove(
    ctx: typer.Context,
    name: EntryName,
    *,
    force: Annotated[bool, typer.Option("--force", help="Do not ask.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until the entry is gone.")] = True,
    timeout: RemoveTimeout = None,
) -> None:
    """Remove an entry; the image stays in its registry."""
    options: GlobalOptions = ctx.obj
    with options.connect() as catalog:
        where = f'catalog image "{name}" in namespace "{catalog.namespace}"'
        if not (force or options.dry_run):
            confirm(f"Remove {where}?", refusal=f"{where} is not removed without being asked for", nothing="removed")
        narrator = make_narrator(Telling.PUBLISHING, options=options, data=False)
        with interruptible(f"caib catalog get {name} -n {catalog.namespace}"), narrator.busy("Removing"):
            going = catalog.delete_image(name).status == HTTPStatus.ACCEPTED
            if wait:
                wait_until_gone(catalog, name, Deadline(timeout or _PATIENCE))
        if going and not wait:
            narrator.mark("ok", f"{where} is being removed; it goes by itself once its end has been told")
        else:
            narrator.mark("ok", f"Removed {where}")
