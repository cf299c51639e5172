"""Shows how far downloads are: a bar for each file on a terminal, and a line for each when it is done."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Self

from image_catalog.cli.download.running import Outcome, Watcher
from image_catalog.cli.output import is_terminal, size_text

if TYPE_CHECKING:
    from image_catalog.cli.download.wanted import WantedFile

__all__ = ["Bars", "told"]

_WORDS = {"download": "", "unpack": "unpacking ", "check": "checking "}


class Bars(Watcher):
    """Bars on stderr where that is a terminal, and nothing where it is none; use it in a ``with`` block.

    Bars are drawn from a thread of their own some times a second: what reads
    gigabytes only leaves numbers for it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tasks: dict[str, int] = {}
        self._progress = None
        if is_terminal(sys.stderr):
            from rich.console import Console  # noqa: PLC0415 - scripts have no terminal
            from rich.progress import (  # noqa: PLC0415 - the same
                BarColumn,
                DownloadColumn,
                Progress,
                TextColumn,
                TimeRemainingColumn,
                TransferSpeedColumn,
            )

            self._progress = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                DownloadColumn(),
                TransferSpeedColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )

    def __enter__(self) -> Self:
        if self._progress is not None:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def begin(self, file: WantedFile, what: str) -> None:
        """Draw a bar, or begin another one in its place."""
        if self._progress is None:
            return
        label = f"{_WORDS[what]}{file.name}"
        with self._lock:
            if file.name in self._tasks:
                self._progress.remove_task(self._tasks[file.name])  # type: ignore[arg-type]  # rich's own number
            self._tasks[file.name] = self._progress.add_task(label, total=file.size)

    def progress(self, file: WantedFile, done: int, total: int | None) -> None:
        """Let the bar grow."""
        if self._progress is not None and (task := self._tasks.get(file.name)) is not None:
            self._progress.update(task, completed=done, total=total)  # type: ignore[arg-type]  # as above

    def end(self, outcome: Outcome) -> None:
        """Take the bar away."""
        if self._progress is not None:
            with self._lock:
                if (task := self._tasks.pop(outcome.file.name, None)) is not None:
                    self._progress.remove_task(task)  # type: ignore[arg-type]  # as above


def told(outcome: Outcome) -> str:
    """Return what is said of a file that is there now."""
    checked = "checksum OK" if outcome.verified else "no checksum to check it with"
    size = size_text(outcome.size)
    if outcome.unpacked_size is not None:
        size = f"{size}, unpacked {size_text(outcome.unpacked_size)}"
    there = ", was there already" if outcome.was_there else ""
    return f"✓ {outcome.path} ({size}, {checked}{there})"
