"""A watch that survives what happens to watches.

The protocol: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from datetime import timedelta
from enum import Enum, auto
from typing import Final

import structlog

from image_catalog.cluster._failures import GONE, Operation, failure
from image_catalog.cluster._lists import PAGE_SIZE, Page
from image_catalog.cluster._transport import Response, StreamingResponse, Transport
from image_catalog.cluster._watch_events import (
    INITIAL_EVENTS,
    NotStreamedError,
    VersionExpiredError,
    initial_list,
    read_event,
)
from image_catalog.cluster._watch_items import Bookmarked, Interrupted, Relisted, WatchItem
from image_catalog.errors import ClusterUnavailableError, InvalidObjectError

__all__ = ["Watch"]

logger = structlog.get_logger(__name__)

OK: Final = 200
NOT_IMPLEMENTED: Final = 501
# The API server ends a watch by itself after five to ten minutes; ours end earlier and not all at once.
WATCH_SECONDS: Final = (240, 300)
# How long after its announced end a silent stream counts as a half-open connection.
GRACE: Final = timedelta(seconds=15)
# How long a page of a streamed list may take; the API server's cache is never more than seconds behind.
PATIENCE: Final = timedelta(seconds=10)
FIRST_PAUSE: Final = timedelta(milliseconds=200)
LONGEST_PAUSE: Final = timedelta(seconds=30)


class _Lists(Enum):
    """How the next list is asked for."""

    STREAMED = auto()
    """As the beginning of the watch: the API server reads it from its cache, piece by piece."""
    PAGED_ONCE = auto()
    """In pages, because the last one that was streamed did not come to its end."""
    PAGED = auto()
    """In pages, because the API server refuses to stream: its feature gate WatchList is off, or it has none."""


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
        Starts a fresh list, where the watch cannot begin with it.
    rng
        Spreads waiting times.
    page_size
        How many objects a page holds of a list that the watch begins with.
    patience
        How long such a page may take.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        operation: Operation,
        query: Mapping[str, str],
        pages: Callable[[], AsyncIterator[Page]],
        rng: random.Random,
        page_size: int = PAGE_SIZE,
        patience: timedelta = PATIENCE,
    ) -> None:
        self._transport = transport
        self._operation = operation
        self._query = dict(query)
        self._pages = pages
        self._rng = rng
        self._page_size = page_size
        self._patience = patience
        self._version: str | None = None
        self._lists = _Lists.STREAMED
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
                part = (
                    self._listed() if self._version is None and self._lists is not _Lists.STREAMED else self._followed()
                )
                async with aclosing(part) as items:
                    async for item in items:
                        yield item
            except NotStreamedError as e:
                logger.info("watch begins with pages", watch=str(self._operation), reason=str(e))
            except VersionExpiredError:
                logger.info("watch expired", watch=str(self._operation), version=self._version)
                self._version = None
                await self._pause(None, quiet=True)
            except ClusterUnavailableError as e:
                logger.warning("watch interrupted", watch=str(self._operation), error=e.message)
                self._interrupted = True
                yield Interrupted(e)
                await self._pause(e.retry_after)

    async def _listed(self) -> AsyncGenerator[WatchItem]:
        """List in pages."""
        version = ""
        async for page in self._pages():
            yield Relisted(page.objects, page.first, page.last, page.resource_version)
            version = page.resource_version
        self._version = version
        self._interrupted = False
        if self._lists is _Lists.PAGED_ONCE:
            self._lists = _Lists.STREAMED

    async def _followed(self) -> AsyncGenerator[WatchItem]:
        """Follow one connection until the API server ends it, from its list on when no version is known."""
        seconds = self._rng.randint(*WATCH_SECONDS)
        listing = self._version is None
        query = {
            **self._query,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(seconds),
            **(INITIAL_EVENTS if self._version is None else {"resourceVersion": self._version}),
        }
        path = self._operation.kind.path(namespace=self._operation.namespace)
        limit = timedelta(seconds=seconds) + GRACE
        async with self._transport.stream(path, query=query, timeout=limit) as stream:
            if stream.status != OK:
                raise await self._refused(stream, listing=listing)
            if listing:
                async with aclosing(self._initial(stream.lines)) as items:
                    async for item in items:
                        yield item
            elif self._interrupted:
                # A quiet collection may say nothing for a minute, in which its reader would take it for lost.
                yield Bookmarked(self._version or "")
            self._interrupted = False
            async for line in stream.lines:
                event = read_event(line, self._operation)
                self._version = event.version
                self._failures = 0
                yield event.item
        await self._pause(None, quiet=True)

    async def _initial(self, lines: AsyncIterator[bytes]) -> AsyncGenerator[WatchItem]:
        """Read the list that a connection begins with."""
        # Until it has come to its end: what breaks this one may break every other.
        self._lists = _Lists.PAGED_ONCE
        listed = initial_list(lines, self._operation, patience=self._patience, page_size=self._page_size)
        async with aclosing(listed) as items:
            async for item in items:
                if isinstance(item, Relisted) and item.last:
                    self._version = item.resource_version
                    self._lists = _Lists.STREAMED
                yield item

    async def _refused(self, stream: StreamingResponse, *, listing: bool) -> Exception:
        if stream.status == GONE:
            return VersionExpiredError()
        body = b"".join([line async for line in stream.lines])
        error = failure(Response(stream.status, stream.headers, body), self._operation)
        if listing and (isinstance(error, InvalidObjectError) or stream.status == NOT_IMPLEMENTED):
            self._lists = _Lists.PAGED
            return NotStreamedError(error.message)
        return error

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
