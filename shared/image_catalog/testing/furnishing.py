"""What clusters have from the start: an API server judges it once, for all that a test process runs.

A test's cluster is gone after a few milliseconds, and to judge forty Roles and
definitions would take it as long as all the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from random import Random
from typing import Any
from uuid import UUID

from image_catalog.local.kubernetes.app import Cluster
from image_catalog.local.kubernetes.objects.meta import timestamp
from image_catalog.local.kubernetes.storage.store import Body, Key

__all__ = ["Furnisher"]

_JUDGED: dict[int, tuple[Mapping[str, Any], tuple[str, str], Key, Body]] = {}
"""By the identity of a manifest: the manifest, which stays alive so, and what an API server made of it."""


class Furnisher:
    """Puts manifests into a cluster that has none of them, as if it had judged them.

    Parameters
    ----------
    server
        The cluster.
    clock
        Its clock.
    random
        Where its uids come from.
    """

    def __init__(self, server: Cluster, *, clock: Callable[[], datetime], random: Random) -> None:
        self._server = server
        self._clock = clock
        self._random = random

    def put(self, manifests: Iterable[Mapping[str, Any]]) -> None:
        """Put objects that are the same in every cluster.

        Parameters
        ----------
        manifests
            The objects of which every cluster gets these very mappings, which nobody changes.
        """
        for manifest in manifests:
            known = _JUDGED.get(id(manifest))
            if known is None:
                self._judge(manifest)
                continue
            _, kind, key, body = known
            # What an API server decides about each object anew.
            fresh = {
                "uid": str(UUID(int=self._random.getrandbits(128), version=4)),
                "creationTimestamp": timestamp(self._clock()),
            }
            self._server.store.put(kind, key, {**body, "metadata": {**body["metadata"], **fresh}})

    def _judge(self, manifest: Mapping[str, Any]) -> None:
        before = self._server.store.revision
        self._server.apply(manifest)
        # The first change is that of the object itself; a definition that has been established is another.
        kind, added = next(
            (kind, change)
            for kind, bucket in self._server.store.buckets()
            for change in bucket.since(before)
            if change.revision == before + 1
        )
        _JUDGED[id(manifest)] = (manifest, kind, added.key, added.stored.body)
