"""How reliable images and registries are: what every entry's status says of its availability, ready to be asked."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from pyroaring import BitMap

from image_catalog.catalog.availability import NOTHING, Tally, read_tallies
from image_catalog.catalog.index.orders import Order
from image_catalog.catalog.index.query import Sort
from image_catalog.catalog.plain import part
from image_catalog.models import AvailabilityWindow

__all__ = ["RegistryReliability", "Reliability", "Watched", "read_watched"]

_HOUR: Final = 3_600
_LENGTHS: Final = {AvailabilityWindow.DAY: 24 * _HOUR, AvailabilityWindow.MONTH: 30 * 24 * _HOUR}
"""Seconds of each window, for entries of which nothing is known in it."""

_COUNTS: Final = len(Tally._fields)
_WIDTH: Final = _COUNTS * len(AvailabilityWindow)
"""Counts that are kept of an entry: those of one window, then those of the other."""


class Watched(NamedTuple):
    """What an entry says.

    Attributes
    ----------
    registry
        Its registry's host; `None` for an entry whose reference is none.
    as_of
        Seconds since 1970 up to which it was counted; 0 for never.
    tallies
        Seconds of each window, by what they were.
    """

    registry: str | None
    as_of: int
    tallies: Mapping[AvailabilityWindow, Tally]


class RegistryReliability(NamedTuple):
    """What all entries of a registry say together.

    Attributes
    ----------
    registry
        Host, as references name it.
    entries
        How many there are.
    tallies
        The sum of their seconds, of those that were checked within the window;
        of the others it is unknown.
    """

    registry: str
    entries: int
    tallies: Mapping[AvailabilityWindow, Tally]


_UNWATCHED: Final = dict.fromkeys(AvailabilityWindow, NOTHING)


def read_watched(status: Mapping[str, Any], registry: str | None) -> Watched:
    """Read what an entry says of its availability; what makes no sense says nothing.

    Parameters
    ----------
    status
        Its status as JSON gave it.
    registry
        Its registry's host.
    """
    found = read_tallies(part(status, "availability"))
    return Watched(registry, 0, _UNWATCHED) if found is None else Watched(registry, *found)


class _Place:
    """What entries of a namespace say of one registry.

    Attributes
    ----------
    namespace, registry
        Which.
    hours
        By the hour of the last check: how many entries, and the sums of their counts.
    """

    __slots__ = ("hours", "namespace", "registry")

    def __init__(self, namespace: str, registry: str) -> None:
        self.namespace = namespace
        self.registry = registry
        self.hours: dict[int, list[int]] = {}

    def add(self, hour: int, counts: Sequence[int], times: int) -> None:
        """Add an entry's counts, or take them out with `times` ``-1``."""
        sums = self.hours.setdefault(hour, [0] * (1 + _WIDTH))
        for at, count in enumerate((1, *counts)):
            sums[at] += times * count
        if not sums[0]:
            del self.hours[hour]


class Reliability:
    """Every entry's availability: which entries have how much of it, and what those of a registry have together.

    A question for a registry costs what there are of namespaces, registries
    and hours in which entries were last checked, whatever the entries.
    """

    def __init__(self) -> None:
        self._orders = {window: Order(Sort.AVAILABILITY) for window in AvailabilityWindow}
        self._counts = array("I")
        self._hours = array("I")
        self._places: list[_Place | None] = []
        self._sums: dict[tuple[str, str], _Place] = {}

    def put(self, slot: int, watched: Watched, namespace: str, name: str) -> None:
        """Remember what a slot's entry says, in the place of what it said before. Slots are taken without a gap."""
        if slot == len(self._places):
            self._places.append(None)
            self._hours.append(0)
            self._counts.extend((0,) * _WIDTH)
        day, month = (watched.tallies[window] for window in AvailabilityWindow)
        rank = self._orders[AvailabilityWindow.DAY].put(slot, day.ratio, namespace, name)
        self._orders[AvailabilityWindow.MONTH].put(slot, month.ratio, namespace, name, like=rank)
        self._drop(slot)
        self._hours[slot] = max(watched.as_of, 0) // _HOUR
        self._counts[slot * _WIDTH : (slot + 1) * _WIDTH] = array("I", (*day, *month))
        if watched.registry is not None:
            key = (namespace, watched.registry)
            place = self._places[slot] = self._sums.get(key) or self._sums.setdefault(key, _Place(*key))
            place.add(self._hours[slot], self._kept(slot), 1)

    def remove(self, slot: int) -> None:
        """Forget a slot's entry."""
        for order in self._orders.values():
            order.remove(slot)
        self._drop(slot)

    def order(self, window: AvailabilityWindow) -> Order:
        """Return all entries, the most available first."""
        return self._orders[window]

    def at_least(self, share: float, window: AvailabilityWindow) -> BitMap:
        """Return the slots of the entries whose image was there for a share of known time, or more."""
        return self._orders[window].at_least(share)

    def registries(self, namespace: str | None, now: datetime) -> list[RegistryReliability]:
        """Return what entries say of each registry, by its host.

        Parameters
        ----------
        namespace
            Whose entries; `None` for those of every namespace.
        now
            The time.
        """
        found: dict[str, RegistryReliability] = {}
        hour = int(now.timestamp()) // _HOUR
        for place in self._sums.values():
            if namespace in {None, place.namespace}:
                known = found.get(place.registry) or RegistryReliability(place.registry, 0, _UNWATCHED)
                for checked, counts in place.hours.items():
                    known = _with(known, counts, age=hour - checked)
                found[place.registry] = known
        return [found[registry] for registry in sorted(found)]

    def _kept(self, slot: int) -> Sequence[int]:
        return self._counts[slot * _WIDTH : (slot + 1) * _WIDTH]

    def _drop(self, slot: int) -> None:
        """Take what is kept of a slot out of its registry's sums."""
        place = self._places[slot]
        if place is not None:
            place.add(self._hours[slot], self._kept(slot), -1)
            self._places[slot] = None
            if not place.hours:
                del self._sums[place.namespace, place.registry]


def _with(known: RegistryReliability, counts: list[int], *, age: int) -> RegistryReliability:
    """Add the entries that were last checked some hours ago."""
    entries, tallies = counts[0], dict(known.tallies)
    for number, (window, length) in enumerate(_LENGTHS.items()):
        first = 1 + number * _COUNTS
        is_seen = age * _HOUR <= length
        more = Tally(*counts[first : first + _COUNTS]) if is_seen else NOTHING
        if not more.known:
            more = Tally(0, 0, 0, entries * length)
        tallies[window] = tallies[window].plus(more)
    return RegistryReliability(known.registry, known.entries + entries, tallies)
