"""A command line as a process: one that is over before the garbage collector would be of use."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Final

__all__ = ["run_process"]

_ALLOCATIONS: Final = 50_000
"""New objects after which the collector comes: what a command imports is as much, and lives as long as the process.
One that runs for hours has its garbage collected all the same."""


def run_process(command: Callable[[], int]) -> None:
    """Run a command line and end the process with its exit code.

    Parameters
    ----------
    command
        Returns the exit code.
    """
    gc.set_threshold(_ALLOCATIONS)
    code = command()
    # The interpreter's last act would be to go through everything that the system takes back a moment later.
    gc.freeze()
    sys.exit(code)
