"""An ApiServerSource on the cluster client, against the embedded API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from image_catalog.cluster import CONFIG_MAP, KubernetesAPI
from image_catalog.local.knative import ClusterWatcher
from image_catalog.testing.cluster import InProcessCluster
from image_catalog.testing.knative import ScriptedSubscriber, resource, running_knative

SINK = {"ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "sink"}}


class Counting(ClusterWatcher):
    """Notes when a list is complete again."""

    def __init__(self, api: KubernetesAPI) -> None:
        super().__init__(api)
        self.lists = 0
        self.listed_again = asyncio.Event()

    async def watch(
        self, api_version: str, kind: str, namespace: str | None, label_selector: str | None
    ) -> AsyncGenerator[tuple[str, Mapping[str, Any]], None]:
        async with aclosing(super().watch(api_version, kind, namespace, label_selector)) as changes:
            async for change in changes:
                yield change
                self.lists += change[0] == "SYNCED"
                if self.lists > 1:
                    self.listed_again.set()


async def test_changes_are_sent_once_and_lists_are_not() -> None:
    sink = ScriptedSubscriber()
    watched = {"apiVersion": "v1", "kind": "ConfigMap", "selector": {"matchLabels": {"watched": "true"}}}
    source = {"mode": "Resource", "namespaceSelector": {}, "resources": [watched], "sink": SINK}
    async with InProcessCluster() as cluster:
        api = cluster.api()
        watcher = Counting(api)

        async def create(name: str, *, label: str = "true") -> None:
            await api.create(CONFIG_MAP, {"metadata": {"name": name, "labels": {"watched": label}}}, "team-a")

        await create("before")
        async with running_knative(
            resource("ApiServerSource", "maps", source), subscribers={"sink": sink}, watcher=watcher
        ):
            await create("unselected", label="false")
            await create("first")
            await sink.wait_for(1)
            cluster.expire_watches()
            await asyncio.wait_for(watcher.listed_again.wait(), 10)
            await api.patch(CONFIG_MAP, "before", "team-a", {"data": {"a": "b"}})
            await api.delete(CONFIG_MAP, "first", "team-a")
            await sink.wait_for(3)

    assert [(event.type.rpartition(".")[2], event.attributes["name"]) for event in sink.events] == [
        ("add", "first"),
        ("update", "before"),
        ("delete", "first"),
    ]
    assert sink.events[0].subject == "/apis/v1/namespaces/team-a/configmaps/first"
