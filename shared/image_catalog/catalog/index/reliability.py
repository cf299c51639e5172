"""How reliable images and registries are: what every entry's status says of its availability, ready to be asked."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
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


class Reliability:
    """Every entry's availability: which entries have how much of it, and what those of a registry have together.

    A question for a registry costs what there are of namespaces, registries
    and hours in which entries were last checked, whatever the entries.
    """

    def __init__(self) -> None:
        self._orders = {window: Order(Sort.AVAILABILITY) for window in AvailabilityWindow}
        self._counts = array("I")
        self._hours = array("I")
        self._places: list[tuple[str, str] | None] = []
        # By namespace and registry, and by the hour of the last check: how many entries, and the sums of their counts.
        self._sums: dict[tuple[str, str], dict[int, list[int]]] = {}

    def put(self, slot: int, watched: Watched, namespace: str, name: str) -> None:
        """Remember what a slot's entry says, in the place of what it said before. Slots are taken without a gap."""
        if slot == len(self._places):
            self._places.append(None)
            self._hours.append(0)
            self._counts.extend((0,) * _WIDTH)
        for window, order in self._orders.items():
            order.put(slot, watched.tallies[window].ratio, namespace, name)
        self._add(slot, -1)
        self._places[slot] = None if watched.registry is None else (namespace, watched.registry)
        self._hours[slot] = max(watched.as_of, 0) // _HOUR
        day, month = (watched.tallies[window] for window in AvailabilityWindow)
        self._counts[slot * _WIDTH : (slot + 1) * _WIDTH] = array("I", (*day, *month))
        self._add(slot, 1)

    def remove(self, slot: int) -> None:
        """Forget a slot's entry."""
        for order in self._orders.values():
            order.remove(slot)
        self._add(slot, -1)
        self._places[slot] = None

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
        for (where, registry), sums in self._sums.items():
            if namespace in {None, where}:
                known = found.get(registry) or RegistryReliability(registry, 0, _UNWATCHED)
                for checked, counts in sums.items():
                    known = _with(known, counts, age=hour - checked)
                found[registry] = known
        return [found[registry] for registry in sorted(found)]

    def _add(self, slot: int, times: int) -> None:
        """Add what is kept of a slot to its registry's sums, or take it out of them."""
        place, hour = self._places[slot], self._hours[slot]
        if place is None:
            return
        hours = self._sums.setdefault(place, {})
        sums = hours.setdefault(hour, [0] * (1 + _WIDTH))
        sums[0] += times
        for at, count in enumerate(self._counts[slot * _WIDTH : (slot + 1) * _WIDTH], 1):
            sums[at] += times * count
        if not sums[0]:
            del hours[hour]
            if not hours:
                del self._sums[place]


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
