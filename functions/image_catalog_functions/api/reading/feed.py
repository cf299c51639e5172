"""Feeds an index from the API server's watch, and knows how old that makes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, aclosing, suppress
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import structlog

from image_catalog.cluster import Bookmarked, Changed, ChangeType, Interrupted, Relisted, WatchItem
from image_catalog.errors import CatalogError
from image_catalog.loading import collector_paused
from image_catalog_functions.api.http.problems import Problem, ProblemReason

__all__ = ["Collection", "Feed"]

logger = structlog.get_logger(__name__)

# A right that was taken away comes back when an administrator notices; nobody is asked in a tight loop until then.
_PAUSE: Final = timedelta(seconds=10)

# How many objects of a page are taken in before requests get their turn: about two milliseconds' worth.
_BATCH: Final = 32


class Collection(Protocol):
    """What is fed."""

    def put(self, obj: Mapping[str, Any], /) -> bool:
        """Take in an object; false for one that is not newer than what is known."""

    def remove(self, namespace: str, name: str, *, uid: str | None = None, resource_version: str | None = None) -> bool:
        """Forget an object."""

    def relist(self) -> AbstractContextManager[object]:
        """Forget at the end what was not put between start and end, unless it ends with an error."""

    def advance(self, resource_version: str, /) -> None:
        """Remember that everything up to a version has been seen."""


class _AbandonedError(Exception):
    """A list that did not come to its end."""


class Feed:
    """Follows one collection of the API server.

    Parameters
    ----------
    name
        What logs and metrics call it.
    watch
        Starts to follow: the list first, then every change.
    collection
        What is fed.
    clock
        Tells the time.
    """

    def __init__(
        self,
        *,
        name: str,
        watch: Callable[[], AsyncGenerator[WatchItem]],
        collection: Collection,
        clock: Callable[[], datetime],
    ) -> None:
        self.name = name
        self.filled = asyncio.Event()
        self._watch = watch
        self._collection = collection
        self._clock = clock
        # Nothing has been seen yet: until the first list, everything may have been missed.
        self._broken_since: datetime | None = clock()
        self._listing = ExitStack()
        self._listing_now = False

    def age(self) -> timedelta | None:
        """Return for how long changes may have been missed; `None` while the watch works."""
        return None if self._broken_since is None else max(self._clock() - self._broken_since, timedelta())

    def require_filled(self) -> None:
        """Let nobody take what has not been listed yet for what is not there.

        Raises
        ------
        Problem
            503 until the first list is complete.
        """
        if not self.filled.is_set():
            detail = f"the index is not filled yet: the API server has not listed all {self.name}"
            raise Problem(503, ProblemReason.INDEX_NOT_FILLED, detail, headers={"Retry-After": "1"})

    async def run(self) -> None:
        """Follow for ever."""
        while True:
            try:
                async with aclosing(self._watch()) as items:
                    async for item in items:
                        await self._take(item)
            except CatalogError as e:
                logger.warning("feed interrupted", feed=self.name, error=e.message)
            except Exception:
                logger.exception("feed failed", feed=self.name)
            self.interrupted()
            await asyncio.sleep(_PAUSE.total_seconds())

    async def _take(self, item: WatchItem) -> None:
        if isinstance(item, Interrupted):
            self.interrupted()
            return
        if isinstance(item, Relisted):
            await self._relisted(item)
        elif isinstance(item, Changed):
            self._changed(item)
        elif isinstance(item, Bookmarked):
            self._collection.advance(item.resource_version)
        if not self._listing_now:
            self._broken_since = None

    async def _relisted(self, page: Relisted) -> None:
        if page.first:
            self._abandon()
            if not self.filled.is_set():
                # What is listed first stays: going through it again and again would take a fifth of the time.
                self._listing.enter_context(collector_paused())
            self._listing.enter_context(self._collection.relist())
            self._listing_now = True
        for number, obj in enumerate(page.objects, start=1):
            self._put(obj)
            if number % _BATCH == 0:
                await asyncio.sleep(0)
        if page.last:
            self._listing.close()
            self._listing_now = False
            self._collection.advance(page.resource_version)
            self.filled.set()
            logger.info("feed filled", feed=self.name)

    def _changed(self, change: Changed) -> None:
        if change.type is not ChangeType.DELETED:
            self._put(change.object)
            return
        meta = change.object.get("metadata") or {}
        version = meta.get("resourceVersion")
        self._collection.remove(
            str(meta.get("namespace") or ""), str(meta.get("name") or ""), uid=meta.get("uid"), resource_version=version
        )
        if version:
            self._collection.advance(str(version))

    def _put(self, obj: Mapping[str, Any]) -> None:
        try:
            self._collection.put(obj)
        except Exception:
            # One object that nobody foresaw must not keep all the others out.
            meta = obj.get("metadata") or {}
            logger.exception(
                "object of a feed not read", feed=self.name, object=f"{meta.get('namespace')}/{meta.get('name')}"
            )

    def interrupted(self) -> None:
        """Count time from now on as time in which changes may have been missed."""
        self._abandon()
        if self._broken_since is None:
            self._broken_since = self._clock()

    def _abandon(self) -> None:
        """Leave a list that did not come to its end: what it did not show is not gone."""
        self._listing_now = False
        error = _AbandonedError()
        listing, self._listing = self._listing, ExitStack()
        with suppress(_AbandonedError):
            listing.__exit__(type(error), error, None)
