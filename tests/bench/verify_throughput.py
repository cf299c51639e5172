"""How many entries are re-verified in a second, beside a loop that does nothing but HEAD."""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
from tests.bench.catalog import VerifyFunction, allow_registry, create_entry
from tests.bench.figures import Figure, spread
from tests.bench.memory_cluster import MemoryCluster

from image_catalog.local.clients import IN_CLEAR
from image_catalog.local.registry import RegistryStore, SampleImage
from image_catalog.models import Phase
from image_catalog.registry.limits import DEFAULT_CONCURRENCY
from image_catalog.registry.media_types import IMAGE_MANIFESTS, INDEXES
from image_catalog.testing.cluster import InProcessCluster
from image_catalog.testing.distribution import DistributionServer, find_docker_registry

__all__ = ["measure_verify_throughput"]

_CONCURRENCY = DEFAULT_CONCURRENCY
"""At once: what the registry client allows one registry without being told otherwise."""

_REPOSITORY = "bench/autosd"
_ACCEPT = ", ".join(sorted(INDEXES | IMAGE_MANIFESTS))

_REGISTRY = """\
import asyncio, sys
from pathlib import Path
from image_catalog.local.registry import EmbeddedRegistry

async def main():
    async with EmbeddedRegistry(Path(sys.argv[1])) as registry:
        print(registry.host, flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""
"""Ends with the standard input, so that it cannot outlive who started it."""


@dataclass(frozen=True, slots=True)
class _Speed:
    per_second: float
    milliseconds: float
    """CPU time of this process for each."""

    @classmethod
    def median(cls, speeds: Sequence[_Speed]) -> _Speed:
        return cls(
            statistics.median(speed.per_second for speed in speeds),
            statistics.median(speed.milliseconds for speed in speeds),
        )


async def measure_verify_throughput(folder: Path, *, entries: int, pairs: int) -> list[Figure]:
    """Let both ask for the same manifests, by turns.

    Parameters
    ----------
    folder
        Where the registry keeps its content.
    entries
        How many entries one round re-verifies.
    pairs
        How many rounds.
    """
    names = [f"image-{i}" for i in range(entries)]
    async with _registry(folder / "registry", names) as (host, server), InProcessCluster() as cluster:
        memory = VerifyFunction(MemoryCluster())
        embedded = VerifyFunction(cluster.transport("verify"))
        try:
            rounds = await _compare(memory, host, names, pairs)
            beside = await _compare(embedded, host, names[: len(names) // 4], max(pairs // 2, 1))
        finally:
            await memory.context.aclose()
            await embedded.context.aclose()
    ratios = [ours.per_second / bare.per_second for bare, ours in rounds]
    bare, ours = (_Speed.median(speeds) for speeds in zip(*rounds, strict=True))
    other = statistics.median(ours.per_second / bare.per_second for bare, ours in beside)
    return [
        Figure(
            name="verify_throughput_ratio",
            value=statistics.median(ratios),
            unit="ratio",
            better="higher",
            bar=0.5,
            note=f"{ours.per_second:.0f} entries re-verified per second through handler and registry client by "
            f"{bare.per_second:.0f} HEADs per second of a bare httpx loop, {_CONCURRENCY} at once; by turns, "
            f"{spread(ratios)}; CPU of this process {ours.milliseconds:.2f} by {bare.milliseconds:.2f} ms each; the "
            f"{server} in a process of its own is the only network. The cluster is a dictionary with resource "
            "version conflicts behind the client's transport: with the whole embedded API in this process, schema and "
            f"CEL of every write included, the ratio is {other:.2f}",
        )
    ]


async def _compare(
    function: VerifyFunction, host: str, names: Sequence[str], pairs: int
) -> list[tuple[_Speed, _Speed]]:
    """Return the speed of HEADs and of re-verifications in each round."""
    api = function.context.api
    await allow_registry(api, host)
    for name in names:
        await create_entry(api, name, f"{host}/{_REPOSITORY}:{name}")
    await _timed(names, function.verify)
    limits = httpx.Limits(max_connections=_CONCURRENCY, max_keepalive_connections=_CONCURRENCY)
    async with httpx.AsyncClient(base_url=f"http://{host}", verify=IN_CLEAR, trust_env=False, limits=limits) as client:

        async def ask(name: str) -> None:
            response = await client.head(f"/v2/{_REPOSITORY}/manifests/{name}", headers={"Accept": _ACCEPT})
            response.raise_for_status()

        await _timed(names, ask)
        rounds = []
        for _ in range(pairs):
            bare = await _timed(names, ask)
            function.wait(timedelta(hours=2))
            rounds.append((bare, await _timed(names, function.verify)))
        for name in names:
            status = (await function.entry(name)).status
            assert status.phase is Phase.AVAILABLE
            assert status.next_verification_time is not None
            assert status.next_verification_time > function.now(), "the last round left it out"
    return rounds


async def _timed(names: Sequence[str], deed: Callable[[str], Awaitable[object]]) -> _Speed:
    waiting = list(names)

    async def work() -> None:
        while waiting:
            await deed(waiting.pop())

    begun, busy = time.perf_counter(), time.process_time()
    async with asyncio.TaskGroup() as group:
        for _ in range(_CONCURRENCY):
            group.create_task(work())
    elapsed, spent = time.perf_counter() - begun, time.process_time() - busy
    return _Speed(len(names) / elapsed, spent / len(names) * 1000)


@asynccontextmanager
async def _registry(root: Path, names: Sequence[str]) -> AsyncIterator[tuple[str, str]]:
    """Serve an image of each name, and yield where, and by what: the real server where a machine has it."""
    binary = find_docker_registry()
    if binary is not None:
        async with DistributionServer(binary=binary, folder=root) as server:
            async with httpx.AsyncClient(verify=IN_CLEAR, trust_env=False) as client:
                for name in names:
                    await SampleImage(name=name).push(server.url, _REPOSITORY, name, client=client)
            yield server.host, "docker-registry"
        return
    store = RegistryStore(root)
    for name in names:
        SampleImage(name=name).put(store, _REPOSITORY, name)
    async with _embedded(root) as host:
        yield host, "embedded registry (docker-registry is not installed)"


@asynccontextmanager
async def _embedded(root: Path) -> AsyncIterator[str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _REGISTRY,
        str(root),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.stdin.close()
        await process.wait()
