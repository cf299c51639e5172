"""Two terminals: one in which ``make up`` runs the stack, and one in which somebody types what a page shows."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["ENDS_WITHIN", "PATIENCE", "Terminal", "alive", "children", "stack_in_a_terminal"]

PATIENCE = 60.0
"""Seconds for the start, and for one command; each takes less than ten, and less than one."""

ENDS_WITHIN = 5.0
"""Seconds from a signal to the end of the stack. Two are promised; a machine that runs tests beside may take longer."""

_EXPORT = re.compile(r"^  (export (?P<name>[A-Z_]+)=(?P<value>.*))$", re.MULTILINE)


@dataclass(slots=True)
class Terminal:
    """A shell beside a running stack.

    Attributes
    ----------
    home
        Folder that it starts in, and of whoever sits there.
    instructions
        What the stack has told to do.
    events
        The lines that it has printed since.
    """

    home: Path
    instructions: str
    events: list[str] = field(default_factory=list)

    @property
    def exports(self) -> Mapping[str, str]:
        """The variables that the stack tells to export, as they are written."""
        return {match["name"]: match["value"] for match in _EXPORT.finditer(self.instructions)}

    async def type(self, command: str, *, folder: Path | None = None) -> tuple[int, str]:
        """Run a command after the ``export`` lines, and return its exit code and what it prints on either stream.

        Parameters
        ----------
        command
            For bash.
        folder
            Where to; `home` when absent.
        """
        exports = "\n".join(match[1] for match in _EXPORT.finditer(self.instructions))
        process = await asyncio.create_subprocess_exec(
            *("bash", "-o", "pipefail", "-c", f"{exports}\n{command}"),
            cwd=folder or self.home,
            # What a kubectl would collect in its moment is not worth the looking.
            env={"PATH": os.environ["PATH"], "HOME": str(self.home), "LANG": "C.UTF-8", "GOGC": "off"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(PATIENCE):
                out, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        return process.returncode or 0, out.decode()


def children(pid: int) -> set[int]:
    """Return every process that a process has started, and those that they have; none where there is no ``/proc``."""
    found: set[int] = set()
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found |= {int(child) for child in tasks.read_text().split()}
    return found.union(*(children(child) for child in found))


def alive(pid: int) -> bool:
    """Return whether a process still runs; one that has only not been waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@asynccontextmanager
async def stack_in_a_terminal(folder: Path, *options: str) -> AsyncIterator[Terminal]:
    """Run ``image-catalog local up``, as ``make up`` does, until the context ends, with Ctrl-C.

    Parameters
    ----------
    folder
        The stack's files go into ``stack``, and whoever types is in ``home``.
    options
        For the command.

    Raises
    ------
    RuntimeError
        Raised if the stack does not start, or does not end as it should: in
        time, with exit code 0, telling so, and without leaving a process.
    """
    home = folder / "home"
    home.mkdir()
    process = await asyncio.create_subprocess_exec(
        *(str(Path(sys.executable).with_name("image-catalog")), "local", "up", "--folder", str(folder / "stack")),
        *("--catalog-port", "0", *options),
        env={"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    try:
        terminal = Terminal(home, await _instructions(process.stdout))
        reading = asyncio.create_task(_read_on(process.stdout, terminal.events))
        yield terminal
    except BaseException:
        await _interrupt(process)
        raise
    tree = children(process.pid)
    taken = await _interrupt(process)
    await reading
    left = sorted(filter(alive, tree))
    if process.returncode or left or taken > ENDS_WITHIN or not terminal.events[-1:] == ["stopped\n"]:
        raise RuntimeError(
            f"the stack ended with {process.returncode} after {taken:.1f} s, left the processes {left}, and said last: "
            f"{''.join(terminal.events[-3:])}"
        )


async def _interrupt(process: asyncio.subprocess.Process) -> float:
    """End a process as Ctrl-C does; return the seconds that it takes."""
    began = time.monotonic()
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)
    await process.wait()
    return time.monotonic() - began


async def _instructions(stream: asyncio.StreamReader) -> str:
    said = ""
    async with asyncio.timeout(PATIENCE):
        while "Ctrl-C ends everything" not in said:
            line = await stream.readline()
            if not line:
                raise RuntimeError(f"the stack ended before it was ready:\n{said}")
            said += line.decode()
    return said


async def _read_on(stream: asyncio.StreamReader, lines: list[str]) -> None:
    while line := await stream.readline():
        lines.append(line.decode())
