"""Versions of one another, and which is the newest of them."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from enum import Enum, auto
from typing import NamedTuple

from pyroaring import BitMap

from image_catalog.catalog.index.ranks import Rank
from image_catalog.catalog.index.values import GroupKey

__all__ = ["Alike", "Groups", "Wanted"]

_View = tuple[str | None, str | None]
_SCHEDULES: _View = ("", "")
"""The view of the groups that are schedules' alone; no architecture or target is empty."""
_ALL: _View = (None, None)
"""The view of all groups."""


class Alike(Enum):
    """In which groups the members in one phase are alike to a query: all of them match, or none."""

    EVERYWHERE = auto()
    BUT_IN_SCHEDULES = auto()
    NOWHERE = auto()


class Wanted(NamedTuple):
    """Which groups count, and which of their members.

    Attributes
    ----------
    phase
        Only members in this phase; `None` for all.
    architecture, target
        Only groups of these; `None` for all. A schedule's group is of every one.
    """

    phase: str | None
    architecture: str | None
    target: str | None

    def counts(self, key: GroupKey) -> bool:
        """Tell whether a group counts."""
        return key.schedule is not None or (
            (self.architecture is None or self.architecture == key.architecture)
            and (self.target is None or self.target == key.target)
        )


class _Group:
    """The members of a group by phase, newest first, and the newest of each phase and of all (`None`)."""

    __slots__ = ("heads", "key", "ranks", "slots", "views")

    def __init__(self, key: GroupKey) -> None:
        self.key = key
        self.ranks: dict[str, list[Rank]] = {}
        self.heads: dict[str | None, int] = {}
        self.slots: BitMap | None = None
        self.views: frozenset[_View]
        if key.schedule is None:
            architecture, target = key.architecture, key.target
            self.views = frozenset({_ALL, (architecture, None), (None, target), (architecture, target)})
        else:
            self.views, self.slots = frozenset({_ALL, _SCHEDULES}), BitMap()

    def newest(self, phase: str | None) -> int | None:
        """Return the slot of the newest with a phase."""
        if phase is not None:
            ranks = self.ranks.get(phase)
            return ranks[0][3] if ranks else None
        return min(ranks[0] for ranks in self.ranks.values())[3] if self.ranks else None

    def newest_among(self, matches: BitMap, phase: str | None) -> Rank | None:
        """Return the newest that matches; all that match are in the phase."""
        lists: Iterable[list[Rank]] = self.ranks.values() if phase is None else (self.ranks.get(phase, []),)
        newest: Rank | None = None
        for ranks in lists:
            for rank in ranks:
                if rank[3] in matches:
                    newest = rank if newest is None else min(rank, newest)
                    break
        return newest


class _Member(NamedTuple):
    """Where a slot is a member."""

    rank: Rank
    phase: str
    groups: tuple[_Group, ...]


class Groups:
    """Every group of the catalog.

    The newest of each group is kept at hand, of all its members and of those
    in each phase, by architecture and target: what lists ask for most is an
    intersection of bitmaps.
    """

    def __init__(self) -> None:
        self._groups: dict[GroupKey, _Group] = {}
        self._of: list[_Member | None] = []
        self._heads: dict[tuple[str | None, _View], BitMap] = {}
        self._scheduled = BitMap()

    def __len__(self) -> int:
        """Tell how many groups have a member."""
        return len(self._groups)

    def put(self, rank: Rank, phase: str, keys: Sequence[GroupKey]) -> None:
        """Make a slot a member of its groups; it leaves those that it was in. Slots are taken from 0, without a gap."""
        slot = rank[3]
        if slot == len(self._of):
            self._of.append(None)
        known = self._of[slot]
        if known is not None:
            if known.rank == rank and known.phase == phase and [group.key for group in known.groups] == [*keys]:
                return
            self.remove(slot)
        member = self._of[slot] = _Member(rank, phase, tuple([self._group(key) for key in keys]))
        for group in member.groups:
            ranks = group.ranks.setdefault(phase, [])
            insort(ranks, rank)
            if group.slots is not None:
                group.slots.add(slot)
                self._scheduled.add(slot)
            if ranks[0] is rank:
                self._renew(group, phase)

    def remove(self, slot: int) -> None:
        """Take a slot out of its groups."""
        member, self._of[slot] = self._of[slot], None
        if member is None:
            return
        self._scheduled.discard(slot)
        for group in member.groups:
            ranks = group.ranks[member.phase]
            at = bisect_left(ranks, member.rank)
            del ranks[at]
            if group.slots is not None:
                group.slots.discard(slot)
            if not ranks:
                del group.ranks[member.phase]
            if at == 0:
                self._renew(group, member.phase)
            if not group.ranks:
                del self._groups[group.key]

    def newest(self, matches: BitMap | None, wanted: Wanted, *, alike: Alike) -> BitMap:
        """Return the newest of every group among what matches.

        Parameters
        ----------
        matches
            The slots that count, all in the wanted phase; `None` for all.
        wanted
            The groups that count.
        alike
            In which groups either every member in the wanted phase matches or
            none does. There the newest is known; the others are looked into
            where the one that is known does not match.
        """
        if matches is None:
            return self._at_hand(wanted.phase, _ALL)
        view = (wanted.architecture, wanted.target)
        known = self._at_hand(wanted.phase, view)
        if view != _ALL:
            known = known | self._at_hand(wanted.phase, _SCHEDULES)
        found = known & matches
        if alike is Alike.EVERYWHERE:
            return found
        passed = known - matches
        if alike is Alike.BUT_IN_SCHEDULES:
            matches, passed = matches & self._scheduled, passed & self._scheduled
            done = [group.slots for slot in found & matches for group in self._groups_of(slot) if group.slots]
            matches -= BitMap.union(*done) if done else BitMap()
        return found | self._search(matches, passed, wanted) if matches and passed else found

    def _search(self, matches: BitMap, passed: BitMap, wanted: Wanted) -> BitMap:
        """Return the newest that match in the groups whose newest, which are passed over, do not."""
        phase = wanted.phase
        groups = {
            group
            for slot in (matches if len(matches) < len(passed) else passed)
            for group in self._groups_of(slot)
            if group.heads.get(phase, -1) in passed and wanted.counts(group.key)
        }
        found = [group.newest_among(matches, phase) for group in groups]
        return BitMap([rank[3] for rank in found if rank is not None])

    def _at_hand(self, phase: str | None, view: _View) -> BitMap:
        return self._heads.get((phase, view)) or BitMap()

    def _groups_of(self, slot: int) -> tuple[_Group, ...]:
        member = self._of[slot]
        return member.groups if member is not None else ()

    def _group(self, key: GroupKey) -> _Group:
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group(key)
        return group

    def _renew(self, group: _Group, phase: str) -> None:
        """Keep the newest of a group at hand, after the newest of that phase has come or gone."""
        for kept in (phase, None):
            before, newest = group.heads.pop(kept, None), group.newest(kept)
            if newest is not None:
                group.heads[kept] = newest
            if newest == before:
                continue
            for view in group.views:
                heads = self._heads.setdefault((kept, view), BitMap())
                if newest is not None:
                    heads.add(newest)
                if before is not None and not self._leads(before, kept, view):
                    heads.discard(before)

    def _leads(self, slot: int, phase: str | None, view: _View) -> bool:
        """Tell whether a slot is the newest of any of its groups in a view."""
        return any(group.heads.get(phase) == slot and view in group.views for group in self._groups_of(slot))
