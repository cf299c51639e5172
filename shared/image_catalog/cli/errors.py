"""What a command says when it fails: one line, and the exit code that scripts go by."""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import IntEnum

import typer

from image_catalog.errors import (
    AlreadyExistsError,
    AuthenticationError,
    CatalogError,
    ForbiddenError,
    WriteConflictError,
)

__all__ = ["ExitCode", "NotFoundError", "report"]


class ExitCode(IntEnum):
    """How a command ended."""

    DONE = 0
    ERROR = 1
    USAGE = 2
    DENIED = 3
    NOT_FOUND = 4
    CONFLICT = 5
    TIMED_OUT = 6


class NotFoundError(CatalogError):
    """What a command names is not there."""

    reason = "NotFound"


_CODES: tuple[tuple[type[Exception], ExitCode], ...] = (
    (NotFoundError, ExitCode.NOT_FOUND),
    (ForbiddenError, ExitCode.DENIED),
    (AuthenticationError, ExitCode.DENIED),
    (AlreadyExistsError, ExitCode.CONFLICT),
    (WriteConflictError, ExitCode.CONFLICT),
    (TimeoutError, ExitCode.TIMED_OUT),
)


def report(app: Callable[..., object]) -> int:
    """Run a command line and return its exit code.

    Parameters
    ----------
    app
        The typer application.
    """
    try:
        result = app(standalone_mode=False)
    except (typer.Abort, KeyboardInterrupt):
        return ExitCode.ERROR
    except typer.TyperException as e:
        # Without a message it is a group of commands that was given without one: typer has printed its help.
        if message := e.format_message():
            _say(_usage(message, getattr(e, "ctx", None)))
        return e.exit_code
    except (CatalogError, OSError) as e:
        # In one line, whatever a library put into its words.
        _say(f"Error: {' '.join(str(getattr(e, 'message', e)).split())}")
        return next((code for kind, code in _CODES if isinstance(e, kind)), ExitCode.ERROR)
    return result if isinstance(result, int) else ExitCode.DONE


def _usage(message: str, context: typer.Context | None) -> str:
    """Return what is wrong with the command line in one line, with where to read on; typer's own box takes eight."""
    message = f"{message[:1].lower()}{message[1:]}".rstrip(".")
    return f"Error: {message}; see {context.command_path} --help" if context else f"Error: {message}"


def _say(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201 - it is what the command says
