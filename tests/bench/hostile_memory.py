"""How much memory it takes to verify everything that hostile registries do, all of it at once."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))  # this file is also the process that is measured

from tests.bench.catalog import VerifyFunction, create_entry  # noqa: E402 - the path comes first
from tests.bench.figures import Figure  # noqa: E402 - the same

from image_catalog.cluster import CATALOG_REGISTRY  # noqa: E402 - the same
from image_catalog.events import configure_logging  # noqa: E402 - the same
from image_catalog.local.registry import SampleImage  # noqa: E402 - the same
from image_catalog.registry.limits import Timeouts  # noqa: E402 - the same
from image_catalog.testing.cluster import InProcessCluster  # noqa: E402 - the same
from image_catalog.testing.misbehaviours import (  # noqa: E402 - the same
    MISBEHAVIOURS,
    REPOSITORY,
    TAG,
    hostile_registry,
)
from image_catalog.testing.registry import FakeRegistry  # noqa: E402 - the same

__all__ = ["measure_hostile_memory"]

_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")
_BAR = 128
"""MiB that the set may take: with the function itself less than its container has."""

_PATIENCE = Timeouts(timedelta(seconds=5), timedelta(seconds=3), timedelta(seconds=6))
"""Shorter than in a cluster, where those that do not answer would hold the measurement up and hold no memory."""


async def measure_hostile_memory(folder: Path, *, most: int | None = None) -> list[Figure]:
    """Serve the hostile set here, verify it in a process of its own, and return what that took.

    Parameters
    ----------
    folder
        Where the registries keep their content.
    most
        How many of them are served; all by default.
    """
    name, unit = "verify_memory_mb_bomb", "MiB"
    if not _can_measure():
        why = "peak memory is read from /proc, which is not there"
        return [Figure(name=name, value=None, unit=unit, better="lower", bar=_BAR, note=why)]
    async with AsyncExitStack() as stack:
        hosts = []
        for number, spoil in enumerate([_well, *list(MISBEHAVIOURS.values())[:most]]):
            registry = await stack.enter_async_context(hostile_registry(folder / str(number)))
            spoil(registry)
            hosts.append({"host": registry.host, "store": registry.storage_host})
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(Path(__file__)), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        answer, _ = await process.communicate(json.dumps(hosts).encode())
    found = json.loads(answer)
    note = (
        f"peak resident memory of a process that verifies {len(hosts) - 1} hostile registries at once through the "
        f"verify handler, less its peak of {found['before']:.0f} MiB with one good image; phases: {found['phases']}"
    )
    return [Figure(name=name, value=found["peak"] - found["before"], unit=unit, better="lower", bar=_BAR, note=note)]


def _well(registry: FakeRegistry) -> None:
    registry.put(SampleImage(), REPOSITORY, TAG)


async def _verify(hosts: list[dict[str, str]]) -> dict[str, object]:
    """Verify one good image, forget the peak, and verify all others at once."""
    async with InProcessCluster() as cluster:
        function = VerifyFunction(cluster.transport("verify"), timeouts=_PATIENCE)
        api = function.context.api
        try:
            for number, host in enumerate(hosts):
                for kind in ("host", "store"):
                    spec = {"host": host[kind], "allowPrivateNetworks": True, "tls": {"plainHTTP": True}}
                    await api.create(CATALOG_REGISTRY, {"metadata": {"name": f"{kind}-{number}"}, "spec": spec})
                await create_entry(api, f"image-{number}", f"{host['host']}/{REPOSITORY}:{TAG}")
            await function.verify("image-0")
            _forget_peak()
            before = _peak()
            names = [f"image-{number}" for number in range(1, len(hosts))]
            await asyncio.gather(*(function.verify(name) for name in names))
            peak = _peak()
            phases = [(await function.entry(name)).status.phase for name in names]
        finally:
            await function.context.aclose()
    counted = {str(phase): phases.count(phase) for phase in phases}
    return {"before": before, "peak": peak, "phases": ", ".join(f"{n} {phase}" for phase, n in sorted(counted.items()))}


def _can_measure() -> bool:
    return _RESET.exists()


def _forget_peak() -> None:
    """Let the peak begin anew: https://docs.kernel.org/filesystems/proc.html."""
    _RESET.write_text("5")


def _peak() -> float:
    """Return the peak of this process's resident memory in MiB."""
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    with Path(os.devnull).open("w") as nowhere:
        configure_logging(stream=nowhere)
        result = asyncio.run(_verify(json.load(sys.stdin)))
    sys.stdout.write(json.dumps(result))
