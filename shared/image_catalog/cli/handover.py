"""The commands that are another ``caib``'s: the field's larger one builds and flashes images."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from image_catalog.cli.errors import CommandError, ExitCode

__all__ = ["UnknownCommandError", "hand_over", "next_on_path"]


class UnknownCommandError(CommandError):
    """A command is neither ours nor another ``caib``'s."""

    reason = "UnknownCommand"
    exit_code = ExitCode.USAGE


def next_on_path(name: str, *, beside: Path, environ: Mapping[str, str]) -> Path | None:
    """Return the program of that name that PATH has beside this one, or `None`.

    Parameters
    ----------
    name
        Name of the program.
    beside
        This program; links to it are passed over too.
    environ
        The environment.
    """
    this = beside.resolve()
    for folder in environ.get("PATH", "").split(os.pathsep):
        found = Path(folder or os.curdir) / name
        # A second installation of this package would hand over to us again, and so on for ever.
        if found.is_file() and os.access(found, os.X_OK) and found.resolve() != this and not _is_ours(found):
            return found
    return None


def hand_over(command: str, arguments: Sequence[str]) -> NoReturn:
    """Become the next ``caib``.

    Parameters
    ----------
    command
        The command that is not ours.
    arguments
        The whole command line behind ``caib``.

    Raises
    ------
    UnknownCommandError
        Raised if there is no other ``caib``.
    """
    found = next_on_path("caib", beside=Path(sys.argv[0]), environ=os.environ)
    if found is None:
        raise UnknownCommandError(
            f'this caib has no command "{command}", and there is no other caib on PATH', hint="see caib --help"
        )
    sys.stdout.flush()
    os.execv(found, [str(found), *arguments])  # noqa: S606 - the user's own program, with the user's own arguments


def _is_ours(path: Path) -> bool:
    """Return whether a program is a start script of this package."""
    try:
        with path.open("rb") as script:
            return b"image_catalog.cli.caib" in script.read(4096)
    except OSError:
        return False
