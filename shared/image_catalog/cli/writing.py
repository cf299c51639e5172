"""What publishing, adding, verifying and removing have in common: telling, waiting, ending."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TextIO

from image_catalog.cli.entries import without_server_fields
from image_catalog.cli.errors import ApiError, CommandError, ExitCode, UsageError
from image_catalog.cli.output import is_terminal, print_document
from image_catalog.cli.steps import Narrator, Telling, one_line
from image_catalog.cli.summary import available_condition, image_facts, is_in_trouble, summary
from image_catalog.cli.waiting import Deadline, retried, wait_until_settled

if TYPE_CHECKING:
    from image_catalog.cli.client import Answer, CatalogClient
    from image_catalog.cli.flags import DataFormat
    from image_catalog.cli.options import GlobalOptions

__all__ = [
    "InterruptedCommandError",
    "NotAvailableError",
    "ask",
    "confirm",
    "finish",
    "interruptible",
    "make_narrator",
    "not_available",
    "print_data",
    "refuse_unavailable",
]


class InterruptedCommandError(CommandError):
    """Somebody pressed Ctrl-C."""

    reason = "Interrupted"
    exit_code = ExitCode.INTERRUPTED


class NotAvailableError(CommandError):
    """The request went through, and the image turned out not to be there."""

    reason = "NotAvailable"


def make_narrator(telling: Telling, *, options: GlobalOptions, data: bool, timed: bool = False) -> Narrator:
    """Return what tells a command's story.

    Parameters
    ----------
    telling
        Which story.
    options
        With ``--verbose``, steps say how long they took.
    data
        Whether standard output is for data, so that the story goes to standard error.
    timed
        Whether steps say how long they took without ``--verbose`` too.
    """
    out: TextIO = sys.stderr if data else sys.stdout
    if options.dry_run:
        # Nothing happens, so there is nothing to tell of.
        out = io.StringIO()
    return Narrator(
        out,
        telling=telling,
        colour=is_terminal(out),
        spinner=is_terminal(sys.stderr),
        verbose=bool(options.verbose) or timed,
    )


def confirm(question: str, *, refusal: str, nothing: str, flag: str = "--force") -> None:
    """Ask a person; whoever cannot be asked has to say so before.

    Parameters
    ----------
    question
        What is asked; yes is one of two answers.
    refusal
        What is said where there is no terminal to ask at.
    nothing
        What was not done after a no: ``removed``.
    flag
        By which somebody says it before.

    Raises
    ------
    UsageError
        Raised where nobody can be asked.
    CommandError
        Raised when the answer is no.
    """
    if not sys.stdin.isatty():
        raise UsageError(refusal, hint=f"no terminal to ask at; say {flag}")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)  # noqa: T201 - it is a question
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise CommandError(f"nothing was {nothing}")


@contextmanager
def interruptible(where: str) -> Iterator[None]:
    """Say on Ctrl-C that the server may go on.

    Parameters
    ----------
    where
        Command that shows what became of it.

    Raises
    ------
    InterruptedCommandError
        Raised in place of `KeyboardInterrupt`.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise InterruptedCommandError("interrupted; the server may go on with it", hint=f"see: {where}") from None


def ask(
    narrator: Narrator, call: Callable[[timedelta], Answer], *, busy: str, deadline: Deadline, patient: bool
) -> Answer:
    """Make the request of a command, and tell its steps also when it is refused.

    Parameters
    ----------
    narrator
        Tells the steps.
    call
        Makes the request; is given the time that is left.
    busy
        What is shown meanwhile on a terminal.
    deadline
        Until when.
    patient
        Whether the request is made again while a server or registry is in trouble.

    Raises
    ------
    CommandError
        Raised as the client does.
    """
    try:
        with narrator.busy(busy):
            if patient:
                answer = retried(call, deadline, notice=lambda line: narrator.mark("skipped", line))
            else:
                answer = call(deadline.remaining)
    except ApiError as e:
        # What the error says below need not be read twice.
        narrator.tell(_shortened(step, e.message) for step in e.details.get("steps") or ())
        raise
    narrator.tell(answer.document.get("steps") or ())
    return answer


def _shortened(step: Mapping[str, Any], known: str) -> Mapping[str, Any]:
    """Return a step that failed without a sentence that is said anyhow."""
    message = one_line(step.get("message", ""))
    if step.get("status") != "failed" or not message.endswith(one_line(known)):
        return step
    return {**step, "message": message.removesuffix(one_line(known)).rstrip(": ")}


def finish(
    narrator: Narrator,
    catalog: CatalogClient,
    answer: Answer,
    *,
    done: str,
    deadline: Deadline | None,
) -> Mapping[str, Any]:
    """Wait for the phase of a written entry where that is asked for, and tell how it ended.

    Parameters
    ----------
    narrator
        Tells it.
    catalog
        Reads the entry.
    answer
        The answer to the write.
    done
        What is said when all is well.
    deadline
        Until when the phase is waited for; `None` does not wait.

    Returns
    -------
    Mapping
        The entry, without the steps that led to it.

    Raises
    ------
    RequestTimedOutError
        Raised when the phase has not settled in time.
    """
    image: Mapping[str, Any] = {key: value for key, value in answer.document.items() if key != "steps"}
    if deadline is not None:
        with narrator.busy("Waiting until the phase has settled"):
            image = wait_until_settled(catalog, image, deadline)
    if not is_in_trouble((image.get("status") or {}).get("phase")):
        narrator.mark("ok", done)
    narrator.say()
    narrator.say(summary(image_facts(image)))
    return image


def refuse_unavailable(image: Mapping[str, Any]) -> None:
    """Fail for an entry that is not there, with the reason that its status gives."""
    status = image.get("status") or {}
    if not is_in_trouble(status.get("phase")):
        return
    available = available_condition(status)
    raise not_available(
        f'catalog image "{image["metadata"]["name"]}"',
        status["phase"],
        available.get("reason"),
        available.get("message"),
    )


def not_available(subject: str, phase: str, reason: str | None, message: str | None) -> NotAvailableError:
    """Return the error for what a registry does not have, or does not give."""
    why = ": ".join(part for part in (reason, message) if part)
    return NotAvailableError(f"{subject} is {phase}: {why}" if why else f"{subject} is {phase}")


def print_data(document: Mapping[str, Any], output: DataFormat | None) -> None:
    """Print a command's outcome for scripts; nothing where it is told to people.

    Parameters
    ----------
    document
        An entry, or the answer to a check.
    output
        The format that was asked for.
    """
    if output is not None:
        if "spec" in document:
            document = without_server_fields(document)
        print_document(document, output)
