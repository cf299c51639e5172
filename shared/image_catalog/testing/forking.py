"""Processes that run a module as ``python -m`` does, and find imported what costs most of such a start.

What makes tests of processes dear is not the processes: it is that each imports
the same again. One parent imports it once, and every process is split off it.
What a test says of imports themselves needs a start of its own.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

__all__ = ["Forked", "Forker"]

_PARENT = """
import importlib, json, os, runpy, signal, sys

for name in sys.argv[1:]:
    importlib.import_module(name)
print(0, flush=True)
while line := os.read(0, 65536):
    # One order at a time, and no buffer: what is split off would read on in it.
    order = json.loads(line)
    pid = os.fork()
    if pid == 0:
        log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for target, source in enumerate((nothing, log, log)):
            os.dup2(source, target)
        os.environ.clear()
        os.environ.update(order["environment"])
        sys.argv = order["arguments"]
        runpy.run_module(order["module"], run_name="__main__", alter_sys=True)
        sys.exit()
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


@dataclass
class Forked:
    """A process that was split off.

    Attributes
    ----------
    pid
        Its id.
    returncode
        How it has ended, if that was waited for: the signal's negative number,
        if a signal ended it.
    """

    pid: int
    _parent: subprocess.Popen[bytes]
    returncode: int | None = None

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has been waited for."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def poll(self) -> int | None:
        """Return how it has ended, or `None`."""
        return self._look(0)

    def wait(self, seconds: float) -> int:
        """Wait until it has ended, and return how.

        Raises
        ------
        TimeoutError
            Raised if it runs for longer than `seconds`.
        """
        code = self._look(seconds)
        if code is None:
            raise TimeoutError(f"process {self.pid} still runs after {seconds} s")
        return code

    def _look(self, seconds: float) -> int | None:
        if self.returncode is None:
            with selectors.DefaultSelector() as selector:
                selector.register(_stream(self._parent.stdout), selectors.EVENT_READ)
                if selector.select(seconds):
                    self.returncode = _said(self._parent)
        return self.returncode


class Forker:
    """A parent that has imported, and starts one process at a time.

    Parameters
    ----------
    parent
        As `importing` starts it.
    """

    def __init__(self, parent: subprocess.Popen[bytes]) -> None:
        self._parent = parent

    @classmethod
    @contextmanager
    def importing(cls, *modules: str) -> Iterator[Forker]:
        """Start a parent that lasts as long as the context.

        Parameters
        ----------
        modules
            What it imports for all of its processes. None may start a thread.
        """
        with subprocess.Popen(  # noqa: S603 - nothing here is from elsewhere
            # Without a buffer: what was read into one could not be waited for.
            [sys.executable, "-c", _PARENT, *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        ) as parent:
            try:
                _said(parent)
                yield cls(parent)
            finally:
                parent.kill()

    @contextmanager
    def running(self, module: str, *arguments: str, environment: Mapping[str, str], log: Path) -> Iterator[Forked]:
        """Run a module as ``python -m`` does, until the context ends at the latest.

        Parameters
        ----------
        module
            A module, or a package that has a ``__main__``.
        arguments
            Of the command line.
        environment
            All of it.
        log
            File that takes what it prints on either stream.
        """
        order = {"module": module, "arguments": [module, *arguments], "environment": dict(environment)}
        _stream(self._parent.stdin).write(json.dumps(order | {"log": str(log)}).encode())
        process = Forked(_said(self._parent), self._parent)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(10)


def _stream(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None  # noqa: S101 - it is a pipe
    return stream


def _said(parent: subprocess.Popen[bytes]) -> int:
    line = _stream(parent.stdout).readline()
    if not line:
        raise RuntimeError("the parent has ended, and told why on its standard error")
    return int(line)
