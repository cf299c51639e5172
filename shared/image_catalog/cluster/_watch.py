"""A watch that survives what happens to watches.

The protocol: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Any, Final

import orjson
import structlog

from image_catalog.cluster._failures import GONE, Operation, failure
from image_catalog.cluster._lists import Page
from image_catalog.cluster._transport import JSON, Response, StreamingResponse, Transport
from image_catalog.errors import ClusterUnavailableError, InvalidObjectError

__all__ = ["Bookmarked", "ChangeType", "Changed", "Interrupted", "Relisted", "Watch", "WatchItem"]

logger = structlog.get_logger(__name__)

OK: Final = 200
# The API server ends a watch by itself after five to ten minutes; ours end earlier and not all at once.
WATCH_SECONDS: Final = (240, 300)
# How long after its announced end a silent stream counts as a half-open connection.
GRACE: Final = timedelta(seconds=15)
FIRST_PAUSE: Final = timedelta(milliseconds=200)
LONGEST_PAUSE: Final = timedelta(seconds=30)


class ChangeType(Enum):
    """What happened to an object."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class Changed:
    """An object was added, changed or deleted.

    Attributes
    ----------
    type
        What happened to it. An object that leaves the selection counts as deleted.
    object
        The object afterwards; of a deleted one, its last state.
    """

    type: ChangeType
    object: JSON


@dataclass(frozen=True, slots=True)
class Relisted:
    """A page of the whole collection: at the start, and when changes were missed.

    After the page with ``last``, whatever was not listed since the page with
    ``first`` is gone.

    Attributes
    ----------
    objects
        The objects of this page.
    first
        Whether the list starts (again) here.
    last
        Whether the list is complete now.
    resource_version
        The version of the whole list.
    """

    objects: tuple[JSON, ...]
    first: bool
    last: bool
    resource_version: str = ""


@dataclass(frozen=True, slots=True)
class Bookmarked:
    """Everything up to a version has been seen, though nothing may have changed.

    It also comes when a lost connection is there again.

    Attributes
    ----------
    resource_version
        Where a later watch can go on.
    """

    resource_version: str


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The connection is lost and will be tried again: what is known grows old.

    Attributes
    ----------
    error
        Why.
    """

    error: ClusterUnavailableError


WatchItem = Changed | Relisted | Bookmarked | Interrupted


class _VersionExpiredError(Exception):
    """The API server has forgotten the version that the watch wants to go on from."""


class Watch:
    """One collection that is followed.

    Parameters
    ----------
    transport
        Opens the streams.
    operation
        What is watched.
    query
        The selectors.
    pages
        Starts a fresh list.
    rng
        Spreads waiting times.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        operation: Operation,
        query: Mapping[str, str],
        pages: Callable[[], AsyncIterator[Page]],
        rng: random.Random,
    ) -> None:
        self._transport = transport
        self._operation = operation
        self._query = dict(query)
        self._pages = pages
        self._rng = rng
        self._version: str | None = None
        self._failures = 0
        self._interrupted = False

    async def items(self, resource_version: str | None) -> AsyncGenerator[WatchItem]:
        """Yield the list, then changes, for ever.

        Parameters
        ----------
        resource_version
            Where to go on; `None` lists first.

        Raises
        ------
        ForbiddenError
            When the API server denies list or watch.
        """
        self._version = resource_version
        while True:
            try:
                if self._version is None:
                    async for page in self._pages():
                        yield Relisted(page.objects, page.first, page.last, page.resource_version)
                        version = page.resource_version
                    self._version = version
                async with aclosing(self._changes()) as changes:
                    async for item in changes:
                        yield item
            except _VersionExpiredError:
                logger.info("cluster.watch.expired", watch=str(self._operation), version=self._version)
                self._version = None
                await self._pause(None, quiet=True)
            except ClusterUnavailableError as e:
                logger.warning("cluster.watch.interrupted", watch=str(self._operation), error=e.message)
                self._interrupted = True
                yield Interrupted(e)
                await self._pause(e.retry_after)
            else:
                await self._pause(None, quiet=True)

    async def _changes(self) -> AsyncGenerator[WatchItem]:
        """Follow one connection until the API server ends it."""
        seconds = self._rng.randint(*WATCH_SECONDS)
        query = {
            **self._query,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version or "",
            "timeoutSeconds": str(seconds),
        }
        path = self._operation.kind.path(namespace=self._operation.namespace)
        limit = timedelta(seconds=seconds) + GRACE
        async with self._transport.stream(path, query=query, timeout=limit) as stream:
            if stream.status != OK:
                raise await self._refused(stream)
            if self._interrupted:
                # A quiet collection may say nothing for a minute, in which its reader would take it for lost.
                self._interrupted = False
                yield Bookmarked(self._version or "")
            async for line in stream.lines:
                yield self._read(line)

    async def _refused(self, stream: StreamingResponse) -> Exception:
        if stream.status == GONE:
            return _VersionExpiredError()
        body = b"".join([line async for line in stream.lines])
        return failure(Response(stream.status, stream.headers, body), self._operation)

    def _read(self, line: bytes) -> WatchItem:
        """Read one event and remember how far the watch has come."""
        try:
            event: dict[str, Any] = orjson.loads(line)
            kind, obj = event["type"], event["object"]
            if kind == "ERROR":
                raise self._error(obj)
            version = str(obj["metadata"]["resourceVersion"])
            item = Bookmarked(version) if kind == "BOOKMARK" else Changed(ChangeType(kind), obj)
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as e:
            raise ClusterUnavailableError(f"{self._operation}: an event that cannot be read") from e
        self._version = version
        self._failures = 0
        return item

    def _error(self, status: JSON) -> Exception:
        code = int(status.get("code") or 0)
        if code == GONE or status.get("reason") in ("Expired", "Gone"):
            return _VersionExpiredError()
        error = failure(Response(code, {}, orjson.dumps(status)), self._operation)
        return ClusterUnavailableError(error.message) if isinstance(error, InvalidObjectError) else error

    async def _pause(self, asked: timedelta | None, *, quiet: bool = False) -> None:
        """Wait before the next connection: longer each time that one brought nothing.

        A watch that ends as announced goes on at once, but only the first time: a
        server that ends each one immediately must not be asked in a tight loop.
        """
        if quiet and self._failures == 0:
            self._failures = 1
            return
        longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self._failures, 10))
        self._failures += 1
        seconds = self._rng.uniform(0.5, 1.0) * longest.total_seconds()
        await asyncio.sleep(max(seconds, asked.total_seconds() if asked else 0.0))
