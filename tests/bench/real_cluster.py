"""A cluster that is there already, filled over its API for a while."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench.filled_cluster import FilledCluster, scheduled_images

from image_catalog.cluster import CATALOG_IMAGE, NAMESPACE, KubernetesAPI, KubernetesTransport

__all__ = ["real_cluster"]

_NAMESPACE = "image-catalog-bench"
"""Made for the measurement, and deleted after it with everything in it."""

_AT_ONCE = 32
"""Writes on their way at once: what API servers let one client have by default is less than that."""


@asynccontextmanager
async def real_cluster(kubeconfig: Path, entries: int) -> AsyncIterator[FilledCluster]:
    """Fill a cluster while the context lasts, which has the catalog's kinds and runs none of its functions.

    Parameters
    ----------
    kubeconfig
        Of somebody who may make namespaces and write entries and their status.
    entries
        How many entries it is to hold; they come to those that are there.
    """
    api = KubernetesAPI(transport=await KubernetesTransport.connect(kubeconfig=kubeconfig))
    try:
        await api.create(NAMESPACE, {"metadata": {"name": _NAMESPACE}})
        try:
            filled_at = datetime.now(UTC)
            turns = asyncio.Semaphore(_AT_ONCE)
            async with asyncio.TaskGroup() as filling:
                for entry in scheduled_images(entries, filled_at):
                    await turns.acquire()
                    filling.create_task(_put(api, entry)).add_done_callback(lambda _: turns.release())
            yield FilledCluster(
                admin=kubeconfig, api=kubeconfig, reverify=kubeconfig, token="", pid=None, filled_at=filled_at
            )
        finally:
            # No function has put its finalizer on them, so that they go with their namespace.
            await api.delete(NAMESPACE, _NAMESPACE)
    finally:
        await api.close()


async def _put(api: KubernetesAPI, entry: dict[str, Any]) -> None:
    metadata = entry["metadata"]
    name, kept = metadata["name"], {key: metadata[key] for key in ("name", "labels", "annotations")}
    await api.create(CATALOG_IMAGE, {"metadata": kept, "spec": entry["spec"]}, _NAMESPACE)
    await api.patch_status(CATALOG_IMAGE, name, _NAMESPACE, entry["status"], resource_version=None)
