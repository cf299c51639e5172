"""What a command says when it fails: one line, a hint where there is one, and the exit code that scripts go by."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from enum import IntEnum
from typing import Any, ClassVar

import typer

from image_catalog.cli.output import notice
from image_catalog.errors import (
    AlreadyExistsError,
    AuthenticationError,
    CatalogError,
    ForbiddenError,
    WriteConflictError,
)

__all__ = [
    "ApiError",
    "CommandError",
    "DryRun",
    "ExitCode",
    "NotFoundError",
    "RequestTimedOutError",
    "ServerUnreachableError",
    "SettingsError",
    "UsageError",
    "report",
]


class ExitCode(IntEnum):
    """How a command ended."""

    DONE = 0
    ERROR = 1
    USAGE = 2
    DENIED = 3
    NOT_FOUND = 4
    CONFLICT = 5
    TIMED_OUT = 6
    INTERRUPTED = 130
    """By Ctrl-C, as shells number it."""


class CommandError(CatalogError):
    """A command cannot do what it was asked.

    Parameters
    ----------
    message
        One sentence for people.
    hint
        What to do about it; empty when there is nothing to say.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.ERROR

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class NotFoundError(CommandError):
    """What a command names is not there."""

    reason = "NotFound"
    exit_code = ExitCode.NOT_FOUND


class SettingsError(CommandError):
    """The settings, a kubeconfig or a credential of it cannot be used."""

    reason = "InvalidSettings"


class ServerUnreachableError(CommandError):
    """The catalog's server does not answer, or what answers is not the catalog."""

    reason = "ServerUnreachable"


class RequestTimedOutError(CommandError):
    """The catalog's server, or what it was asked to do, did not answer in time."""

    reason = "TimedOut"
    exit_code = ExitCode.TIMED_OUT


class UsageError(CommandError):
    """The command line asks for what cannot be."""

    reason = "Usage"
    exit_code = ExitCode.USAGE


class ApiError(CommandError):
    """The catalog's API refused a request.

    Parameters
    ----------
    message
        The API's sentence.
    status
        HTTP status of the answer.
    reason
        The API's reason, from its closed set; empty when it gave none.
    hint
        What to do about it.
    details
        What the API says beside its sentence: fields, steps.
    retry_after
        How long the API asks to wait; `None` when it does not say.
    """

    _CODES: ClassVar[Mapping[int, ExitCode]] = {
        401: ExitCode.DENIED,
        403: ExitCode.DENIED,
        404: ExitCode.NOT_FOUND,
        408: ExitCode.TIMED_OUT,
        409: ExitCode.CONFLICT,
        504: ExitCode.TIMED_OUT,
    }

    def __init__(
        self,
        message: str,
        *,
        status: int,
        reason: str = "",
        hint: str = "",
        details: Mapping[str, Any] | None = None,
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.reason = reason  # type: ignore[misc]  # a constant of the class everywhere else
        self.details = details or {}
        self.retry_after = retry_after
        # An impossible value is the command line's fault, a refusal for another reason is not.
        usage = status == 400 and reason.startswith("Invalid")  # noqa: PLR2004 - the field's number for a bad request
        self.exit_code = ExitCode.USAGE if usage else self._CODES.get(status, ExitCode.ERROR)  # type: ignore[misc]  # the same


class DryRun(Exception):  # noqa: N818 - no error: with --dry-run a command ends here, before it writes
    """A request that would have written.

    Parameters
    ----------
    method
        Its method.
    target
        Its path and query.
    document
        Its body; `None` if it has none.
    """

    def __init__(self, method: str, target: str, document: object) -> None:
        super().__init__(f"{method} {target}")
        self.document = document


_CODES: tuple[tuple[type[Exception], ExitCode], ...] = (
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
        return ExitCode.INTERRUPTED
    except DryRun as e:
        # What the command would send is its output.
        body = "" if e.document is None else f"{json.dumps(e.document, indent=2, ensure_ascii=False)}\n"
        sys.stdout.write(f"{e}\n{body}")
        return ExitCode.DONE
    except typer.TyperException as e:
        # Without a message it is a group of commands that was given without one: typer has printed its help.
        if message := _meant(e) or e.format_message():
            notice(_usage(message, getattr(e, "ctx", None)))
        return e.exit_code
    except (CatalogError, OSError) as e:
        notice(f"Error: {_line(_words(e))}")
        if hint := getattr(e, "hint", ""):
            notice(f"Hint: {_line(hint)}")
        if isinstance(e, CommandError):
            return e.exit_code
        return next((code for kind, code in _CODES if isinstance(e, kind)), ExitCode.ERROR)
    return result if isinstance(result, int) else ExitCode.DONE


def _words(error: CatalogError | OSError) -> object:
    """Return what an error says; of a file its name and what is wrong, without the system's number."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return getattr(error, "message", error)


def _line(text: object) -> str:
    """Return it in one line, whatever a library put into its words."""
    return " ".join(str(text).split())


def _meant(error: typer.TyperException) -> str:
    """Return what is said of an option that begins like another one; typer would take arch for watch."""
    written, context = getattr(error, "option_name", ""), getattr(error, "ctx", None)
    if context is None or not written.startswith("--"):
        return ""
    known = [name for parameter in context.command.get_params(context) for name in parameter.opts]
    near = [name for name in known if name.startswith(written)]
    return f"no such option {written}, did you mean {' or '.join(near)}?" if near else ""


def _usage(message: str, context: typer.Context | None) -> str:
    """Return what is wrong with the command line in one line, with where to read on; typer's own box takes eight."""
    # What a parser refused comes through pydantic, which says of what class the error was.
    message = _line(message.replace("Value error, ", ""))
    message = f"{message[:1].lower()}{message[1:]}".rstrip(".")
    return f"Error: {message}; see {context.command_path} --help" if context else f"Error: {message}"
