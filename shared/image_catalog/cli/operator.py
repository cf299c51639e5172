"""``image-catalog``: what operators and developers of the catalog run."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from image_catalog import __version__
from image_catalog.cli import audit, dead_letters, installed
from image_catalog.cli.errors import report
from image_catalog.cli.process import run_process

__all__ = ["app", "main"]

app = typer.Typer(
    name="image-catalog",
    help="Run the Image Catalog on this machine, look after one in a cluster, and write what its models generate.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
local = typer.Typer(
    help="The whole catalog on this machine: cluster, registry, broker, functions.", no_args_is_help=True
)
app.add_typer(local, name="local")
app.add_typer(audit.app, name="audit")
app.add_typer(dead_letters.app, name="dead-letters")
app.command()(installed.check)
app.command()(installed.uninstall)

Kubeconfig = Annotated[
    Path | None,
    typer.Option(help="A real cluster in place of the embedded Kubernetes API.", exists=True, dir_okay=False),
]


def _require_url(value: str | None) -> str | None:
    if value is not None and not value.startswith(("http://", "https://")):
        raise typer.BadParameter(f"{value} is no URL: write http://{value} or https://{value}")
    return value


RegistryURL = Annotated[
    str | None,
    typer.Option("--registry", callback=_require_url, help="URL of a real registry in place of the embedded one."),
]
Port = Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free port.")]


def _print_version(value: bool) -> None:  # noqa: FBT001 - typer calls it so
    if value:
        typer.echo(f"image-catalog {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@local.command()
def up(
    *,
    folder: Annotated[Path, typer.Option(help="Where kubeconfig, logs and images go.")] = Path("build/local"),
    kubeconfig: Kubeconfig = None,
    registry: RegistryURL = None,
    api_port: Port = 0,
    broker_port: Port = 0,
    registry_port: Port = 0,
    catalog_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="The catalog's API: 8080 when it is free; 0 takes a free port.")
    ] = None,
    auth: Annotated[
        Literal["kubernetes", "none"], typer.Option(help="none: the catalog's API asks nobody for a token.")
    ] = "kubernetes",
    samples: Annotated[bool, typer.Option(help="Begin with images in the registry, and with builds.")] = True,
) -> None:
    """Run the stack until Ctrl-C, and print a line per event."""
    from image_catalog.cli.up import run_stack  # noqa: PLC0415 - the stack takes a second to import
    from image_catalog.config import ApiAuth  # noqa: PLC0415 - the same
    from image_catalog.local.catalog_api import CATALOG_PORT  # noqa: PLC0415 - the same
    from image_catalog.local.functions import free_port  # noqa: PLC0415 - the same
    from image_catalog.local.stack import StackOptions  # noqa: PLC0415 - the same

    options = StackOptions(
        folder=folder.absolute(),
        kubeconfig=kubeconfig,
        registry_url=registry,
        api_port=api_port,
        broker_port=broker_port,
        registry_port=registry_port,
        catalog_port=free_port(CATALOG_PORT) if catalog_port is None else catalog_port,
        auth=ApiAuth(auth),
        notify=True,
    )
    asyncio.run(run_stack(options, samples=samples))


@local.command()
def demo(
    *,
    kubeconfig: Kubeconfig = None,
    registry: RegistryURL = None,
    folder: Annotated[
        Path | None, typer.Option(help="Keep kubeconfigs and logs there; else they go when the story is told.")
    ] = None,
) -> None:
    """Play the whole story on a stack of its own, checking every step."""
    from image_catalog.cli.demo import run_demo  # noqa: PLC0415 - the stack takes a second to import

    kept = folder.absolute() if folder is not None else None
    asyncio.run(run_demo(kubeconfig=kubeconfig, registry_url=registry, folder=kept))


@app.command()
def crds(
    *,
    output: Annotated[Path, typer.Option(help="Folder that the files are written to.")] = Path("crds"),
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 when a file is behind.")] = False,
) -> None:
    """Write the CustomResourceDefinitions, generated from the models."""
    from image_catalog.models.crds import write_crds  # noqa: PLC0415 - reads the models' source

    _generate(output, write_crds, check=check)


@app.command()
def schemas(
    *,
    output: Annotated[Path, typer.Option(help="Folder that the files are written to.")] = Path(
        "shared/image_catalog/events/schemas"
    ),
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 when a file is behind.")] = False,
) -> None:
    """Write the JSON Schema of every event's data, generated from the models."""
    from image_catalog.events.schema import write_schemas  # noqa: PLC0415 - only this command needs it

    _generate(output, write_schemas, check=check)


def _generate(folder: Path, write: Callable[[Path], list[Path]], *, check: bool) -> None:
    if not check:
        for path in write(folder):
            typer.echo(f"wrote {path}")
        return
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch)
        write(fresh)
        behind = [path.name for path in sorted(fresh.iterdir()) if not _same(path, folder / path.name)]
    if behind:
        typer.echo(f"behind the code: {', '.join(behind)}; run `make crds`", err=True)
        raise typer.Exit(code=1)


def _same(fresh: Path, kept: Path) -> bool:
    return kept.exists() and kept.read_text() == fresh.read_text()


def main() -> None:
    """Run the command line."""
    run_process(partial(report, app))
