"""Builds on the local stack: their images are pushed, they complete, and their entries are waited for."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from image_catalog.cluster import CATALOG_IMAGE, IMAGE_BUILD, Changed, KubernetesAPI
from image_catalog.local.registry import SampleImage
from image_catalog.local.stack import LocalStack
from image_catalog.models import format_time

__all__ = [
    "HOST",
    "NAMESPACE",
    "REPOSITORY",
    "Arrivals",
    "complete",
    "create_build",
    "published",
    "push_image",
    "watching",
]

NAMESPACE = "default"
HOST = "quay.io"
REPOSITORY = "bench/autosd"
_LIMIT = 900.0
"""Seconds until a build that is not published is given up."""


class Arrivals:
    """Notes when each entry is first seen Available.

    Parameters
    ----------
    api
        The cluster.
    """

    def __init__(self, api: KubernetesAPI) -> None:
        self._api = api
        self._seen: dict[str, asyncio.Future[float]] = {}

    def expect(self, name: str) -> asyncio.Future[float]:
        """Return when an entry is seen, by `time.perf_counter`."""
        return self._seen.setdefault(name, asyncio.get_running_loop().create_future())

    async def watch(self) -> None:
        """Look at every change until cancelled."""
        async with aclosing(self._api.watch(CATALOG_IMAGE, NAMESPACE)) as changes:
            async for change in changes:
                if not isinstance(change, Changed):
                    continue
                entry = change.object
                if (entry.get("status") or {}).get("phase") != "Available":
                    continue
                arrival = self.expect(entry["metadata"]["name"])
                if not arrival.done():
                    arrival.set_result(time.perf_counter())


@asynccontextmanager
async def watching(stack: LocalStack) -> AsyncIterator[Arrivals]:
    """Watch the entries of a stack."""
    arrivals = Arrivals(stack.api)
    task = asyncio.create_task(arrivals.watch())
    try:
        yield arrivals
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def push_image(stack: LocalStack, name: str) -> None:
    """Put an image of its own into the stack's registry."""
    assert stack.registry is not None
    SampleImage(name=name).put(stack.registry.store, REPOSITORY, name)


async def create_build(stack: LocalStack, name: str, *, host: str = HOST) -> None:
    """Create a build that is about to push its image."""
    spec: dict[str, Any] = {
        "architecture": "arm64",
        "aib": {"distro": "autosd", "target": "qemu", "mode": "image"},
        "export": {"container": f"{host}/{REPOSITORY}:{name}"},
    }
    await stack.api.create(IMAGE_BUILD, {"metadata": {"name": name}, "spec": spec}, NAMESPACE)


async def complete(stack: LocalStack, name: str) -> float:
    """Complete a build; return when that was begun."""
    status = {"phase": "Completed", "completionTime": format_time(datetime.now(UTC))}
    begun = time.perf_counter()
    await stack.api.patch_status(IMAGE_BUILD, name, NAMESPACE, status, resource_version=None)
    return begun


async def published(arrivals: Arrivals, name: str, begun: float) -> float:
    """Return the milliseconds from a build's completion until its entry is Available."""
    async with asyncio.timeout(_LIMIT):
        return (await arrivals.expect(name) - begun) * 1000
