"""Lists and watches: reads of many objects, at one moment or from one moment on."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, TypeAlias

import orjson

from image_catalog.local.kubernetes.status import bad_request, expired, internal_error, version_too_large
from image_catalog.local.kubernetes.storage.selectors import Selector, everything
from image_catalog.local.kubernetes.storage.store import Bucket, Change, Store, Stored

__all__ = ["ListQuery", "Page", "Watch", "WatchEvent", "WatchQuery", "list_objects"]

_BOOKMARK_EVERY = timedelta(minutes=1)
_DEFAULT_TIMEOUT = timedelta(minutes=45)
"""The API server draws between 30 and 60 minutes when the client does not say."""

WatchType: TypeAlias = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What a list is asked for.

    Attributes
    ----------
    namespace
        None for all namespaces.
    limit
        Size of a page; 0 for everything.
    continue_token
        What the page before gave, empty for the first.
    resource_version
        The moment asked for, as the client wrote it; empty for now.
    match
        ``Exact``, ``NotOlderThan`` or empty.
    """

    namespace: str | None
    selector: Selector = everything
    limit: int = 0
    continue_token: str = ""
    resource_version: str = ""
    match: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """A list's answer: the objects, the moment they show, and how to go on."""

    items: list[Stored]
    revision: int
    continue_token: str = ""
    remaining: int | None = None


@dataclass(frozen=True, slots=True)
class WatchQuery:
    """What a watch is asked for.

    Attributes
    ----------
    resource_version
        Where to start; empty or ``0`` sends what exists first.
    timeout
        How long it lasts; None for the server's choice.
    bookmarks
        Whether the client wants ``BOOKMARK`` events.
    initial_events
        ``sendInitialEvents``: None when the client does not say.
    """

    namespace: str | None
    selector: Selector = everything
    resource_version: str = ""
    timeout: timedelta | None = None
    bookmarks: bool = False
    initial_events: bool | None = None


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One event for one watcher; `stored` is None for bookmarks."""

    type: WatchType
    stored: Stored | None
    revision: int
    initial_end: bool = False


def list_objects(store: Store, bucket: Bucket, query: ListQuery) -> Page:
    """Answer a list.

    Raises
    ------
    StatusError
        400 for a version or token that cannot be read, 410 for one older than
        the history, 504 for one in the future.
    """
    revision, after = store.revision, None
    if query.continue_token:
        revision, after = _read_token(query.continue_token)
    elif query.resource_version not in ("", "0"):
        asked = _parse_version(query.resource_version)
        if asked > store.revision:
            raise version_too_large(asked, store.revision)
        revision = asked if query.match == "Exact" else revision
    moment = _moment(store, bucket, revision, from_token=bool(query.continue_token))
    candidates = moment.select(query.namespace, after)
    # Revision 0 is answered from an API server's own memory, which knows no pages.
    if query.limit <= 0 or (query.resource_version == "0" and not query.continue_token):
        items = list(candidates) if query.selector is everything else [s for s in candidates if query.selector(s.body)]
        return Page(items, revision)
    items, more = [], False
    for stored in candidates:
        if not query.selector(stored.body):
            continue
        if len(items) == query.limit:
            more = True
            break
        items.append(stored)
    if not more:
        return Page(items, revision)
    last = items[-1].body["metadata"]
    key = (last.get("namespace", ""), last["name"])
    left = sum(1 for _ in moment.select(query.namespace, key)) if query.selector is everything else None
    return Page(items, revision, _write_token(revision, key), left)


def _moment(store: Store, bucket: Bucket, revision: int, *, from_token: bool) -> Bucket:
    if revision == store.revision or not bucket.since(revision):
        if revision < bucket.floor:
            raise _too_old(revision, store, from_token=from_token)
        return bucket
    if revision < bucket.floor:
        raise _too_old(revision, store, from_token=from_token)
    return bucket.at(revision)


def _too_old(revision: int, store: Store, *, from_token: bool) -> Exception:
    if from_token:
        return expired(
            "The provided continue parameter is too old to display a consistent list result. You can start a new list "
            "without the continue parameter."
        )
    return expired(f"too old resource version: {revision} ({store.revision})")


def _write_token(revision: int, key: tuple[str, str]) -> str:
    token = orjson.dumps({"v": "meta.k8s.io/v1", "rv": revision, "start": key})
    return base64.urlsafe_b64encode(token).decode().rstrip("=")


def _read_token(token: str) -> tuple[int, tuple[str, str]]:
    try:
        read = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        namespace, name = read["start"]
        return int(read["rv"]), (str(namespace), str(name))
    except (binascii.Error, orjson.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError) as e:
        raise bad_request(f"invalid continue token: continue key is not valid: {e}") from e


def _parse_version(text: str) -> int:
    if not text.isdigit():
        raise bad_request(f"invalid resource version: {_unreadable(text)}")
    return int(text)


def _unreadable(text: str) -> str:
    return f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'


class Watch:
    """One watcher's way through the history of a bucket.

    A watcher keeps nothing but the resource version that it has seen; events
    are read from the bucket's history, which all watchers share. One that
    falls behind the history is told 410 by an ``ERROR`` event and ends.

    Parameters
    ----------
    store, bucket
        What is watched.
    query
        What the watcher wants to see.

    Raises
    ------
    StatusError
        500 for a resource version that cannot be read, 504 for one in the future.
    """

    def __init__(self, *, store: Store, bucket: Bucket, query: WatchQuery) -> None:
        version = query.resource_version
        if version and not version.isdigit():
            raise internal_error(_unreadable(version))
        self._seen = int(version or 0)
        if self._seen > store.revision:
            raise version_too_large(self._seen, store.revision)
        self._store = store
        self._bucket = bucket
        self._query = query

    async def events(self) -> AsyncGenerator[WatchEvent, None]:
        """Yield what happens, until the time is over or the server ends all watches."""
        epoch = self._bucket.epoch
        for event in self._initial():
            yield event
        loop = asyncio.get_running_loop()
        end = loop.time() + (self._query.timeout or _DEFAULT_TIMEOUT).total_seconds()
        bookmark = loop.time() + _BOOKMARK_EVERY.total_seconds()
        while self._bucket.epoch == epoch and loop.time() < end:
            for event in self._new():
                yield event
                if event.type == "ERROR":
                    return
            if loop.time() >= bookmark:
                bookmark = loop.time() + _BOOKMARK_EVERY.total_seconds()
                if self._query.bookmarks:
                    yield WatchEvent("BOOKMARK", None, self._store.revision)
            if self._bucket.epoch == epoch and not self._bucket.since(self._seen):
                await _next_change(self._bucket, min(end, bookmark))

    def _initial(self) -> Iterable[WatchEvent]:
        """Start with what exists, unless the watcher knows it already."""
        query = self._query
        if self._seen and not query.initial_events:
            return
        self._seen = self._store.revision
        if query.initial_events is not False:
            for stored in list(self._bucket.select(query.namespace)):
                if query.selector(stored.body):
                    yield WatchEvent("ADDED", stored, stored.revision)
        if query.initial_events and query.bookmarks:
            yield WatchEvent("BOOKMARK", None, self._seen, initial_end=True)

    def _new(self) -> Iterable[WatchEvent]:
        if self._seen < self._bucket.floor:
            yield WatchEvent("ERROR", None, self._seen)
            return
        changes = self._bucket.since(self._seen)
        if changes:
            self._seen = changes[-1].revision
            yield from _relevant(changes, self._query)


async def _next_change(bucket: Bucket, deadline: float) -> None:
    try:
        async with asyncio.timeout_at(deadline):
            await bucket.changed()
    except TimeoutError:
        return


def _relevant(changes: Iterable[Change], query: WatchQuery) -> Iterable[WatchEvent]:
    """Turn changes into what one watcher is told: entering a selection is ADDED, leaving it is DELETED."""
    for change in changes:
        if query.namespace is not None and change.key[0] != query.namespace:
            continue
        was = change.previous is not None and query.selector(change.previous.body)
        is_now = change.kind != "DELETED" and query.selector(change.stored.body)
        if is_now:
            yield WatchEvent("MODIFIED" if was else "ADDED", change.stored, change.revision)
        elif was:
            yield WatchEvent("DELETED", change.departed(), change.revision)
