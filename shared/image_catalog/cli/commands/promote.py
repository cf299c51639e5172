"""``caib catalog promote``: the same content becomes an entry of another namespace."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Any

import typer

from image_catalog.cli.completion import complete_namespaces
from image_catalog.cli.flags import AuthSecret, EntryName, Output, Tags, WriteTimeout
from image_catalog.cli.options import CatalogCommand, GlobalOptions
from image_catalog.cli.parameters import secret_reference, split_list
from image_catalog.cli.steps import Telling
from image_catalog.cli.waiting import Deadline
from image_catalog.cli.writing import ask, finish, interruptible, make_narrator, print_data

__all__ = ["app"]

app = typer.Typer(add_completion=False)

_PATIENCE = timedelta(minutes=5)


@app.command("promote", cls=CatalogCommand)
def promote(
    ctx: typer.Context,
    name: EntryName,
    *,
    to: Annotated[
        str,
        typer.Option("--to", metavar="NAMESPACE", help="Where it goes.", autocompletion=complete_namespaces),
    ],
    new_name: Annotated[str | None, typer.Option("--name", help="Name of the entry there; the same if absent.")] = None,
    tags: Tags = None,
    auth_secret: AuthSecret = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait through trouble that passes.")] = True,
    timeout: WriteTimeout = None,
    output: Output = None,
) -> None:
    """Make an image's very content an entry of another namespace: from development to staging to production."""
    options: GlobalOptions = ctx.obj
    narrator = make_narrator(Telling.PUBLISHING, options=options, data=output is not None)
    deadline = Deadline(timeout or _PATIENCE)
    body: dict[str, Any] = {"namespace": to}
    asked = {"name": new_name, "tags": split_list(tags or ()), "authSecretRef": secret_reference(auth_secret)}
    body |= {key: value for key, value in asked.items() if value}
    with options.connect() as catalog:
        narrator.say(f'Promoting catalog image "{name}" from namespace "{catalog.namespace}" to "{to}"...')
        with interruptible(f"caib catalog get {new_name or name} -n {to}"):
            answer = ask(
                narrator,
                lambda remaining: catalog.promote_image(name, body, timeout=remaining),
                busy="Asking the registry",
                deadline=deadline,
                patient=wait,
            )
            unchanged = answer.status == HTTPStatus.OK
            done = "Promoted already, nothing changed" if unchanged else "Promoted successfully"
            # Publishing has checked it already, and the entry is in another namespace than the command's.
            image = finish(narrator, catalog, answer, done=done, deadline=None)
    print_data(image, output)
