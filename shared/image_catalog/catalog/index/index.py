"""The catalog in memory: every entry, found by anything, without asking the API server."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from hashlib import blake2b
from typing import Any

from pyroaring import BitMap

from image_catalog.catalog.index.asked import alike, terms_of
from image_catalog.catalog.index.entry import Entry
from image_catalog.catalog.index.grams import Grams
from image_catalog.catalog.index.groups import Groups, Wanted
from image_catalog.catalog.index.orders import Order
from image_catalog.catalog.index.postings import Postings
from image_catalog.catalog.index.pushed import holders_of_push
from image_catalog.catalog.index.query import Listing, Query, Sort
from image_catalog.catalog.index.reliability import RegistryReliability, Reliability
from image_catalog.catalog.index.tombs import Tombs
from image_catalog.catalog.index.values import (
    RECALLED,
    Values,
    read_values,
    searchable,
    term,
)
from image_catalog.catalog.plain import part, text
from image_catalog.models import normalise_architecture

__all__ = ["Index"]


class Index:
    """Every entry of the catalog, kept up to date by whoever watches it.

    A query costs its answer and not the catalog. Two kinds cost more: `q` with
    more than three characters looks into every text that has all its runs of
    three, and `latest` looks at the matches, or at the groups where those are
    fewer, when it comes with filters that the versions of an image can differ
    in: tags, `q`, a build.

    Nothing here waits or locks: it belongs to one thread.
    """

    def __init__(self) -> None:
        self._slots: dict[str, dict[str, int]] = {}
        self._entries: list[Entry | None] = []
        self._marks = array("Q")
        self._words: list[tuple[str, ...]] = []
        self._texts: list[str] = []
        self._free: list[int] = []
        self._live = BitMap()
        self._terms, self._grams, self._groups = Postings(listed=term("target", "")), Grams(), Groups()
        self._orders: dict[Sort, Order] = {sort: Order(sort) for sort in Sort if sort is not Sort.AVAILABILITY}
        self._reliability = Reliability()
        self._tombs = Tombs()
        self._accesses: dict[tuple[str, str], int] = {}
        self._unseen: list[BitMap] = []
        self._hearers: list[Callable[[Entry], None]] = []
        self._version = 0
        self._accessed = 0
        self._revision = 0

    def __len__(self) -> int:
        """Tell how many entries there are."""
        return len(self._live)

    @property
    def version(self) -> int:
        """A number that changes whenever any answer may, figures of accesses apart; it is the process's own."""
        return self._version

    @property
    def accessed(self) -> int:
        """How many accesses were counted: while it stays, so does every figure of accesses of this `version`."""
        return self._accessed

    @property
    def resource_version(self) -> str:
        """The newest resource version that was heard of; empty when there was none."""
        return str(self._revision) if self._revision else ""

    def advance(self, resource_version: str) -> None:
        """Take note of a resource version, as a bookmark tells it."""
        revision = _revision(resource_version)
        if revision is not None and revision > self._revision:
            self._revision = revision
            self._version += 1

    def put(self, obj: Mapping[str, Any]) -> bool:
        """Take in an object as the API server has it.

        Nothing about an object makes this fail: what cannot be read is not
        found by, and what has no name cannot be an entry.

        Parameters
        ----------
        obj
            The object as JSON gave it; it is neither changed nor kept.

        Returns
        -------
        bool
            `False` when it is not newer than what is known, or went after it.
        """
        metadata = part(obj, "metadata")
        namespace, name = sys.intern(text(metadata, "namespace") or ""), text(metadata, "name")
        if name is None:
            return False
        slot, version = self._slots.get(namespace, {}).get(name), text(metadata, "resourceVersion") or ""
        known = None if slot is None else self._entries[slot]
        if slot is not None:
            self._see(slot)
        revision = _revision(version)
        if revision is not None and self._is_late(revision, known, (namespace, name)):
            return False
        uid = text(metadata, "uid") or ""
        accesses = self._figure(obj, uid, known, (namespace, name))
        entry = Entry.of(obj, namespace=namespace, name=name, uid=uid, resource_version=version, accesses=accesses)
        self._place(slot, entry, read_values(obj, namespace=namespace, name=name))
        self._version += 1
        self._revision = max(self._revision, revision or 0)
        if known is not None and known.uid != uid:
            self._tell(known)
        return True

    def remove(self, namespace: str, name: str, *, uid: str | None = None, resource_version: str | None = None) -> bool:
        """Take out an entry that is gone.

        It is remembered for a while, so that an older version of it that
        arrives later does not bring it back.

        Parameters
        ----------
        namespace, name
            The entry.
        uid
            Which one is gone; another of the same name stays.
        resource_version
            When it went; a newer one of the same name stays.

        Returns
        -------
        bool
            `False` when there is no such entry.
        """
        went = _revision(resource_version or "")
        if went is not None:
            self._tombs.bury((namespace, name), went)
            self.advance(resource_version or "")
        slot = self._slots.get(namespace, {}).get(name)
        entry = None if slot is None else self._entries[slot]
        if slot is None or entry is None or (uid is not None and uid != entry.uid):
            return False
        known = _revision(entry.resource_version)
        if known is not None:
            if went is not None and known > went:
                return False
            self._tombs.bury((namespace, name), known)
        self._clear(slot, entry)
        self._version += 1
        self._tell(entry)
        return True

    @contextmanager
    def relist(self) -> Iterator[None]:
        """Take out, in the end, what was not put in the meantime.

        A list in pages is put inside this context. Should it break off with an
        exception, everything stays.
        """
        unseen = BitMap(self._live)
        self._unseen.append(unseen)
        try:
            yield
        finally:
            self._unseen = [other for other in self._unseen if other is not unseen]
        for slot in unseen:
            entry = self._entries[slot]
            if entry is not None:
                self.remove(entry.namespace, entry.name)

    @contextmanager
    def departures(self, hear: Callable[[Entry], None]) -> Iterator[None]:
        """Have somebody told of each entry that goes, or gives its name to another one, while the context lasts."""
        self._hearers.append(hear)
        try:
            yield
        finally:
            self._hearers.remove(hear)

    def get(self, namespace: str, name: str) -> Entry | None:
        """Return an entry; `None` when there is none."""
        slot = self._slots.get(namespace, {}).get(name)
        return None if slot is None else self._entries[slot]

    def find(self, query: Query) -> Listing:
        """Return a page of the entries that match a query.

        Paging on from `Listing.next` neither repeats nor skips an entry that
        did not change meanwhile.

        Raises
        ------
        ValueError
            Raised if ``after`` belongs to a list of another sort.
        """
        matches, window = self._matches(query), query.availability_window
        order = self._orders.get(query.sort) or self._reliability.order(window)
        slots, left = order.page(matches, descending=query.descending, after=query.after, limit=query.limit)
        remaining, marks = left - len(slots), self._marks
        return Listing(
            entries=tuple([entry for slot in slots if (entry := self._entries[slot]) is not None]),
            total=len(self._live) if matches is None else len(matches),
            remaining=remaining,
            next=order.position(slots[-1]) if remaining and slots else None,
            state=array("Q", [marks[slot] for slot in slots]).tobytes(),
        )

    def of_push(self, repository: str, *, tag: str | None = None, digest: str | None = None) -> tuple[Entry, ...]:
        """Return the entries of any namespace that have to do with what was pushed to a repository, or deleted there.

        Parameters
        ----------
        repository
            Registry and repository, as `Reference.name` writes them.
        tag
            Those that name it.
        digest
            Those that name it, are pinned to it, or were found to hold it. All of the repository when there is
            neither.
        """
        slots = holders_of_push(self._terms, repository, tag=tag, digest=digest)
        return tuple([entry for slot in slots if (entry := self._entries[slot]) is not None])

    def recaller(self, namespace: str, digest: str) -> Entry | None:
        """Return an entry that says that a content is recalled in a namespace; `None` when none does."""
        slot = self._terms.first(term("recalled", f"{namespace}/{digest}"))
        return None if slot is None else self._entries[slot]

    def registries(self, namespace: str | None, now: datetime) -> list[RegistryReliability]:
        """Return how reliable each registry is, as `Reliability.registries` has it."""
        return self._reliability.registries(namespace, now)

    def targets_near(self, name: str, count: int) -> list[str]:
        """Return boards that entries of any namespace are for: those that are next to a name in the alphabet."""
        return [word.partition("=")[2] for word in self._terms.near(term("target", name), count)]

    def count_access(self, namespace: str, name: str) -> Entry | None:
        """Count an access of an entry's details and return the entry with the new figure; `None` when there is none."""
        slot = self._slots.get(namespace, {}).get(name)
        entry = None if slot is None else self._entries[slot]
        if slot is None or entry is None:
            return None
        self._accesses[namespace, name] = self._accesses.get((namespace, name), 0) + 1
        counted = self._entries[slot] = entry.with_accesses(entry.accesses + 1)
        self._accessed += 1
        return counted

    def take_accesses(self) -> dict[tuple[str, str], int]:
        """Return the accesses that no status tells of yet, by namespace and name, and leave them to the caller.

        Whoever takes them writes them and puts the written object, or gives
        them back with `give_back`. The figures that are answered meanwhile
        hold them: an entry's figure never goes down.
        """
        taken, self._accesses = self._accesses, {}
        return taken

    def give_back(self, namespace: str, name: str, count: int) -> None:
        """Take back accesses of an entry that could not be written."""
        if self.get(namespace, name) is not None:
            self._accesses[namespace, name] = self._accesses.get((namespace, name), 0) + count

    def _is_late(self, revision: int, known: Entry | None, key: tuple[str, str]) -> bool:
        if known is None:
            return self._tombs.hides(key, revision)
        have = _revision(known.resource_version)
        return have is not None and revision <= have

    def _figure(self, obj: Mapping[str, Any], uid: str, known: Entry | None, key: tuple[str, str]) -> int:
        """Return the figure of accesses: while a count is being written, the status is behind what is known."""
        written = part(obj, "status").get("accessCount")
        written = written if isinstance(written, int) else 0
        if known is None or known.uid != uid:
            self._accesses.pop(key, None)
            return written
        return max(known.accesses, written + self._accesses.get(key, 0))

    def _tell(self, gone: Entry) -> None:
        for hear in self._hearers:
            hear(gone)

    def _see(self, slot: int) -> None:
        for unseen in self._unseen:
            unseen.discard(slot)

    def _place(self, slot: int | None, entry: Entry, values: Values) -> None:
        if slot is None:
            slot = self._allot()
            self._slots.setdefault(entry.namespace, {})[entry.name] = slot
            self._live.add(slot)
            self._terms.add(values.terms, slot)
            self._words[slot] = values.terms
            self._grams.add(values.searched, slot)
        else:
            self._replace(slot, values)
        self._entries[slot], self._texts[slot] = entry, values.searched
        self._marks[slot] = _mark(entry)
        for sort, value in (
            (Sort.PUBLISHED, values.published),
            (Sort.NAME, entry.name),
            (Sort.SIZE, values.size),
            (Sort.VERIFIED, values.verified),
        ):
            self._orders[sort].put(slot, value, entry.namespace, entry.name)
        self._reliability.put(slot, values.watched, entry.namespace, entry.name)
        self._groups.put(self._orders[Sort.PUBLISHED][slot], values.phase, values.groups)

    def _replace(self, slot: int, values: Values) -> None:
        if self._words[slot] != values.terms:
            before, after = {word: word for word in self._words[slot]}, dict.fromkeys(values.terms)
            self._terms.discard(before.keys() - after.keys(), slot)
            self._terms.add([word for word in after if word not in before], slot)
            # A word that stays is the one that the postings hold, and not another that is equal to it.
            self._words[slot] = tuple([before.get(word, word) for word in after])
        self._grams.replace(self._texts[slot], values.searched, slot)

    def _allot(self) -> int:
        if self._free:
            return self._free.pop()
        self._entries.append(None)
        self._marks.append(0)
        self._words.append(())
        self._texts.append("")
        return len(self._entries) - 1

    def _clear(self, slot: int, entry: Entry) -> None:
        self._see(slot)
        self._terms.discard(self._words[slot], slot)
        self._grams.discard(self._texts[slot], slot)
        self._groups.remove(slot)
        for order in self._orders.values():
            order.remove(slot)
        self._reliability.remove(slot)
        self._accesses.pop((entry.namespace, entry.name), None)
        self._entries[slot], self._words[slot], self._texts[slot] = None, (), ""
        self._live.discard(slot)
        names = self._slots[entry.namespace]
        del names[entry.name]
        if not names:
            del self._slots[entry.namespace]
        self._free.append(slot)

    def _matches(self, query: Query) -> BitMap | None:
        """Return the slots that match; `None` for all."""
        terms = terms_of(query)
        matches = self._terms.holders(terms) if terms else None
        if query.min_availability is not None:
            found = self._reliability.at_least(query.min_availability, query.availability_window)
            matches = found if matches is None else matches & found
        if query.recalled is not None:
            matches = self._recalled(matches, wanted=query.recalled)
        if query.q:
            matches = self._grams.search(searchable(query.q), self._texts, among=matches)
        return self._latest(query, matches) if query.latest else matches

    def _recalled(self, matches: BitMap | None, *, wanted: bool) -> BitMap | None:
        """Return the matches that are recalled, or those that are not: mostly all."""
        recalled = self._terms.holders((RECALLED,))
        if wanted:
            return recalled if matches is None else matches & recalled
        return (self._live if matches is None else matches) - recalled if recalled else matches

    def _latest(self, query: Query, matches: BitMap | None) -> BitMap:
        wanted = Wanted(
            phase=query.phase,
            architecture=None if query.architecture is None else normalise_architecture(query.architecture),
            target=query.target,
        )
        return self._groups.newest(matches, wanted, alike=alike(query))


def _revision(resource_version: str) -> int | None:
    """Return a resource version as the number that it is compared by; `None` for what is none."""
    return int(resource_version) if resource_version.isascii() and resource_version.isdigit() else None


def _mark(entry: Entry) -> int:
    """Return what stands for a version of an entry: in an array, where a page's are read without its entries."""
    told = f"{entry.uid}/{entry.resource_version}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(told, digest_size=8).digest(), "little")
