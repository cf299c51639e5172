"""What a page has its readers type, and what it shows that this prints.

Such a block is marked ``console``: ``$`` and a command, then the lines of its
output. One that nobody can run carries the reason in a comment before it:
``<!-- not run: it needs a board -->``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

__all__ = ["Command", "commands_of", "reasons_not_to_run"]

_CONSOLE: Final = re.compile(r"(?:<!-- not run: (?P<reason>.*?) -->\s*)?```console\n(?P<console>.*?)```", re.DOTALL)


@dataclass
class Command:
    """A command of a page, and the lines that it is to print."""

    text: str
    expected: list[str] = field(default_factory=list)

    @property
    def fails(self) -> bool:
        """Whether the page shows that it does."""
        return any(line.startswith("Error: ") for line in self.expected)


def commands_of(page: str) -> Iterator[Command]:
    """Yield what is run, in the order of the page.

    Parameters
    ----------
    page
        The page's text.
    """
    for match in _CONSOLE.finditer(page):
        if match["reason"] is None:
            yield from _typed(match["console"])


def reasons_not_to_run(page: str) -> list[str]:
    """Return why each block that is not run is not.

    Parameters
    ----------
    page
        The page's text.
    """
    return [match["reason"] for match in _CONSOLE.finditer(page) if match["reason"] is not None]


def _typed(block: str) -> Iterator[Command]:
    command: Command | None = None
    for line in block.splitlines():
        if line.startswith("$ "):
            if command is not None:
                yield command
            command = Command(line.removeprefix("$ "))
        elif command is not None and command.text.endswith("\\"):
            command.text += f"\n{line}"
        elif command is not None:
            command.expected.append(line)
    if command is not None:
        yield command
