"""How long ``caib`` takes, beside an interpreter that does nothing."""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.bench.api_process import ApiProcess
from tests.bench.figures import Figure, spread

__all__ = ["measure_caib_starts"]


async def measure_caib_starts(folder: Path, api: ApiProcess, *, pairs: int) -> list[Figure]:
    """Start both by turns.

    Parameters
    ----------
    folder
        Stands for a user's home: what they have configured must not matter.
    api
        The server that is listed.
    pairs
        How many times each is started; once is a trial.
    """
    caib = str(Path(sys.executable).with_name("caib"))
    home = folder / "home"
    home.mkdir()
    environment = {"HOME": str(home), "CAIB_SERVER": api.url, "CAIB_TOKEN": api.cluster.token}
    commands = {
        "bare": (sys.executable, "-c", "pass"),
        "version": (caib, "--version"),
        "list": (caib, "catalog", "list", "--all-namespaces"),
    }
    for command in commands.values() if pairs > 1 else ():
        # Once without the clock: the first start writes bytecode and fills the page cache.
        await _time(command, environment)
    rounds = [{name: await _time(command, environment) for name, command in commands.items()} for _ in range(pairs)]
    return [
        _figure("caib_version_ratio", "version", rounds, bar=6, what="caib --version"),
        _figure("caib_list_ratio", "list", rounds, bar=15, what="caib catalog list, 20 entries from the API"),
    ]


def _figure(name: str, measured: str, rounds: Sequence[Mapping[str, float]], *, bar: float, what: str) -> Figure:
    ratios = [one[measured] / one["bare"] for one in rounds]
    taken, bare = (statistics.median(one[kind] for one in rounds) * 1000 for kind in (measured, "bare"))
    return Figure(
        name=name,
        value=statistics.median(ratios),
        unit="ratio",
        better="lower",
        bar=bar,
        note=f"{what}, {taken:.0f} ms, by {bare:.0f} ms of python -c pass with the same interpreter; by turns, "
        f"{spread(ratios, 1)}",
    )


async def _time(command: Sequence[str], environment: Mapping[str, str]) -> float:
    """Run a command to its end; return the seconds."""
    inherited = {key: os.environ[key] for key in ("PATH", "LANG", "TMPDIR") if key in os.environ}
    begun = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *command,
        env=inherited | dict(environment),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, told = await process.communicate()
    taken = time.perf_counter() - begun
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {told.decode()}")
    return taken
