"""What every command of ``caib`` takes: the global options, wherever on the command line they stand."""

from __future__ import annotations

import os
import sys
from copy import copy
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from typer.core import TyperCommand, TyperGroup

from image_catalog.cli.completion import complete_namespaces
from image_catalog.cli.parameters import parse_duration
from image_catalog.cli.quick import quick

if TYPE_CHECKING:
    # Imported when a command connects: `caib catalog --help` needs no HTTP.
    from image_catalog.cli.client import CatalogClient

__all__ = ["CatalogCommand", "CatalogGroup", "GlobalOptions", "global_options"]

_PANEL = "Global options"


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalOptions:
    """What the command line says about connecting; `None` where it says nothing.

    Attributes
    ----------
    server
        URL of the catalog's API.
    token
        Bearer token.
    namespace
        Namespace of the entries.
    kubeconfig, context
        Where token and namespace come from otherwise.
    certificate_authority
        File with the certificates that the server's is checked against.
    insecure
        Whether the server's certificate goes unchecked.
    request_timeout
        How long one request may take.
    verbose
        Whether requests are told on stderr.
    dry_run
        Whether nothing is to be written.
    """

    server: str | None = None
    token: str | None = None
    namespace: str | None = None
    kubeconfig: Path | None = None
    context: str | None = None
    certificate_authority: Path | None = None
    insecure: bool | None = None
    request_timeout: timedelta | None = None
    verbose: bool | None = None
    dry_run: bool | None = None

    def connect(self) -> CatalogClient:
        """Return a client of the configured server, to be used in a ``with`` block.

        Raises
        ------
        SettingsError
            Raised if no server is configured, or a setting cannot be used.
        """
        from image_catalog.cli.client import CatalogClient  # noqa: PLC0415 - `--help` needs no HTTP
        from image_catalog.cli.settings import resolve  # noqa: PLC0415 - the same

        return CatalogClient(settings=resolve(self))


def _declare(
    *,
    server: Annotated[
        str | None,
        typer.Option("--server", metavar="URL", help="The catalog's API (CAIB_SERVER).", rich_help_panel=_PANEL),
    ] = None,
    token: Annotated[
        str | None, typer.Option("--token", help="Bearer token (CAIB_TOKEN).", rich_help_panel=_PANEL)
    ] = None,
    namespace: Annotated[
        str | None,
        typer.Option(
            "--namespace",
            "-n",
            help="Namespace; the kubeconfig context's when absent.",
            rich_help_panel=_PANEL,
            autocompletion=complete_namespaces,
        ),
    ] = None,
    kubeconfig: Annotated[
        Path | None,
        typer.Option("--kubeconfig", help="Where the token comes from (KUBECONFIG).", rich_help_panel=_PANEL),
    ] = None,
    context: Annotated[
        str | None, typer.Option("--context", help="Context of the kubeconfig.", rich_help_panel=_PANEL)
    ] = None,
    certificate_authority: Annotated[
        Path | None,
        typer.Option("--certificate-authority", help="File with the server's CA certificates.", rich_help_panel=_PANEL),
    ] = None,
    insecure: Annotated[
        bool | None,
        typer.Option("--insecure", help="Do not check the server's certificate.", rich_help_panel=_PANEL),
    ] = None,
    request_timeout: Annotated[
        timedelta | None,
        typer.Option(
            "--request-timeout",
            parser=parse_duration,
            metavar="DURATION",
            help="How long one request may take, 30s when absent.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    verbose: Annotated[
        bool | None, typer.Option("--verbose", "-v", help="Tell each request on stderr.", rich_help_panel=_PANEL)
    ] = None,
    dry_run: Annotated[bool | None, typer.Option("--dry-run", help="Write nothing.", rich_help_panel=_PANEL)] = None,
) -> None:
    """Have typer make the options once, for every command."""


@cache
def _shared() -> tuple[Any, ...]:
    app = typer.Typer(add_completion=False)
    app.command()(_declare)
    return tuple(typer.main.get_command(app).params)


@cache
def _shared_by_commands() -> tuple[Any, ...]:
    """Return the options as a command takes them: its help shows what it does, and of these the one that most need."""
    found = [copy(parameter) for parameter in _shared()]
    for parameter in found:
        parameter.hidden = parameter.name != "namespace"
    return tuple(found)


def global_options(context: typer.Context) -> GlobalOptions:
    """Return what the command line says so far; of an option given twice, the one nearer to the end.

    Parameters
    ----------
    context
        Of a command, or of a group before its command is known.
    """
    if isinstance(context.obj, GlobalOptions):
        base = context.obj
    else:
        base = global_options(cast("typer.Context", context.parent)) if context.parent else GlobalOptions()
    names = (field.name for field in fields(GlobalOptions))
    return replace(base, **{name: value for name in names if (value := context.params.get(name)) is not None})


def _take(context: typer.Context) -> None:
    """Move the global options out of what the command's function is called with."""
    context.obj = global_options(context)
    for parameter in _shared():
        context.params.pop(parameter.name, None)


class CatalogCommand(TyperCommand):
    """A command that takes the global options too; they are its context's ``obj``, a `GlobalOptions`."""

    def __init__(self, name: str | None, *, params: list[Any] | None = None, **settings: Any) -> None:
        settings["epilog"] = f"All {_PANEL.lower()}: caib --help"
        super().__init__(name, params=[*(params or ()), *_shared_by_commands()], **settings)

    def get_params(self, ctx: Any) -> list[Any]:
        """Return every parameter, those that typer adds itself among them."""
        return quick(super().get_params(ctx))

    def invoke(self, ctx: Any) -> Any:
        """Run it."""
        _take(ctx)
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # Whoever reads the output has enough of it (`caib catalog list | head -1`); the server's broken connections
            # are errors of another class. What is still buffered goes nowhere when the process ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return None


class CatalogGroup(TyperGroup):
    """A group of commands that takes the global options too."""

    def __init__(self, *, params: list[Any] | None = None, **settings: Any) -> None:
        super().__init__(params=[*(params or ()), *_shared()], **settings)

    def get_params(self, ctx: Any) -> list[Any]:
        """Return every parameter, those that typer adds itself among them."""
        return quick(super().get_params(ctx))

    def invoke(self, ctx: Any) -> Any:
        """Run it."""
        _take(ctx)
        return super().invoke(ctx)
