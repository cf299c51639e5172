"""``caib catalog publish``: a completed ImageBuild becomes an entry."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Any

import typer

from image_catalog.cli.completion import complete_builds, complete_namespaces
from image_catalog.cli.flags import AuthSecret, Output, Tags, WriteTimeout
from image_catalog.cli.options import CatalogCommand, GlobalOptions
from image_catalog.cli.parameters import secret_reference, split_list
from image_catalog.cli.steps import Telling
from image_catalog.cli.waiting import Deadline
from image_catalog.cli.writing import ask, finish, interruptible, make_narrator, print_data, refuse_unavailable

__all__ = ["app"]

app = typer.Typer(add_completion=False)

_PATIENCE = timedelta(minutes=5)


@app.command("publish", cls=CatalogCommand)
def publish(
    ctx: typer.Context,
    build: Annotated[str, typer.Argument(help="Name of the completed ImageBuild.", autocompletion=complete_builds)],
    *,
    catalog_name: Annotated[
        str | None, typer.Option("--catalog-name", help="Name of the entry; the build's when absent.")
    ] = None,
    catalog_namespace: Annotated[
        str | None,
        typer.Option(
            "--catalog-namespace",
            help="Namespace of the entry; the build's when absent.",
            autocompletion=complete_namespaces,
        ),
    ] = None,
    tags: Tags = None,
    auth_secret: AuthSecret = None,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Wait through trouble that passes, until the phase has settled.")
    ] = True,
    timeout: WriteTimeout = None,
    output: Output = None,
) -> None:
    """Publish the image of a completed ImageBuild."""
    options: GlobalOptions = ctx.obj
    narrator = make_narrator(Telling.PUBLISHING, options=options, data=output is not None)
    deadline = Deadline(timeout or _PATIENCE)
    with options.connect() as catalog:
        body: dict[str, Any] = {"imageBuildName": build, "imageBuildNamespace": catalog.namespace}
        asked = {
            "catalogImageName": catalog_name,
            "catalogImageNamespace": catalog_namespace,
            "tags": split_list(tags or ()),
            "authSecretRef": secret_reference(auth_secret),
        }
        body |= {key: value for key, value in asked.items() if value}
        entry, namespace = catalog_name or build, catalog_namespace or catalog.namespace
        narrator.say(f'Publishing ImageBuild "{build}" to catalog...')
        with interruptible(f"caib catalog get {entry} -n {namespace}"):
            answer = ask(
                narrator,
                lambda remaining: catalog.publish(body, timeout=remaining),
                busy="Asking the registry",
                deadline=deadline,
                patient=wait,
            )
            unchanged = answer.status == HTTPStatus.OK
            done = "Published already, nothing changed" if unchanged else "Published successfully"
            image = finish(narrator, catalog, answer, done=done, deadline=deadline if wait else None)
    print_data(image, output)
    if wait:
        refuse_unavailable(image)
