from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from image_catalog.cluster import CATALOG_IMAGE, DeferredTransport, KubernetesAPI, Transport
from image_catalog.errors import ClusterUnavailableError
from image_catalog.testing.cluster import InProcessCluster


class Connector:
    """Connects to a cluster once it may, and counts how often it was asked to."""

    def __init__(self, cluster: InProcessCluster, *, failures: int = 0) -> None:
        self.cluster = cluster
        self.failures = failures
        self.connections = 0
        self.asked = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self) -> Transport:
        self.asked.set()
        await self.open.wait()
        if self.failures:
            self.failures -= 1
            raise ClusterUnavailableError("there is no cluster yet")
        self.connections += 1
        return self.cluster.transport()


async def test_nothing_is_connected_until_something_is_asked() -> None:
    async with InProcessCluster() as cluster:
        connect = Connector(cluster)
        await DeferredTransport(connect).close()
        assert connect.connections == 0


async def test_requests_that_start_at_once_share_one_connection() -> None:
    async with InProcessCluster() as cluster:
        connect = Connector(cluster)
        api = KubernetesAPI(transport=DeferredTransport(connect))
        connect.open.clear()
        asking = asyncio.gather(*(api.get(CATALOG_IMAGE, name, "team-a") for name in ("a", "b", "c")))
        await connect.asked.wait()
        connect.open.set()
        assert await asking == [None, None, None]
        assert connect.connections == 1
        await api.close()


async def test_a_connection_that_failed_is_tried_again() -> None:
    async with InProcessCluster() as cluster:
        api = KubernetesAPI(transport=DeferredTransport(Connector(cluster, failures=1)))
        with pytest.raises(ClusterUnavailableError, match="there is no cluster yet"):
            await api.get(CATALOG_IMAGE, "a", "team-a")
        assert await api.get(CATALOG_IMAGE, "a", "team-a") is None
        await api.close()


async def test_a_stream_connects_too() -> None:
    async with InProcessCluster() as cluster:
        connect = Connector(cluster)
        transport = DeferredTransport(connect)
        path, query = CATALOG_IMAGE.path(namespace="team-a"), {"watch": "true"}
        async with transport.stream(path, query=query, timeout=timedelta(seconds=5)) as stream:
            assert stream.status == 200
        assert connect.connections == 1
        await transport.close()
