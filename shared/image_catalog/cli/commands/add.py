"""``caib catalog add``: an image that no build of the cluster made becomes an entry."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

import typer

from image_catalog.cli.completion import complete_architectures, complete_distros, complete_targets
from image_catalog.cli.flags import AuthSecret, DataFormat, Output, Tags, WriteTimeout
from image_catalog.cli.options import CatalogCommand, GlobalOptions
from image_catalog.cli.parameters import secret_reference, split_list
from image_catalog.cli.steps import Telling
from image_catalog.cli.waiting import Deadline
from image_catalog.cli.writing import ask, finish, interruptible, make_narrator, print_data, refuse_unavailable

__all__ = ["app"]

app = typer.Typer(add_completion=False)

_PATIENCE = timedelta(minutes=5)


@app.command("add", cls=CatalogCommand)
def add(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the entry.")],
    url: Annotated[str, typer.Argument(help="Reference of the image, with its host: quay.io/org/image:tag.")],
    *,
    architecture: Annotated[
        str,
        typer.Option(
            "--architecture", help="Processor: amd64, arm64, x86_64 or aarch64.", autocompletion=complete_architectures
        ),
    ],
    distro: Annotated[
        str, typer.Option("--distro", help="Distribution, cs9 for example.", autocompletion=complete_distros)
    ],
    distro_version: Annotated[
        str | None, typer.Option("--distro-version", help="Its version, 9.4 for example.")
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target",
            help="A board that the image is for; repeat it, or a comma list.",
            autocompletion=complete_targets,
        ),
    ] = None,
    tags: Tags = None,
    digest: Annotated[str | None, typer.Option("--digest", help="Pin the content: sha256:….")] = None,
    auth_secret: AuthSecret = None,
    bootc_capable: Annotated[
        bool | None, typer.Option("--bootc-capable/--no-bootc-capable", help="Whether bootc can run the image.")
    ] = None,
    kernel_version: Annotated[str | None, typer.Option("--kernel-version", help="Version of its kernel.")] = None,
    verify: Annotated[
        bool, typer.Option("--verify/--no-verify", help="Whether the registry is asked before the image is added.")
    ] = True,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Wait through trouble that passes, until the phase has settled.")
    ] = False,
    timeout: WriteTimeout = None,
    output: Output = None,
) -> None:
    """Add an image from a registry to the catalog."""
    words = {
        "architecture": architecture,
        "distro": distro,
        "distroVersion": distro_version,
        "kernelVersion": kernel_version,
        "targets": [{"name": board} for board in split_list(target or ())],
        "bootcCapable": bootc_capable,
    }
    spec = {
        "registryUrl": url,
        "digest": digest,
        "tags": split_list(tags or ()),
        "authSecretRef": secret_reference(auth_secret),
        "metadata": _given(words),
    }
    body = {"name": name, "spec": _given(spec)}
    _add(ctx.obj, body, verify=verify, limit=timeout or _PATIENCE, wait=wait, output=output)


def _add(
    options: GlobalOptions,
    body: dict[str, Any],
    *,
    verify: bool,
    limit: timedelta,
    wait: bool,
    output: DataFormat | None,
) -> None:
    narrator = make_narrator(Telling.PUBLISHING, options=options, data=output is not None)
    deadline = Deadline(limit)
    with options.connect() as catalog:
        narrator.say("Adding image to catalog...")
        with interruptible(f"caib catalog get {body['name']} -n {catalog.namespace}"):
            answer = ask(
                narrator,
                lambda remaining: catalog.create_image(body, verify=verify, timeout=remaining),
                busy="Asking the registry" if verify else "Adding",
                deadline=deadline,
                patient=wait,
            )
            image = finish(narrator, catalog, answer, done="Added successfully", deadline=deadline if wait else None)
    print_data(image, output)
    if wait:
        refuse_unavailable(image)


def _given(values: dict[str, Any]) -> dict[str, Any]:
    """Leave out what was not said; ``False`` was."""
    return {key: value for key, value in values.items() if value not in (None, [], {})}
