"""Objects in memory with one growing resource version and a bounded history.

A stored body is never changed: a write puts a new dict in the place of the old
one, so readers, lists and watchers share bodies and their encoded bytes
without copies. The history serves three purposes: watches continue from a
resource version, pages of a list show one moment, and what is older than the
history is answered with 410.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, TypeAlias

import orjson

__all__ = ["Body", "Bucket", "Change", "Key", "Store", "Stored", "with_revision"]

Body: TypeAlias = dict[str, Any]
Key: TypeAlias = tuple[str, str]
"""Namespace (empty for cluster-scoped kinds) and name."""

_MAX = "\U0010ffff"


class Stored:
    """One state of one object.

    Parameters
    ----------
    body
        The object as clients see it. Must not be changed any more.
    revision
        Its resource version as a number.
    """

    __slots__ = ("_encoded", "body", "revision")

    def __init__(self, body: Body, revision: int) -> None:
        self.body = body
        self.revision = revision
        self._encoded: bytes | None = None

    @property
    def encoded(self) -> bytes:
        """Return the object as JSON, encoded once for all readers."""
        if self._encoded is None:
            self._encoded = orjson.dumps(self.body)
        return self._encoded


class Change:
    """One entry of the history.

    Parameters
    ----------
    kind
        What happened.
    key
        To which object.
    stored
        The state after it; for a deletion the last state under the deletion's
        resource version.
    previous
        The state before it; None for a creation.
    """

    __slots__ = ("_departed", "key", "kind", "previous", "stored")

    def __init__(
        self, kind: Literal["ADDED", "MODIFIED", "DELETED"], key: Key, stored: Stored, previous: Stored | None
    ) -> None:
        self.kind = kind
        self.key = key
        self.stored = stored
        self.previous = previous
        self._departed: Stored | None = None

    @property
    def revision(self) -> int:
        """Return the resource version that the change made."""
        return self.stored.revision

    def departed(self) -> Stored:
        """Return what a watcher is told whose selector the object just left.

        That is the state before the change under the change's resource version.
        """
        if self._departed is None:
            body = self.stored.body if self.previous is None else self.previous.body
            self._departed = Stored(with_revision(body, self.revision), self.revision)
        return self._departed


def with_revision(body: Body, revision: int) -> Body:
    """Copy the two outer levels of `body` and set its resource version."""
    return {**body, "metadata": {**body["metadata"], "resourceVersion": str(revision)}}


class Bucket:
    """The objects of one kind, in the order of their keys, and their history.

    Parameters
    ----------
    history
        Number of changes that are kept at least; twice as many at most.
    floor
        Resource version before which nothing is known.
    """

    def __init__(self, *, history: int, floor: int) -> None:
        self._objects: dict[Key, Stored] = {}
        self._keys: list[Key] = []
        self._history = history
        self._changes: list[Change] = []
        self._floor = floor
        self._waiters: list[asyncio.Future[None]] = []
        self.epoch = 0
        """Grows when every watch is to end."""

    def __len__(self) -> int:
        return len(self._objects)

    @property
    def floor(self) -> int:
        """Return the oldest resource version from which a watch can continue."""
        return self._floor

    def get(self, key: Key) -> Stored | None:
        """Return an object's current state."""
        return self._objects.get(key)

    def select(self, namespace: str | None, after: Key | None = None) -> Iterator[Stored]:
        """Iterate over the objects in key order.

        Parameters
        ----------
        namespace
            None for all namespaces.
        after
            Start behind this key.
        """
        first, last = self._range(namespace)
        if after is not None:
            first = max(first, bisect_right(self._keys, after))
        objects = self._objects
        return (objects[key] for key in self._keys[first:last])

    def count(self, namespace: str | None) -> int:
        """Count the objects without looking at them."""
        first, last = self._range(namespace)
        return last - first

    def at(self, revision: int) -> Bucket:
        """Rebuild the objects as they were at an earlier resource version.

        The caller has compared `revision` with `floor`.
        """
        past = Bucket(history=0, floor=revision)
        past._objects = dict(self._objects)
        for change in reversed(self.since(revision)):
            if change.previous is None:
                past._objects.pop(change.key, None)
            else:
                past._objects[change.key] = change.previous
        past._keys = sorted(past._objects)
        return past

    def since(self, revision: int) -> Sequence[Change]:
        """Return the changes after a resource version, oldest first."""
        return self._changes[bisect_right(self._changes, revision, key=lambda change: change.revision) :]

    async def changed(self) -> None:
        """Wait until something happens: a change, or the end of all watches."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def record(self, change: Change) -> None:
        """Make a change: the current state, the history and the watchers learn of it."""
        if change.kind == "DELETED":
            del self._objects[change.key]
            del self._keys[bisect_left(self._keys, change.key)]
        else:
            if change.kind == "ADDED":
                insort(self._keys, change.key)
            self._objects[change.key] = change.stored
        self._changes.append(change)
        if len(self._changes) > 2 * self._history:
            self._floor = self._changes[-self._history - 1].revision
            del self._changes[: -self._history]
        self.wake()

    def forget_history(self) -> None:
        """Drop the history, as etcd's compaction does; watches that have seen all of it go on."""
        if self._changes:
            self._floor = self._changes[-1].revision
            self._changes.clear()

    def end_watches(self) -> None:
        """End every watch that is under way."""
        self.epoch += 1
        self.wake()

    def wake(self) -> None:
        """Let every waiting watcher look again."""
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _range(self, namespace: str | None) -> tuple[int, int]:
        if namespace is None:
            return 0, len(self._keys)
        return bisect_left(self._keys, (namespace, "")), bisect_left(self._keys, (namespace, _MAX))


class Store:
    """All buckets under one resource version.

    Parameters
    ----------
    history
        Number of changes kept per kind.
    first_revision
        Resource version of the empty store.
    """

    def __init__(self, *, history: int = 4096, first_revision: int = 100) -> None:
        self.revision = first_revision
        self._first_revision = first_revision
        self._history = history
        self._buckets: dict[tuple[str, str], Bucket] = {}
        self._listeners: list[Callable[[tuple[str, str], Change], None]] = []

    def bucket(self, kind: tuple[str, str]) -> Bucket:
        """Return the bucket of a kind, which is its group and plural."""
        bucket = self._buckets.get(kind)
        if bucket is None:
            # The kind may be new, but nothing of it can have changed before: its history starts with the store's.
            bucket = self._buckets[kind] = Bucket(history=self._history, floor=self._first_revision)
        return bucket

    def buckets(self) -> tuple[tuple[tuple[str, str], Bucket], ...]:
        """Return every bucket with its kind."""
        return tuple(self._buckets.items())

    def listen(self, listener: Callable[[tuple[str, str], Change], None]) -> None:
        """Call `listener` after each change, within the write that made it."""
        self._listeners.append(listener)

    def put(self, kind: tuple[str, str], key: Key, body: Body) -> Stored:
        """Create or replace an object; the body gets the next resource version."""
        bucket = self.bucket(kind)
        previous = bucket.get(key)
        self.revision += 1
        stored = Stored(with_revision(body, self.revision), self.revision)
        self._record(kind, Change("ADDED" if previous is None else "MODIFIED", key, stored, previous))
        return stored

    def remove(self, kind: tuple[str, str], key: Key) -> Stored | None:
        """Delete an object; None when there is none."""
        previous = self.bucket(kind).get(key)
        if previous is None:
            return None
        self.revision += 1
        last = Stored(with_revision(previous.body, self.revision), self.revision)
        self._record(kind, Change("DELETED", key, last, previous))
        return last

    def compact(self) -> None:
        """Forget every history, so that older resource versions are answered with 410."""
        for bucket in self._buckets.values():
            bucket.forget_history()

    def end_watches(self) -> None:
        """End every watch that is under way; clients may start new ones."""
        for bucket in self._buckets.values():
            bucket.end_watches()

    def _record(self, kind: tuple[str, str], change: Change) -> None:
        self.bucket(kind).record(change)
        for listener in self._listeners:
            listener(kind, change)
