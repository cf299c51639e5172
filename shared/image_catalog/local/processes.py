"""Signals to child processes of an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import os

__all__ = ["send_signal"]


def send_signal(process: asyncio.subprocess.Process, number: int) -> None:
    """Send a signal to a process that may have ended.

    The process's own method first looks whether it has ended. If it just has,
    that look takes the exit code away from the event loop, which then reports
    255 in its place (https://github.com/python/cpython/issues/87744).

    Parameters
    ----------
    process
        The process.
    number
        The signal.
    """
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)
