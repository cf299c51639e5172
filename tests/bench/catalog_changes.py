"""How soon a list over HTTP shows what was written."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import httpx
from tests.bench.api_process import IMAGES, ApiProcess
from tests.bench.figures import Figure, quantile

from image_catalog.cluster import CATALOG_IMAGE, KubernetesAPI, KubernetesTransport
from image_catalog.local.clients import IN_CLEAR

__all__ = ["measure_changes"]

_LIMIT = 10.0
"""Seconds until a change that does not show is given up."""

_WARM_UP = 5


async def measure_changes(api: ApiProcess, *, changes: int) -> list[Figure]:
    """Write a status again and again, and look for it in a list.

    Parameters
    ----------
    api
        The API that is asked; its cluster is written to.
    changes
        How many times.
    """
    warm_up = min(_WARM_UP, changes)
    transport = await KubernetesTransport.connect(kubeconfig=api.cluster.admin)
    cluster = KubernetesAPI(transport=transport)
    try:
        async with httpx.AsyncClient(base_url=api.url, headers=api.headers, verify=IN_CLEAR, trust_env=False) as client:
            items = (await client.get(IMAGES, params={"allNamespaces": "true", "limit": 20})).json()["items"]
            taken = [
                await _change(cluster, client, items[number % len(items)]["metadata"], number)
                for number in range(1, warm_up + changes + 1)
            ][warm_up:]
    finally:
        await cluster.close()
    note = (
        f"{changes} status writes one after another on the embedded API, each from the moment it is sent until a "
        f"filtered list over HTTP shows it, asked in a loop; {min(taken):.1f} to {max(taken):.1f} ms, "
        f"median {quantile(taken, 0.5):.1f} ms"
    )
    value = quantile(taken, 0.99)
    return [Figure(name="change_to_visible_ms_p99", value=value, unit="ms", better="lower", note=note)]


async def _change(cluster: KubernetesAPI, client: httpx.AsyncClient, meta: Mapping[str, Any], number: int) -> float:
    """Write one status; return the milliseconds until it shows."""
    name, namespace = meta["name"], meta["namespace"]
    query = {"namespace": namespace, "q": name, "limit": 5}
    begun = time.perf_counter()
    written = asyncio.create_task(
        cluster.patch_status(CATALOG_IMAGE, name, namespace, {"verificationFailures": number}, resource_version=None)
    )
    try:
        async with asyncio.timeout(_LIMIT):
            while True:
                page = (await client.get(IMAGES, params=query)).raise_for_status().json()
                found = (item for item in page["items"] if item["metadata"]["name"] == name)
                if any(item["status"].get("verificationFailures") == number for item in found):
                    return (time.perf_counter() - begun) * 1000
    finally:
        await written
