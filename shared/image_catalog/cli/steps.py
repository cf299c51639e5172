"""Tells people what really happened, step by step: a mark, what was done, what was found."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from typing import Any, Final, TextIO

from image_catalog.cli.output import paint

__all__ = ["Narrator", "Telling", "one_line", "step_text"]

_MARKS: Final = {"ok": "✓", "warning": "!", "failed": "✗", "skipped": "–"}
_COLOURS: Final = {"ok": "green", "warning": "yellow", "failed": "red", "skipped": "dim"}

_WRITTEN: Final = {
    "created": 'Creating catalog image "{name}"',
    "version": 'Updating catalog image "{name}": new version',
    "metadata": 'Updating catalog image "{name}"',
    "unchanged": 'Catalog image "{name}": unchanged',
}
"""How the four things are told that a publication can do to an entry."""


class Telling(Enum):
    """Which of a write's stories is told; the functions' steps have the same names in both."""

    PUBLISHING = "publishing"
    CHECKING = "checking"


def one_line(text: object) -> str:
    """Return a text as one line that a terminal can do nothing but show.

    Registries and Secrets have a say in messages, so control characters, which
    move cursors and rename windows, are left out.
    """
    words = " ".join(str(text).split())
    return "".join(character for character in words if character.isprintable())


def step_text(step: Mapping[str, Any], telling: Telling) -> str:
    """Return a step in the words of the quick start, without its mark.

    Parameters
    ----------
    step
        ``name``, ``status`` and ``message``, as the API answered.
    telling
        A publication says what it does (``Verifying registry accessibility...``);
        a check says what it found (``Registry accessibility: OK``).
    """
    name, message = one_line(step.get("name", "")), one_line(step.get("message", ""))
    if telling is Telling.PUBLISHING and step.get("status") == "ok":
        if name == "Registry URL":
            return "Validating registry URL"
        if name == "Registry accessibility":
            return f"Verifying registry accessibility... {message}".rstrip()
        if name == "Catalog image":
            subject, _, change = message.rpartition(" ")
            if subject and change in _WRITTEN:
                return _WRITTEN[change].format(name=subject.rpartition("/")[2])
    return f"{name}: {message}" if message else name


class Narrator:
    """Prints what a write does, and shows on a terminal that it is still at it.

    Parameters
    ----------
    out
        Where the lines go: standard output for people, standard error where a
        script reads data from standard output.
    telling
        Which story is told.
    colour
        Whether marks are coloured.
    spinner
        Whether something moves on standard error while nothing is said.
    verbose
        Whether every step says how long it took.
    """

    def __init__(self, out: TextIO, *, telling: Telling, colour: bool, spinner: bool, verbose: bool = False) -> None:
        self._out = out
        self._telling = telling
        self._colour = colour
        self._spinner = spinner
        self._verbose = verbose

    def say(self, text: str = "") -> None:
        """Print a line as it is."""
        print(text, file=self._out, flush=True)

    def tell(self, steps: Iterable[Mapping[str, Any]]) -> None:
        """Print steps in the order in which they went."""
        for step in steps:
            took = f" ({step['milliseconds']} ms)" if self._verbose and step.get("milliseconds") else ""
            self.mark(str(step.get("status", "")), step_text(step, self._telling) + took)

    def mark(self, status: str, text: str) -> None:
        """Print a line with the mark of a status: ``ok``, ``failed`` or ``skipped``."""
        mark = _MARKS.get(status, "?")
        if self._colour and status in _COLOURS:
            mark = paint(mark, _COLOURS[status])
        self.say(f"{mark} {text}")

    @contextmanager
    def busy(self, text: str) -> Iterator[None]:
        """Show that something is under way, on a terminal only."""
        if not self._spinner:
            yield
            return
        from rich.console import Console  # noqa: PLC0415 - only a terminal pays for it
        from rich.text import Text  # noqa: PLC0415 - the same

        with Console(file=sys.stderr).status(Text(text)):
            yield
