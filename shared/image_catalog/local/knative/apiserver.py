"""The ApiServerSource: changes of objects, sent to a sink as events.

It is best effort, as Knative's is: what changes while it does not watch is never
told, and an event that no attempt delivers is dropped.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import timedelta
from typing import Any, Protocol

import orjson
import structlog

from image_catalog.local.knative.cloudevent import CloudEvent
from image_catalog.local.knative.resources import ApiServerSource, WatchedResource
from image_catalog.local.knative.sending import SourceSender
from image_catalog.local.knative.settings import Clock

__all__ = ["WatchRunner", "Watcher", "plural_of"]

_log = structlog.get_logger(__name__)

_CHANGES: Mapping[str, str] = {
    "ADDED": "dev.knative.apiserver.resource.add",
    "MODIFIED": "dev.knative.apiserver.resource.update",
    "DELETED": "dev.knative.apiserver.resource.delete",
}

_WATCH_AGAIN = timedelta(seconds=1)
"""The pause before a watch that failed starts anew."""


class Watcher(Protocol):
    """What the cluster client gives to an ApiServerSource."""

    def watch(
        self, api_version: str, kind: str, namespace: str | None, label_selector: str | None
    ) -> AsyncGenerator[tuple[str, Mapping[str, Any]], None]:
        """Watch objects for ever.

        Whenever it lists (at the start, and after a 410) it gives each object
        as ``LISTED`` and then one ``SYNCED`` with an empty object; changes are
        ``ADDED``, ``MODIFIED`` and ``DELETED``. Other types are ignored. An
        error ends it; the source starts it anew.

        Parameters
        ----------
        api_version
            ``v1`` or ``<group>/<version>``.
        kind
            The objects' kind.
        namespace
            `None` watches all namespaces.
        label_selector
            As the API's query parameter has it.
        """
        ...


class WatchRunner:
    """Watches one kind of object for an ApiServerSource; sends one event at a time, in order.

    Parameters
    ----------
    source
        The ApiServerSource.
    resource
        Which of its resources this is.
    sink
        The URL to send to.
    api_server_url
        Becomes the attribute ``source``.
    watcher
        Gives the changes.
    sender
        Sends the events.
    clock
        Times the pause before a watch that failed starts anew.
    """

    def __init__(
        self,
        source: ApiServerSource,
        resource: WatchedResource,
        *,
        sink: str,
        api_server_url: str,
        watcher: Watcher,
        sender: SourceSender,
        clock: Clock,
    ) -> None:
        self.name = f"{source.name}-{resource.kind.lower()}"
        self._source = source
        self._resource = resource
        self._sink = sink
        self._api_server_url = api_server_url
        self._watcher = watcher
        self._sender = sender
        self._clock = clock
        self._versions: dict[str, str] = {}
        self._listing: dict[str, str] = {}
        self._started = asyncio.Event()
        self._watching = False
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def idle(self) -> bool:
        """Whether no event is being sent."""
        return self._idle.is_set()

    async def wait_idle(self) -> None:
        """Wait until no event is being sent."""
        await self._idle.wait()

    @property
    def watching(self) -> bool:
        """Whether changes from now on are seen."""
        return self._watching

    async def wait_started(self) -> None:
        """Wait until changes from now on are seen, or the first try failed."""
        await self._started.wait()

    def successor(self) -> WatchRunner:
        """Return another one for the same objects, which knows nothing of what this one has seen."""
        return WatchRunner(
            self._source,
            self._resource,
            sink=self._sink,
            api_server_url=self._api_server_url,
            watcher=self._watcher,
            sender=self._sender,
            clock=self._clock,
        )

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            try:
                await self._watch()
                _log.info("watch ended", source=self.name)
            except Exception as e:  # noqa: BLE001 (a source outlives whatever its API server does)
                _log.warning("watch failed", source=self.name, reason=f"{type(e).__name__}: {e}")
            self._watching = False
            self._started.set()
            await self._clock.sleep(_WATCH_AGAIN)

    async def _watch(self) -> None:
        resource = self._resource
        namespace = self._source.watched_namespace
        self._listing = {}
        stream = self._watcher.watch(resource.api_version, resource.kind, namespace, resource.label_selector)
        async with aclosing(stream):
            async for change, item in stream:
                await self._handle(change, item)

    async def _handle(self, change: str, item: Mapping[str, Any]) -> None:
        if change == "SYNCED":
            self._versions, self._listing = self._listing, {}
            self._watching = True
            self._started.set()
            return
        metadata = item.get("metadata") or {}
        uid, version = metadata.get("uid", ""), metadata.get("resourceVersion", "")
        if change == "LISTED":
            # What exists already is no news, neither at the start nor after a list that a 410 forced.
            self._listing[uid] = version
        elif change == "DELETED":
            self._versions.pop(uid, None)
            await self._send(change, item)
        elif change in _CHANGES and self._versions.get(uid) != version:
            known = uid in self._versions
            self._versions[uid] = version
            await self._send("MODIFIED" if known else change, item)

    async def _send(self, change: str, item: Mapping[str, Any]) -> None:
        event = self._event(change, item)
        if not self._source.accepts(event.attributes):
            return
        self._idle.clear()
        try:
            await self._sender.send(self._sink, event)
        finally:
            self._idle.set()

    def _event(self, change: str, item: Mapping[str, Any]) -> CloudEvent:
        # Items of a list come without these two; the data of an event always has them.
        whole = {"apiVersion": self._resource.api_version, "kind": self._resource.kind, **item}
        metadata = whole["metadata"]
        namespace, name = metadata.get("namespace", ""), metadata["name"]
        attributes = {
            "specversion": "1.0",
            "id": str(uuid.uuid4()),
            "type": _CHANGES[change],
            "source": self._api_server_url,
            "subject": f"/apis/{whole['apiVersion']}/namespaces/{namespace}/{plural_of(whole['kind'])}/{name}",
            "datacontenttype": "application/json",
            "apiversion": whole["apiVersion"],
            "kind": whole["kind"],
            "name": name,
            **({"namespace": namespace} if namespace else {}),
            **self._source.extensions,
        }
        return CloudEvent(attributes, orjson.dumps(whole))


def plural_of(kind: str) -> str:
    """Guess a kind's resource as Knative does, which asks no API server either.

    Parameters
    ----------
    kind
        ``ImageBuild`` for example.
    """
    singular = kind.lower()
    if singular.endswith("s"):
        return f"{singular}es"
    return f"{singular[:-1]}ies" if singular.endswith("y") else f"{singular}s"
