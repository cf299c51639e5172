"""The load generator: wrk with one thread on a core of its own."""

from __future__ import annotations

import asyncio
import json
import math
import os
import shutil
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Cores", "Load", "Wrk", "find_cores", "missing_tools"]

_TOOLS = ("wrk", "nginx", "taskset")

_TIMEOUT = "20s"
"""After this wrk counts an answer as lost; far above every answer that is measured."""

_SUMMARY = """\
function done(summary, latency, requests)
  local lost = summary.errors
  io.stderr:write(string.format(
    '{"requests": %d, "bytes": %d, "microseconds": %d, "p50": %d, "p99": %d, "errors": %d}\\n',
    summary.requests, summary.bytes, summary.duration, latency:percentile(50), latency:percentile(99),
    lost.connect + lost.read + lost.write + lost.status + lost.timeout))
end
"""

_READY = b"ready\n"
"""What a script says when it is about to ask, and an interrupt ends the run and not the process."""

_TRIED = """\
local answers = 0
function response()
  answers = answers + 1
  if answers == %d then
    wrk.thread:stop()
    io.stderr:write("tried\\n")
  end
end
"""
"""Ends the run after as many answers: what shows that it can be measured, however busy the machine is."""

_TRIED_WITHIN = 60.0
"""Seconds for such a run."""

_SAME = (
    """\
function init(arguments)
  io.stderr:write("ready\\n")
end
"""
    + _SUMMARY
)
"""Asks for one URL."""

_DIFFERENT = (
    """\
local prepared, at = {}, 0
function init(arguments)
  for line in io.lines(arguments[1]) do
    prepared[#prepared + 1] = wrk.format("GET", line)
  end
  at = tonumber(arguments[2])
  io.stderr:write("ready\\n")
end
function request()
  at = at % #prepared + 1
  return prepared[at]
end
"""
    + _SUMMARY
)
"""Asks for each line of a file in turn; they are made into requests before the clock runs."""


@dataclass(frozen=True, slots=True)
class Cores:
    """Where servers run, and where the load generator does."""

    server: int
    load: int

    def pinned(self, *command: str) -> list[str]:
        """Return a server's command, bound to its core."""
        return ["taskset", "-c", str(self.server), *command]


def find_cores() -> Cores | None:
    """Return two cores that this process may use, `None` where it has but one."""
    if not sys.platform.startswith("linux"):
        return None
    usable = sorted(os.sched_getaffinity(0))
    return Cores(usable[0], usable[1]) if len(usable) > 1 else None


def missing_tools() -> str | None:
    """Say what is not there to measure beside nginx, `None` when everything is."""
    absent = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if absent:
        return f"not installed: {', '.join(absent)}"
    return None if find_cores() else "server and load generator need a core each, and there is but one"


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of wrk saw."""

    per_second: float
    p50_ms: float
    p99_ms: float
    errors: int
    """Answers that are no success, and connections that failed or took too long."""
    requests: int
    bytes_each: float
    """Head and body of an answer."""


class Wrk:
    """Runs wrk against one URL after another.

    Parameters
    ----------
    folder
        Where its scripts go.
    core
        Where it runs.
    authorization
        The header that every request carries.
    """

    def __init__(self, folder: Path, *, core: int, authorization: str) -> None:
        folder.mkdir(parents=True)
        self._core = core
        self._authorization = authorization
        self._script = folder / "script.lua"

    async def same(self, url: str, *, seconds: float | None, connections: int = 100) -> Load:
        """Ask for one URL over and over; see `different`."""
        return await self._run(url, [], script=_SAME, seconds=seconds, connections=connections)

    async def different(
        self, base: str, paths: Path, *, first: int, seconds: float | None, connections: int = 100
    ) -> Load:
        """Ask for each line of a file.

        Parameters
        ----------
        base
            Scheme, host and port.
        paths
            The file.
        first
            How many lines are passed over: those that were asked for before.
        seconds
            How long; without, it is tried out: it ends when there are as many answers as connections.
        connections
            How many ask at once.
        """
        arguments = [str(paths), str(first)]
        return await self._run(base, arguments, script=_DIFFERENT, seconds=seconds, connections=connections)

    async def _run(
        self, url: str, arguments: list[str], *, script: str, seconds: float | None, connections: int
    ) -> Load:
        self._script.write_text(script if seconds is not None else script + _TRIED % connections)
        limit = _TRIED_WITHIN if seconds is None else seconds
        # It counts in whole seconds: an interrupt ends it before its time, and it says what it saw as always.
        process = await asyncio.create_subprocess_exec(
            *("taskset", "-c", str(self._core), "wrk", "-t1", f"-c{connections}", f"-d{math.ceil(limit) + 2}s"),
            *("--timeout", _TIMEOUT, "-H", f"Authorization: {self._authorization}", "-s", str(self._script), url),
            *(("--", *arguments) if arguments else ()),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stderr is not None
        first = await process.stderr.readline()
        if seconds is None:
            first += await process.stderr.readline()
            limit = 0
        interrupt = asyncio.get_running_loop().call_later(limit, process.send_signal, signal.SIGINT)
        _, told = await process.communicate()
        interrupt.cancel()
        if process.returncode or first not in {_READY, _READY + b"tried\n"}:
            raise RuntimeError(f"wrk ended with {process.returncode}: {(first + told).decode()}")
        seen = json.loads(told.splitlines()[-1])
        requests = max(seen["requests"], 1)
        return Load(
            per_second=seen["requests"] / seen["microseconds"] * 1e6,
            p50_ms=seen["p50"] / 1000,
            p99_ms=seen["p99"] / 1000,
            errors=seen["errors"],
            requests=seen["requests"],
            bytes_each=seen["bytes"] / requests,
        )
