"""The cluster client's watch, in the words of an ApiServerSource."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from image_catalog.cluster import Changed, KubernetesAPI, Relisted, ResourceKind
from image_catalog.local.knative.apiserver import plural_of

__all__ = ["ClusterWatcher"]


class ClusterWatcher:
    """Watches through the cluster client, which reconnects and lists again by itself.

    Parameters
    ----------
    api
        The cluster; its owner closes it.
    """

    def __init__(self, api: KubernetesAPI) -> None:
        self._api = api

    async def watch(
        self, api_version: str, kind: str, namespace: str | None, label_selector: str | None
    ) -> AsyncGenerator[tuple[str, Mapping[str, Any]], None]:
        """Watch as `Watcher` says."""
        group, _, version = api_version.rpartition("/")
        resource = ResourceKind(group, version, plural_of(kind), kind)
        async with aclosing(self._api.watch(resource, namespace, label_selector=label_selector)) as items:
            async for item in items:
                if isinstance(item, Changed):
                    yield item.type.value, item.object
                elif isinstance(item, Relisted):
                    for listed in item.objects:
                        yield "LISTED", listed
                    if item.last:
                        yield "SYNCED", {}
