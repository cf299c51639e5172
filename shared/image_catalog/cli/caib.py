"""``caib``: what users of the catalog run."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from image_catalog import __version__
from image_catalog.cli.errors import report

__all__ = ["app", "main"]

app = typer.Typer(
    name="caib",
    help="Find, publish and check automotive OS images.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
catalog = typer.Typer(help="The image catalog.", no_args_is_help=True)
app.add_typer(catalog, name="catalog")

Kubeconfig = Annotated[Path | None, typer.Option(envvar="KUBECONFIG", help="Kubeconfig of the catalog's cluster.")]
Context = Annotated[str | None, typer.Option(help="Context of the kubeconfig.")]
Namespace = Annotated[str, typer.Option("--namespace", "-n", help="Namespace of the entries.")]


def _print_version(value: bool) -> None:  # noqa: FBT001 - typer calls it so
    if value:
        typer.echo(f"caib {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@catalog.command("list")
def list_images(
    *,
    namespace: Namespace = "default",
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces", "-A", help="Every namespace.")] = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """List the published images, newest publication first."""
    from image_catalog.cli.reading import print_list  # noqa: PLC0415 - `caib --version` needs no cluster client

    asyncio.run(print_list(None if all_namespaces else namespace, kubeconfig=kubeconfig, context=context))


@catalog.command("get")
def get_image(
    name: Annotated[str, typer.Argument(help="Name of the entry.")],
    *,
    namespace: Namespace = "default",
    output: Annotated[str, typer.Option("--output", "-o", help="yaml or json.")] = "yaml",
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Show everything that is known of an image."""
    from image_catalog.cli.reading import print_image  # noqa: PLC0415 - `caib --version` needs no cluster client

    if output not in {"yaml", "json"}:
        raise typer.BadParameter(f"{output} is neither yaml nor json", param_hint="--output")
    asyncio.run(print_image(namespace, name, as_json=output == "json", kubeconfig=kubeconfig, context=context))


def main() -> None:
    """Run the command line."""
    sys.exit(report(app))
