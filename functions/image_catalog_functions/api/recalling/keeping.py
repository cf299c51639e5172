"""Keeps every entry's recalls true to what all entries show, and has the world told of them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from prometheus_client import Counter
from pydantic import ValidationError

from image_catalog.catalog.index import Entry, Index, Query
from image_catalog.catalog.recall_events import untold
from image_catalog.catalog.recalling import Known, brought
from image_catalog.cluster import CatalogImages
from image_catalog.errors import CatalogError
from image_catalog.models import CatalogImage
from image_catalog_functions.api.recalling.telling import Teller

__all__ = ["RecallKeeper", "Watched"]

_log = structlog.get_logger(__name__)

_PAUSE: Final = timedelta(seconds=5)
"""How soon what could not be written or told is tried again."""

_PATIENCE: Final = timedelta(seconds=8)
"""How long a caller waits for other entries to be marked, and for the broker, after its own entry is written."""

_CONCURRENCY: Final = 8
"""Entries that are written at once."""

_BATCH: Final = 256
"""Entries that are looked through before requests get their turn: about two milliseconds' worth."""

_SIGNS: Final = (b'"recalls":[{', b'"restorations":[{')
"""What stands in the JSON of an entry that has to do with recalls."""

_DIGEST: Final = re.compile(rb"sha256:[0-9a-f]{64}")

_MARKED = Counter(
    "image_catalog_api_recall_marks",
    "Entries whose recalls were to be brought up to date, by what became of it.",
    ["outcome"],
)

_Key = tuple[str, str]


class RecallKeeper:
    """Marks the entries that a recall holds for, and has the world told of every mark.

    It goes by what the index shows, and not by what it was called for: a process
    that died between a write and its emission, an entry that is published after
    its content was recalled, and a restoration that reached only some of the
    entries are all found in the same way.

    Nothing is done while no entry has to do with recalls. Else every entry that
    changes is searched for the digests that matter, which takes some microseconds.

    Parameters
    ----------
    index
        Every entry.
    images
        Reads and writes entries.
    read
        Reads an entry from the API server into the index.
    teller
        Tells the world.
    filled
        Returns what is set once the index has every entry. Before that a
        restoration may not have been seen yet, and nothing is concluded.
    clock
        Tells the time.
    pause
        How soon what could not be done is tried again.
    """

    def __init__(
        self,
        *,
        index: Index,
        images: CatalogImages,
        read: Callable[[str, str], Awaitable[Entry | None]],
        teller: Teller,
        filled: Callable[[], asyncio.Event],
        clock: Callable[[], datetime],
        pause: timedelta = _PAUSE,
    ) -> None:
        self._index = index
        self._images = images
        self._read = read
        self._teller = teller
        self._filled = filled
        self._clock = clock
        self._pause = pause
        self._carriers: dict[_Key, CatalogImage | None] = {}
        self._known: Known | None = None
        self._changed: set[_Key] = set()
        self._digests: frozenset[bytes] = frozenset()
        self._wake = asyncio.Event()
        self._settling = asyncio.Lock()
        self._settlings: set[asyncio.Future[bool]] = set()
        self._slots = asyncio.Semaphore(_CONCURRENCY)

    def see(self, namespace: str, name: str) -> None:
        """Take note that an entry has come, changed or gone; never waits."""
        key, entry = (namespace, name), self._index.get(namespace, name)
        if entry is None or not any(sign in entry.json for sign in _SIGNS):
            self._forget(key)
            if entry is None or not _has_any(entry, self._digests):
                return
        elif (known := self._carriers.get(key)) is None or known.metadata.resource_version != entry.resource_version:
            self._carriers[key] = self._known = None
        self._changed.add(key)
        self._wake.set()

    def _forget(self, key: _Key) -> None:
        """Look anew at what is known: an entry has nothing to do with recalls any more, or is gone."""
        if self._carriers.pop(key, _ABSENT) is not _ABSENT:
            self._known = None
            self._wake.set()

    async def run(self) -> None:
        """Settle whenever something has changed, for ever."""
        # A list that no longer has an entry takes it out of the index without a word to its feeder.
        with self._index.departures(lambda entry: self._forget((entry.namespace, entry.name))):
            await self._filled().wait()
            while True:
                await self._wake.wait()
                self._wake.clear()
                try:
                    done = await self.settle()
                except Exception:  # noqa: BLE001 - nobody waits for this loop, so that it would end unseen
                    _log.exception("recalls not settled")
                    done = False
                    self._wake.set()
                if not done:
                    await asyncio.sleep(self._pause.total_seconds())

    async def settle_soon(self, image: CatalogImage) -> None:
        """Settle after a write to an entry, and wait for that as long as a caller's patience lasts."""
        self.see(image.metadata.namespace, image.metadata.name)
        if not self._teller.has_sink:
            await self._teller.tell(image)
        if not self._filled().is_set():
            return
        settling = asyncio.ensure_future(self.settle())
        # It goes on when nobody waits for it any more: a broker may take its time to say no.
        self._settlings.add(settling)
        settling.add_done_callback(self._settlings.discard)
        await asyncio.wait((settling,), timeout=_PATIENCE.total_seconds())

    def holders(self, ids: Collection[str], *, apart_from: _Key) -> list[_Key]:
        """Return the entries that show any of some recalls, one excepted."""
        images = {key: self._image(key) for key in sorted(self._carriers) if key != apart_from}
        return [
            key
            for key, image in images.items()
            if image is not None and any(recall.id in ids for recall in image.status.recalls)
        ]

    async def settle(self) -> bool:
        """Bring every entry's recalls up to date, and tell what is owed.

        Returns
        -------
        bool
            Whether nothing is left to be done. What could not be written, or not be told, is logged.
        """
        async with self._settling:
            candidates, self._changed = self._changed, set()
            try:
                done = await self._settle(candidates)
            except BaseException:
                # What nobody foresaw loses nothing: everything is looked at again.
                self._changed |= candidates
                self._known, self._digests = None, frozenset()
                raise
            if not done:
                self._wake.set()
            return done

    async def _settle(self, candidates: set[_Key]) -> bool:
        known = self._known
        if known is None:
            known = self._known = self._gather()
            candidates |= {*self._carriers, *await self._searched(known)}
        marked = await self._each(candidates, lambda key: self._bring(key, known))
        told = await self._each(list(self._carriers), self._tell) if self._teller.has_sink else True
        return marked and told

    def _gather(self) -> Known:
        """Return what the entries show that have to do with recalls."""
        images = []
        for key in list(self._carriers):
            image = self._image(key)
            if image is None:
                self._carriers.pop(key, None)
            else:
                images.append(image)
        return Known.of(images)

    def _image(self, key: _Key) -> CatalogImage | None:
        """Return an entry as the index has it; read once for each version of what has to do with recalls."""
        entry = self._index.get(*key)
        if entry is None:
            return None
        known = self._carriers.get(key)
        if known is not None and known.metadata.resource_version == entry.resource_version:
            return known
        try:
            image = CatalogImage.from_object(entry.object)
        except ValidationError:
            _log.warning("recalls of an entry that cannot be read are left as they are", namespace=key[0], name=key[1])
            return None
        if key in self._carriers:
            self._carriers[key] = image
        return image

    async def _searched(self, known: Known) -> list[_Key]:
        """Search the catalog for what was not searched for before."""
        digests = frozenset(digest.encode() for digest in known.digests)
        # From now on whatever changes is searched for all of them, so that nothing slips through meanwhile.
        fresh, self._digests = digests - self._digests, digests
        if not fresh:
            return []
        found = []
        for number, entry in enumerate(self._index.find(Query(limit=0)).entries, start=1):
            if _has_any(entry, fresh):
                found.append((entry.namespace, entry.name))
            if number % _BATCH == 0:
                await asyncio.sleep(0)
        return found

    async def _each(self, keys: Iterable[_Key], do: Callable[[_Key], Awaitable[None]]) -> bool:
        async def safely(key: _Key) -> bool:
            try:
                async with self._slots:
                    await do(key)
            except CatalogError as e:
                _log.warning("recalls of an entry not settled", namespace=key[0], name=key[1], error=e.message)
                _MARKED.labels("failed").inc()
                self._changed.add(key)
                return False
            return True

        return all(await asyncio.gather(*map(safely, keys)))

    async def _bring(self, key: _Key, known: Known) -> None:
        """Write an entry's recalls if they are not those that hold for it."""
        image = self._image(key)
        if image is None or brought(image, known, now=self._clock()) is None:
            return
        written = await self._images.apply_status(*key, lambda fresh: brought(fresh, known, now=self._clock()))
        if written is not None and not self._teller.has_sink:
            # Nobody is told, but who looks at the entry sees what happened to it.
            await self._teller.tell(written)
        _MARKED.labels("written").inc()
        await self._reread(key)

    async def _tell(self, key: _Key) -> None:
        image = self._image(key)
        if image is not None and untold(image) and await self._teller.tell(image):
            await self._reread(key)

    async def _reread(self, key: _Key) -> None:
        await self._read(*key)
        self.see(*key)


class Watched:
    """An index that tells of each entry that is put or removed.

    Parameters
    ----------
    index
        The index.
    see
        Hears of each.
    """

    def __init__(self, index: Index, see: Callable[[str, str], None]) -> None:
        self._index = index
        self._see = see

    def put(self, obj: Mapping[str, Any], /) -> bool:
        """Take in an object; false for one that is not newer than what is known."""
        newer = self._index.put(obj)
        # Also what is known: a write of our own is in the index before the watch brings it.
        meta = obj.get("metadata") or {}
        self._see(str(meta.get("namespace") or ""), str(meta.get("name") or ""))
        return newer

    def remove(self, namespace: str, name: str, *, uid: str | None = None, resource_version: str | None = None) -> bool:
        """Forget an object."""
        removed = self._index.remove(namespace, name, uid=uid, resource_version=resource_version)
        self._see(namespace, name)
        return removed

    def relist(self) -> AbstractContextManager[object]:
        """Forget at the end what was not put between start and end, unless it ends with an error."""
        return self._index.relist()

    def advance(self, resource_version: str, /) -> None:
        """Remember that everything up to a version has been seen."""
        self._index.advance(resource_version)


_ABSENT: Final = object()


def _has_any(entry: Entry, digests: frozenset[bytes]) -> bool:
    """Tell whether any of some digests stands anywhere in an entry; how many they are costs nothing."""
    return bool(digests) and not digests.isdisjoint(_DIGEST.findall(entry.json))
