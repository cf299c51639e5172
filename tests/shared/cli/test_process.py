"""A command line as a process."""

from __future__ import annotations

import subprocess
import sys

_COMMAND = """
import gc
from image_catalog.cli.process import run_process

def command():
    print(gc.get_threshold()[0], gc.isenabled(), flush=True)
    return 5

run_process(command)
"""


def test_a_process_ends_with_its_commands_exit_code_and_collects_garbage_seldom() -> None:
    ended = subprocess.run([sys.executable, "-c", _COMMAND], capture_output=True, text=True, check=False, timeout=30)

    allocations, enabled = ended.stdout.split()
    assert (ended.returncode, ended.stderr) == (5, "")
    assert int(allocations) > 10_000
    assert enabled == "True"
