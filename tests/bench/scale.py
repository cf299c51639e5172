"""What a hundred thousand entries cost: a tick of reverify, the API's start and memory, requests to the API server."""

from __future__ import annotations

import inspect
import statistics
import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.bench.api_process import cpu_seconds, shared_api
from tests.bench.figures import Figure
from tests.bench.filled_cluster import FilledCluster, shared_cluster
from tests.bench.real_cluster import real_cluster
from tests.bench.sharing import Shared
from tests.bench.verification_requests import measure_verification_requests

from image_catalog.cluster import KubernetesTransport, Response, StreamingResponse, Transport
from image_catalog.config import Settings
from image_catalog.context import Context
from image_catalog.events import CatalogEvent, ReceivedEvent, SourceType
from image_catalog.models.events import Ping
from image_catalog.models.names import PING_REVERIFY
from image_catalog_functions.reverify.main import main

__all__ = ["measure_scale"]

_BATCH = 2_000
"""What a tick a minute has to ask for, so that 100,000 entries are checked each hour."""

_handle: Any = inspect.unwrap(main)


async def measure_scale(
    folder: Path, shared: Shared, *, entries: int, ticks: int, verified: tuple[int, int], kubeconfig: Path | None
) -> list[Figure]:
    """Fill a cluster, let ticks come, and start the API in front of it; then count requests in a cluster of its own.

    Parameters
    ----------
    folder
        Where a registry keeps its content.
    shared
        Starts cluster and API.
    entries
        Entries that there are, of which as many are due each minute.
    ticks
        How many ticks are measured.
    verified
        Few and many entries that are checked at once, for what one more costs.
    kubeconfig
        A real cluster to fill, in which the functions do not run; an embedded one without.
    """
    figures = await measure_verification_requests(folder / "requests", few=verified[0], many=verified[1])
    where = "a real API server" if kubeconfig else "the embedded Kubernetes API in a process of its own"
    cluster = shared_cluster(shared, entries=entries) if kubeconfig is None else real_cluster(kubeconfig, entries)
    async with cluster as filled:
        figures += await _measure_ticks(filled, entries=entries, ticks=ticks, where=where)
        async with shared_api(shared, filled, entries=entries) as api:
            how = f"with {entries:,} entries of {where}, listed over TLS"
            figures += [
                Figure(
                    name="api_start_seconds",
                    value=api.ready_seconds,
                    unit="s",
                    better="lower",
                    bar=60,
                    note="from the start of the API's process until /readyz says that its index is filled, "
                    f"{api.cpu_seconds:.1f} s of that its own CPU, {how}",
                ),
                Figure(
                    name="api_rss_mb",
                    value=api.resident_bytes / 2**20,
                    unit="MiB",
                    better="lower",
                    bar=768,
                    note=f"resident memory of the API's processes when it is ready, {how}",
                ),
            ]
    return figures


async def _measure_ticks(cluster: FilledCluster, *, entries: int, ticks: int, where: str) -> list[Figure]:
    transport = _Counting(await KubernetesTransport.connect(kubeconfig=cluster.reverify))
    context = Context.build(
        settings=Settings(reverify_batch=_BATCH), transport=transport, clock=lambda: cluster.filled_at
    )
    try:
        whole = await _count_rows(context, transport)
        asked = len(await _tick(context))  # The first one opens connections.
        sent, seconds = [], []
        used = time.process_time(), _computed(cluster)
        for _ in range(ticks):
            transport.reset()
            begun = time.perf_counter()
            await _tick(context)
            seconds.append(time.perf_counter() - begun)
            sent.append(transport.bytes / entries)
        own, servers = (time.process_time() - used[0]) / ticks, (_computed(cluster) - used[1]) / ticks
    finally:
        await context.aclose()
    how = f"{entries:,} entries of {where}, checked every hour, {asked:,} of them due"
    return [
        Figure(
            name="reverify_tick_bytes_per_entry",
            value=statistics.median(sent),
            unit="bytes",
            better="lower",
            bar=20,
            note=f"bodies and queries of all that a tick asks the API server, by the entries that there are: {how}; "
            f"{transport.requests} requests; a row of each would be {whole / entries:.0f} bytes",
        ),
        Figure(
            name="reverify_tick_seconds",
            value=statistics.median(seconds),
            unit="s",
            better="lower",
            bar=5,
            note=f"from the tick's event until the checks are chosen, the API server's part included: {how}; "
            f"{ticks} ticks, {min(seconds):.2f} to {max(seconds):.2f}; {own:.2f} s of CPU here each, and {servers:.2f} "
            "s in the API server where that is ours",
        ),
    ]


def _computed(cluster: FilledCluster) -> float:
    """Return how long the API server has computed; nothing is known of a real one."""
    return cpu_seconds(cluster.pid) if cluster.pid is not None else 0


async def _tick(context: Context) -> list[CatalogEvent]:
    event = ReceivedEvent(id="tick", source=PING_REVERIFY, type=SourceType.PING, data=Ping())
    events: list[CatalogEvent] = await _handle(event, context)
    return events


async def _count_rows(context: Context, transport: _Counting) -> int:
    """Return how many bytes the rows of all entries are."""
    transport.reset()
    async for _ in context.images.rows():
        pass
    return transport.bytes


class _Counting:
    """Counts what goes through a transport."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self.bytes = 0
        self.requests = 0

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        timeout: timedelta,  # noqa: ASYNC109 - the Protocol's parameter
        **options: Any,
    ) -> Response:
        """Send one request; see `Transport.request`."""
        answer = await self._inner.request(method, path, query=query, timeout=timeout, **options)
        self.requests += 1
        asked = sum(len(key) + len(value) for key, value in (query or {}).items())
        self.bytes += len(path) + asked + len(answer.body)
        return answer

    def stream(
        self, path: str, *, query: Mapping[str, str] | None = None, timeout: timedelta
    ) -> AbstractAsyncContextManager[StreamingResponse]:
        """Open a stream; see `Transport.stream`."""
        return self._inner.stream(path, query=query, timeout=timeout)

    async def close(self) -> None:
        """Close every connection."""
        await self._inner.close()
