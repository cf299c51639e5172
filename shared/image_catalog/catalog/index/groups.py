"""Versions of one another, and which is the newest of them."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pyroaring import BitMap

from image_catalog.catalog.index.ranks import Rank
from image_catalog.catalog.index.values import GroupKey

__all__ = ["Groups", "Wanted"]

_View = tuple[str | None, str | None]
_SCHEDULES: _View = ("", "")
"""The view of the groups that are schedules' alone; no architecture or target is empty."""


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
            self.architecture in {None, key.architecture} and self.target in {None, key.target}
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
            self.views = frozenset({(None, None), (architecture, None), (None, target), (architecture, target)})
        else:
            self.views, self.slots = frozenset({(None, None), _SCHEDULES}), BitMap()

    def newest(self, phase: str | None) -> int | None:
        """Return the slot of the newest with a phase."""
        if phase is not None:
            ranks = self.ranks.get(phase)
            return ranks[0][3] if ranks else None
        return min(ranks[0] for ranks in self.ranks.values())[3] if self.ranks else None

    def newest_among(self, matches: BitMap, phase: str | None) -> int | None:
        """Return the slot of the newest that matches; all that match are in the phase."""
        head = self.heads.get(phase)
        if head is None or head in matches:
            return head
        lists: Iterable[list[Rank]] = self.ranks.values() if phase is None else (self.ranks[phase],)
        first = [rank for ranks in lists for rank in [_first(ranks, matches)] if rank is not None]
        return min(first)[3] if first else None


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

    def newest(self, matches: BitMap | None, wanted: Wanted, *, by_group: bool) -> BitMap:
        """Return the newest of every group among what matches.

        Parameters
        ----------
        matches
            The slots that count, all in the wanted phase; `None` for all.
        wanted
            The groups that count.
        by_group
            Whether of a group that counts and is no schedule's either every
            member in the wanted phase matches, or none: then its newest is
            known. Otherwise it costs the lesser of the matches and the groups.
        """
        if matches is None:
            return self._at_hand(wanted.phase, (None, None))
        if not by_group:
            return self._search(matches, wanted)
        found = self._at_hand(wanted.phase, (wanted.architecture, wanted.target)) & matches
        found |= self._at_hand(wanted.phase, _SCHEDULES) & matches
        left = matches & self._scheduled
        done = [group.slots for slot in found & left for group in self._groups_of(slot) if group.slots is not None]
        left -= BitMap.union(*done) if done else BitMap()
        return found | self._search(left, wanted) if left else found

    def _search(self, matches: BitMap, wanted: Wanted) -> BitMap:
        if len(matches) > 2 * len(self._groups):
            groups: Iterable[_Group] = self._groups.values()
        else:
            groups = {group for slot in matches for group in self._groups_of(slot)}
        found = [group.newest_among(matches, wanted.phase) for group in groups if wanted.counts(group.key)]
        return BitMap([slot for slot in found if slot is not None])

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


def _first(ranks: list[Rank], matches: BitMap) -> Rank | None:
    return next((rank for rank in ranks if rank[3] in matches), None)
