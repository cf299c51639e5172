"""How much memory a command takes at most."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["peak_of"]

# Between us and the command: to the kernel a process has taken at least what the one that started it had taken by then.
_LAUNCHER = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
_KIBIBYTE = 1024


def peak_of(command: Sequence[str | Path], environment: Mapping[str, str]) -> tuple[int, int]:
    """Run a command, and return its exit code and the most memory that it took, in bytes.

    Parameters
    ----------
    command
        The command and its arguments.
    environment
        All of its variables.
    """
    launched = subprocess.run(  # noqa: S603 - what the test names
        [sys.executable, "-S", "-c", _LAUNCHER, *command],
        stdout=subprocess.PIPE,
        env=dict(environment),
        check=True,
        text=True,
    )
    code, kibibytes = launched.stdout.split()
    return int(code), int(kibibytes) * _KIBIBYTE
