"""What a command says when it fails: one line, and the exit code that scripts go by."""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import IntEnum

import click
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
    except typer.Abort:
        return ExitCode.ERROR
    except click.ClickException as e:
        e.show()
        return e.exit_code
    except KeyboardInterrupt:
        return ExitCode.ERROR
    except (CatalogError, OSError) as e:
        print(f"Error: {getattr(e, 'message', e)}", file=sys.stderr)  # noqa: T201 - it is what the command says
        return next((code for kind, code in _CODES if isinstance(e, kind)), ExitCode.ERROR)
    return result if isinstance(result, int) else ExitCode.DONE
