"""How long it takes from the write that completes a build to an Available entry, on the whole local stack."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench.figures import Figure, quantile

from image_catalog.cluster import CATALOG_IMAGE, IMAGE_BUILD, Changed, KubernetesAPI
from image_catalog.local.registry import SampleImage
from image_catalog.local.stack import LocalStack, StackOptions
from image_catalog.models import format_time

__all__ = ["measure_publishing"]

_NAMESPACE = "default"
_REPOSITORY = "bench/autosd"
_WARM_UP = 5
_LIMIT = 120.0
"""Seconds until a build that is not published is given up."""


class _Arrivals:
    """Notes when each entry is first seen Available."""

    def __init__(self, api: KubernetesAPI) -> None:
        self._api = api
        self._seen: dict[str, asyncio.Future[float]] = {}

    def expect(self, name: str) -> asyncio.Future[float]:
        return self._seen.setdefault(name, asyncio.get_running_loop().create_future())

    async def watch(self) -> None:
        async with aclosing(self._api.watch(CATALOG_IMAGE, _NAMESPACE)) as changes:
            async for change in changes:
                if not isinstance(change, Changed):
                    continue
                entry = change.object
                if (entry.get("status") or {}).get("phase") != "Available":
                    continue
                arrival = self.expect(entry["metadata"]["name"])
                if not arrival.done():
                    arrival.set_result(time.perf_counter())


async def measure_publishing(folder: Path, *, builds: int) -> list[Figure]:
    """Complete builds one after another, then as many at once.

    Parameters
    ----------
    folder
        Where the stack keeps its files.
    builds
        How many of each.
    """
    async with LocalStack(StackOptions(folder=folder / "stack")) as stack:
        arrivals = _Arrivals(stack.api)
        watching = asyncio.create_task(arrivals.watch())
        try:
            names = {
                kind: [f"{kind}-{i}" for i in range(count)]
                for kind, count in (("warm", _WARM_UP), ("single", builds), ("burst", builds))
            }
            for name in (name for group in names.values() for name in group):
                await _prepare(stack, name)
            await _one_by_one(stack, arrivals, names["warm"])
            single = await _one_by_one(stack, arrivals, names["single"])
            await stack.knative.wait_idle()
            burst = await asyncio.gather(*(_complete(stack, arrivals, name) for name in names["burst"]))
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
    how = (
        "from the status write that completes the ImageBuild to the entry Available, seen by a watch; "
        "embedded API, broker and registry in one process, each function a functions-framework process of its own"
    )
    return [
        *_figures("publish_latency", single, f"{builds} builds one after another, {how}"),
        *_figures("publish_burst_latency", burst, f"{builds} builds at once, {how}"),
    ]


async def _prepare(stack: LocalStack, name: str) -> None:
    """Push an image, and create the build that made it."""
    assert stack.registry is not None
    SampleImage(name=name).put(stack.registry.store, _REPOSITORY, name)
    spec: dict[str, Any] = {
        "architecture": "arm64",
        "aib": {"distro": "autosd", "target": "qemu", "mode": "image"},
        "export": {"container": f"quay.io/{_REPOSITORY}:{name}"},
    }
    await stack.api.create(IMAGE_BUILD, {"metadata": {"name": name}, "spec": spec}, _NAMESPACE)


async def _one_by_one(stack: LocalStack, arrivals: _Arrivals, names: Iterable[str]) -> list[float]:
    taken = []
    for name in names:
        taken.append(await _complete(stack, arrivals, name))
        # The next build meets a stack at rest: what this one still sets off is not the next one's to wait for.
        await stack.knative.wait_idle()
    return taken


async def _complete(stack: LocalStack, arrivals: _Arrivals, name: str) -> float:
    """Complete a build; return the milliseconds until its entry is Available."""
    arrival = arrivals.expect(name)
    status = {"phase": "Completed", "completionTime": format_time(datetime.now(UTC))}
    begun = time.perf_counter()
    await stack.api.patch_status(IMAGE_BUILD, name, _NAMESPACE, status, resource_version=None)
    async with asyncio.timeout(_LIMIT):
        return (await arrival - begun) * 1000


def _figures(name: str, taken: list[float], how: str) -> list[Figure]:
    note = f"{how}; {min(taken):.0f} to {max(taken):.0f} ms"
    return [
        Figure(name=f"{name}_ms_p50", value=quantile(taken, 0.5), unit="ms", better="lower", note=note),
        Figure(name=f"{name}_ms_p99", value=quantile(taken, 0.99), unit="ms", better="lower", note=note),
    ]
