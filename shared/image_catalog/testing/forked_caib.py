"""``caib`` as a process of its own that need not import anything: it is forked from one that has.

Starting Python and importing is nearly all that a command takes, and a story runs
dozens. Streams, environment and exit code are a process's own, and come to what those
of the installed script do. `image_catalog.testing.forking` starts servers so.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from image_catalog.cli.caib import main
from image_catalog.testing.kubectl import Completed

__all__ = ["run_caib"]

_STARTED = get_context("forkserver")
_STARTED.set_forkserver_preload(
    [
        __name__,
        "http.client",
        "ssl",
        "yaml",
        *(
            f"image_catalog.cli.{name}"
            for name in ("client", "connection", "kubeconfig", "listing", "settings", "tree")
        ),
    ]
)
_STREAMS = {1: "stdout", 2: "stderr"}


async def run_caib(
    arguments: Sequence[str], *, environment: Mapping[str, str], within: timedelta = timedelta(seconds=30)
) -> Completed:
    """Run a command to its end, without an input.

    Parameters
    ----------
    arguments
        What stands behind ``caib``.
    environment
        All that it has.
    within
        It is ended when it takes longer.

    Raises
    ------
    TimeoutError
        Raised if it took longer.
    """
    with TemporaryDirectory() as folder:
        process = _STARTED.Process(target=_caib, args=(list(arguments), dict(environment), folder), daemon=True)
        process.start()
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(process.sentinel, ended.set)
        try:
            async with asyncio.timeout(within.total_seconds()):
                await ended.wait()
        finally:
            loop.remove_reader(process.sentinel)
            if not ended.is_set():
                process.kill()
            process.join()
        out, err = ((Path(folder) / name).read_text() for name in _STREAMS.values())
        return Completed(out, err, process.exitcode or 0)


def _caib(arguments: list[str], environment: dict[str, str], folder: str) -> None:
    """Be ``caib``."""
    os.environ.clear()
    os.environ.update(environment)
    for number, name in _STREAMS.items():
        with (Path(folder) / name).open("wb") as file:
            os.dup2(file.fileno(), number)
    sys.argv = ["caib", *arguments]
    main()
