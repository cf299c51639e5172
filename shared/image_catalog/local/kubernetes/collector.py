"""What a cluster's controllers clean up: dependents, namespaces, and the objects of removed CRDs.

https://kubernetes.io/docs/concepts/architecture/garbage-collection/
The work is done in callbacks of the event loop right after the write that
caused it, so a client sees its answer first, as on a cluster.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from image_catalog.local.kubernetes.objects.crds import CRD_CLEANUP, CRDS, established
from image_catalog.local.kubernetes.objects.objects import Objects
from image_catalog.local.kubernetes.objects.writes import Write, bucket_of
from image_catalog.local.kubernetes.resources import Resource, ResourceRegistry
from image_catalog.local.kubernetes.status import StatusError
from image_catalog.local.kubernetes.storage.store import Body, Change, Key, Store

__all__ = ["Collector"]

_Kind: TypeAlias = tuple[str, str]
_NAMESPACES = ("", "namespaces")


class Collector:
    """Listens to the store and cleans up behind deletions.

    Parameters
    ----------
    store, registry, objects
        What is watched, what is served, and what deletes.
    clock
        Tells when a CRD is established.
    namespace_grace
        How long a deleted namespace stays ``Terminating`` after it is empty.
    """

    def __init__(
        self,
        *,
        store: Store,
        registry: ResourceRegistry,
        objects: Objects,
        clock: Callable[[], datetime],
        namespace_grace: timedelta,
    ) -> None:
        self._store = store
        self._registry = registry
        self._objects = objects
        self._clock = clock
        self._grace = namespace_grace.total_seconds()
        self._dependents: dict[str, dict[tuple[_Kind, Key], None]] = {}
        self._pending: deque[Callable[[], None]] = deque()
        self._timers: set[asyncio.TimerHandle] = set()

    def __call__(self, kind: _Kind, change: Change) -> None:
        """Take note of a change, and plan what follows from it."""
        self._index(kind, change)
        metadata = change.stored.body["metadata"]
        if change.kind == "DELETED":
            self._plan(lambda: self._owner_gone(metadata["uid"]))
            if change.key[0]:
                self._plan(lambda: self._finish_namespace(change.key[0]))
            if kind != CRDS:
                self._plan(lambda: self._finish_crd(f"{kind[1]}.{kind[0]}"))
            return
        if change.kind == "ADDED" and kind == CRDS:
            self._plan(lambda: self._establish(change.key))
        if change.kind == "ADDED" and metadata.get("ownerReferences"):
            self._plan(lambda: self._check_owners(kind, change.key))
        was_terminating = change.previous is not None and "deletionTimestamp" in change.previous.body["metadata"]
        if "deletionTimestamp" in metadata and not was_terminating:
            self._plan(lambda: self._terminating(kind, change.key))

    @property
    def busy(self) -> bool:
        """Return whether work waits for the event loop."""
        return bool(self._pending)

    def close(self) -> None:
        """Cancel what waits."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._pending.clear()

    # Planning

    def _plan(self, work: Callable[[], None]) -> None:
        self._pending.append(work)
        if len(self._pending) > 1:
            return
        try:
            asyncio.get_running_loop().call_soon(self._work)
        except RuntimeError:
            # Before there is an event loop nobody waits for an answer: the work is done at once.
            self._work()

    def _work(self) -> None:
        while self._pending:
            self._pending.popleft()()

    # Owners and dependents

    def _index(self, kind: _Kind, change: Change) -> None:
        entry = (kind, change.key)
        if change.previous is not None:
            for uid in _owners(change.previous.body):
                self._dependents.get(uid, {}).pop(entry, None)
        if change.kind != "DELETED":
            for uid in _owners(change.stored.body):
                self._dependents.setdefault(uid, {})[entry] = None

    def _owner_gone(self, uid: str) -> None:
        for kind, key in list(self._dependents.pop(uid, ())):
            self._check_owners(kind, key)

    def _check_owners(self, kind: _Kind, key: Key) -> None:
        """Delete a dependent when none of its owners is left."""
        stored = self._store.bucket(kind).get(key)
        if stored is None:
            return
        owners = stored.body["metadata"].get("ownerReferences", [])
        if owners and not any(self._exists(owner, key[0]) for owner in owners):
            self._delete(kind, key)

    def _exists(self, owner: Body, namespace: str) -> bool:
        resource = self._registry.find_kind(owner["apiVersion"], owner["kind"])
        if resource is None:
            return False
        key = (namespace if resource.namespaced else "", owner["name"])
        stored = self._store.bucket(bucket_of(resource)).get(key)
        return stored is not None and stored.body["metadata"]["uid"] == owner["uid"]

    # Deletions that wait

    def _terminating(self, kind: _Kind, key: Key) -> None:
        stored = self._store.bucket(kind).get(key)
        if stored is None:
            return
        if kind == _NAMESPACES:
            self._empty_namespace(key[1])
        elif kind == CRDS:
            self._empty_crd(stored.body)
        finalizers = stored.body["metadata"].get("finalizers", [])
        uid = stored.body["metadata"]["uid"]
        if "orphan" in finalizers:
            for dependent_kind, dependent in list(self._dependents.get(uid, ())):
                self._disown(dependent_kind, dependent, uid)
            self._take_finalizer(kind, key, "orphan")
        if "foregroundDeletion" in finalizers:
            for dependent_kind, dependent in list(self._dependents.get(uid, ())):
                self._delete(dependent_kind, dependent)
            self._take_finalizer(kind, key, "foregroundDeletion")

    def _disown(self, kind: _Kind, key: Key, uid: str) -> None:
        def without_owner(body: Body) -> Body:
            metadata = body["metadata"]
            kept = [owner for owner in metadata["ownerReferences"] if owner["uid"] != uid]
            return {**body, "metadata": {**metadata, "ownerReferences": kept}}

        self._change(kind, key, without_owner)

    def _take_finalizer(self, kind: _Kind, key: Key, finalizer: str) -> None:
        def without_finalizer(body: Body) -> Body:
            metadata = body["metadata"]
            kept = [name for name in metadata.get("finalizers", []) if name != finalizer]
            return {**body, "metadata": {**metadata, "finalizers": kept}}

        self._change(kind, key, without_finalizer)

    def _empty_namespace(self, namespace: str) -> None:
        for kind, bucket in self._store.buckets():
            for stored in list(bucket.select(namespace)):
                self._delete(kind, (namespace, stored.body["metadata"]["name"]))
        self._finish_namespace(namespace)

    def _finish_namespace(self, namespace: str) -> None:
        """Remove a terminating namespace once nothing is left in it and its grace is over."""
        stored = self._store.bucket(_NAMESPACES).get(("", namespace))
        if stored is None or "deletionTimestamp" not in stored.body["metadata"]:
            return
        if any(bucket.count(namespace) for _, bucket in self._store.buckets()):
            return
        loop = asyncio.get_running_loop()
        self._timers = {timer for timer in self._timers if timer.when() > loop.time() and not timer.cancelled()}
        self._timers.add(loop.call_later(self._grace, self._store.remove, _NAMESPACES, ("", namespace)))

    def _establish(self, key: Key) -> None:
        stored = self._store.bucket(CRDS).get(key)
        if stored is not None:
            self._store.put(CRDS, key, established(stored.body, self._clock()))

    def _empty_crd(self, crd: Body) -> None:
        kind = (crd["spec"]["group"], crd["spec"]["names"]["plural"])
        for stored in list(self._store.bucket(kind).select(None)):
            metadata = stored.body["metadata"]
            self._delete(kind, (metadata.get("namespace", ""), metadata["name"]))
        self._finish_crd(crd["metadata"]["name"])

    def _finish_crd(self, name: str) -> None:
        stored = self._store.bucket(CRDS).get(("", name))
        if stored is None or "deletionTimestamp" not in stored.body["metadata"]:
            return
        spec = stored.body["spec"]
        if not len(self._store.bucket((spec["group"], spec["names"]["plural"]))):
            self._take_finalizer(CRDS, ("", name), CRD_CLEANUP)

    # Writes

    def _delete(self, kind: _Kind, key: Key) -> None:
        write = self._write(kind, key)
        if write is not None and self._store.bucket(kind).get(key) is not None:
            self._objects.delete(write, {})

    def _change(self, kind: _Kind, key: Key, change: Callable[[Body], Any]) -> None:
        write = self._write(kind, key)
        if write is None:
            return
        try:
            self._objects.patch(write, change)
        except StatusError:
            # It went away between the plan and the work, which is what the work was for.
            return

    def _write(self, kind: _Kind, key: Key) -> Write | None:
        resource = next((r for r in self._stored(kind)), None)
        if resource is None:
            return None
        return Write(resource=resource, namespace=key[0] or None, name=key[1])

    def _stored(self, kind: _Kind) -> Iterable[Resource]:
        return (r for r in self._registry.all() if r.stored and bucket_of(r) == kind and (r.group, r.plural) == kind)


def _owners(body: Body) -> Iterable[str]:
    return (owner["uid"] for owner in body["metadata"].get("ownerReferences", ()))
