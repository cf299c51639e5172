"""The API over catalogs of three sizes: how it starts, what it holds, how it answers, and ``caib`` in front of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tests.bench.api_process import shared_api
from tests.bench.caib_starts import measure_caib_starts
from tests.bench.catalog_changes import measure_changes
from tests.bench.catalog_reads import READS, Apis, measure_reads
from tests.bench.catalog_resolve import RESOLVES, measure_resolves
from tests.bench.figures import Figure
from tests.bench.filled_cluster import shared_cluster
from tests.bench.sharing import Shared
from tests.bench.wrk import find_cores, missing_tools

__all__ = ["measure_catalog_api"]


async def measure_catalog_api(
    folder: Path,
    shared: Shared,
    *,
    sizes: tuple[int, int, int],
    rounds: int,
    seconds: float | None,
    filters: int,
    questions: int,
    changes: int,
    pairs: int,
) -> list[Figure]:
    """Measure everything that people notice of the API.

    Parameters
    ----------
    folder
        Where what loads the APIs keeps its files.
    shared
        Starts clusters and APIs.
    sizes
        Entries of the three catalogs.
    rounds, seconds
        How often and how long wrk runs against each, see `Wrk.different`.
    filters
        How many filters the queries that differ have.
    questions
        How many questions for a board's image are asked.
    changes
        Status writes that are looked for.
    pairs
        Starts of ``caib``.
    """
    missing = missing_tools()
    async with _apis(shared, sizes) as apis:
        figures = _index_figures(apis)
        cores = find_cores()
        if missing or cores is None:
            figures += [_left_out(name, f"left out: {missing}") for name in (*READS, *RESOLVES)]
        else:
            figures += await measure_reads(folder, apis, cores=cores, rounds=rounds, seconds=seconds, filters=filters)
            figures += await measure_resolves(
                folder / "resolve",
                apis.middle.cluster,
                entries=apis.sizes[1],
                cores=cores,
                rounds=rounds,
                seconds=seconds,
                questions=questions,
            )
        figures += await measure_changes(apis.middle, changes=changes)
        return figures + await measure_caib_starts(folder, apis.middle, pairs=pairs)


@asynccontextmanager
async def _apis(shared: Shared, sizes: tuple[int, int, int]) -> AsyncIterator[Apis]:
    """Serve all three, equal ones once; the largest is started first and alone, because its start is measured."""
    cores = find_cores()
    command = tuple(cores.pinned()) if cores and not missing_tools() else ()
    async with AsyncExitStack() as stack:
        different = sorted(set(sizes), reverse=True)
        clusters = await asyncio.gather(
            *(stack.enter_async_context(shared_cluster(shared, entries=entries)) for entries in different)
        )
        apis = {
            entries: await stack.enter_async_context(shared_api(shared, cluster, entries=entries, command=command))
            for entries, cluster in zip(different, clusters, strict=True)
        }
        small, middle, large = (apis[entries] for entries in sizes)
        yield Apis(small, middle, large, sizes)


def _index_figures(apis: Apis) -> list[Figure]:
    least, _, most = apis.sizes
    each = (apis.large.resident_bytes - apis.small.resident_bytes) / (most - least)
    return [
        Figure(
            name="index_bytes_per_entry",
            value=each,
            unit="bytes",
            better="lower",
            bar=6000,
            note=f"resident memory of the API with {most:,} entries, {apis.large.resident_bytes >> 20} MiB, without "
            f"that of one with {least:,}, {apis.small.resident_bytes >> 20} MiB, by the entries between; after the "
            "fill, with each entry's JSON",
        ),
        Figure(
            name="index_fill_seconds_100k",
            value=apis.large.ready_seconds,
            unit="s",
            better="lower",
            note=f"from the start of the API's process until it is ready with {most:,} entries, listed from the "
            f"embedded Kubernetes API in a process of its own over TLS; {apis.small.ready_seconds:.2f} s with "
            f"{least:,}",
        ),
    ]


def _left_out(name: str, reason: str) -> Figure:
    return Figure(name=name, value=None, unit="", better="higher", note=reason)
