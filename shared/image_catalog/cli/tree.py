"""The commands of ``caib``; a command's module is imported when the command is called."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import Any

import typer

from image_catalog import __version__
from image_catalog.cli.errors import UsageError, report
from image_catalog.cli.options import CatalogGroup
from image_catalog.cli.output import notice

__all__ = ["app", "run"]

_CATALOG = {
    name: f"image_catalog.cli.commands.{name}"
    for name in (
        "list",
        "get",
        "publish",
        "add",
        "verify",
        "report",
        "pin",
        "remove",
        "recall",
        "restore",
        "promote",
        "resolve",
        "history",
        "audit",
        "artifacts",
        "download",
        "watch",
    )
}
_ARGUMENTS = "image_catalog.arguments"
"""Where a context keeps the whole command line."""

_COMPLETIONS = ("--install-completion", "--show-completion")
_SHELLS = ("bash", "zsh", "fish")
_COMPLETE = "_CAIB_COMPLETE"
"""The variable by which a shell's script asks for completions."""

_IMAGES = {"list": "image_catalog.cli.commands.builds"}


class _LazyGroup(CatalogGroup):
    """A group whose commands are modules with an ``app`` of one command each."""

    modules: Mapping[str, str]

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - typer's signature
        return list(self.modules)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - the same
        if cmd_name not in self.modules:
            return None
        if cmd_name not in self.commands:
            self.commands[cmd_name] = typer.main.get_command(import_module(self.modules[cmd_name]).app)
        return self.commands[cmd_name]

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        # Only the names of what was called before are known to typer, which would say what is near to them.
        if args and args[0] not in self.modules and (near := _near(args[0], self.modules)):
            ctx.fail(f'no such command "{args[0]}", did you mean {" or ".join(near)}?')
        return super().resolve_command(ctx, args)


def _near(name: str, names: Iterable[str]) -> list[str]:
    from difflib import get_close_matches  # noqa: PLC0415 - only a mistyped command needs it

    return get_close_matches(name, names)


class _CatalogCommands(_LazyGroup):
    modules = _CATALOG


class _ImagesCommands(_LazyGroup):
    modules = _IMAGES


class _Root(CatalogGroup):
    """What is not the catalog's is handed to the next ``caib``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta[_ARGUMENTS] = list(args)
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in self.commands and not args[0].startswith("-") and not ctx.resilient_parsing:
            from image_catalog.cli.handover import hand_over  # noqa: PLC0415 - rarely needed

            hand_over(args[0], ctx.meta[_ARGUMENTS])
        return super().resolve_command(ctx, args)


app = typer.Typer(
    name="caib",
    cls=_Root,
    help="Find, publish and check automotive OS images. Other command groups are those of the next caib on PATH.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(typer.Typer(cls=_CatalogCommands, help="The image catalog.", no_args_is_help=True), name="catalog")
app.add_typer(
    typer.Typer(cls=_ImagesCommands, help="Builds that can be published.", no_args_is_help=True), name="images"
)


def _print_version(value: bool) -> None:  # noqa: FBT001 - typer calls it so
    if value:
        typer.echo(f"caib {__version__}")
        raise typer.Exit


def _root(
    *,
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version."),
) -> None:
    pass


app.callback()(_root)


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit code.

    Parameters
    ----------
    arguments
        What stands behind ``caib``.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # A terminal that knows no ✓ shows its number, and the command goes on.
            stream.reconfigure(errors="backslashreplace")
    # typer finds the shell out by itself, and would pass over one that is named.
    if len(arguments) > 1 and arguments[0] in _COMPLETIONS and not arguments[1].startswith("-"):
        return report(partial(_complete_in, arguments[1], install=arguments[0] == "--install-completion"))
    return report(partial(app, list(arguments), prog_name="caib"))


def _complete_in(shell: str, *, install: bool, standalone_mode: bool) -> None:
    from typer import completion  # noqa: PLC0415 - asked for once

    module: Any = completion  # What its two options do is there, and not listed as its own.
    make_script, install_script = module.get_completion_script, module.install

    del standalone_mode
    if shell not in _SHELLS:
        raise UsageError(f"there is no completion for {shell}", hint=f"there is one for {', '.join(_SHELLS)}")
    if install:
        _, path = install_script(shell=shell, prog_name="caib", complete_var=_COMPLETE)
        notice(f"{shell} completion installed in {path}; it takes effect in a new terminal")
    else:
        script = make_script(prog_name="caib", complete_var=_COMPLETE, shell=shell)
        sys.stdout.write(f"{script}\n")
