"""Versions of one another, and which is the newest of them."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from typing import NamedTuple

from pyroaring import BitMap

from image_catalog.catalog.index.ranks import Rank
from image_catalog.catalog.index.values import GroupKey

__all__ = ["Groups"]

_ANY = ""
"""Stands for every phase."""


class _Group:
    """The members of a group by phase, newest first, and the newest of each phase and of all."""

    __slots__ = ("heads", "key", "ranks")

    def __init__(self, key: GroupKey) -> None:
        self.key = key
        self.ranks: dict[str, list[Rank]] = {}
        self.heads: dict[str, int] = {}

    def newest(self, phase: str) -> int | None:
        """Return the slot of the newest with a phase."""
        if phase != _ANY:
            ranks = self.ranks.get(phase)
            return ranks[0][3] if ranks else None
        return min(ranks[0] for ranks in self.ranks.values())[3] if self.ranks else None

    def newest_among(self, matches: BitMap) -> int | None:
        """Return the slot of the newest that matches."""
        first = [
            rank
            for ranks in self.ranks.values()
            if (rank := next((rank for rank in ranks if rank[3] in matches), None)) is not None
        ]
        return min(first)[3] if first else None


class _Member(NamedTuple):
    """Where a slot is a member."""

    rank: Rank
    phase: str
    groups: tuple[_Group, ...]


class Groups:
    """Every group of the catalog.

    The newest of each group, and the newest in each phase, are kept at hand:
    that is what lists ask for when nobody says otherwise.
    """

    def __init__(self) -> None:
        self._groups: dict[GroupKey, _Group] = {}
        self._of: list[_Member | None] = []
        self._heads: dict[str, BitMap] = {}

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
            insort(group.ranks.setdefault(phase, []), rank)
            self._renew(group, phase)

    def remove(self, slot: int) -> None:
        """Take a slot out of its groups."""
        member, self._of[slot] = self._of[slot], None
        if member is None:
            return
        for group in member.groups:
            ranks = group.ranks[member.phase]
            del ranks[bisect_left(ranks, member.rank)]
            if not ranks:
                del group.ranks[member.phase]
            self._renew(group, member.phase)
            if not group.ranks:
                del self._groups[group.key]

    def heads(self, phase: str | None) -> BitMap:
        """Return the newest of every group, among all or among those of one phase; to be read, never changed."""
        return self._heads.get(phase or _ANY, BitMap())

    def newest(self, matches: BitMap, *, architecture: str | None, target: str | None) -> BitMap:
        """Return the newest of every group among what matches.

        It costs the lesser of the matches and the groups.

        Parameters
        ----------
        matches
            The slots that count.
        architecture, target
            Only the groups of these; `None` for all. A group of a schedule is of every one.
        """

        def counts(key: GroupKey) -> bool:
            return key.schedule is not None or (
                (architecture is None or key.architecture == architecture) and (target is None or key.target == target)
            )

        if len(matches) > 2 * len(self._groups):
            found = (group.newest_among(matches) for key, group in self._groups.items() if counts(key))
        else:
            touched = {group for slot in matches for group in self._groups_of(slot) if counts(group.key)}
            found = (group.newest_among(matches) for group in touched)
        return BitMap([slot for slot in found if slot is not None])

    def _groups_of(self, slot: int) -> tuple[_Group, ...]:
        member = self._of[slot]
        return member.groups if member is not None else ()

    def _group(self, key: GroupKey) -> _Group:
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group(key)
        return group

    def _renew(self, group: _Group, phase: str) -> None:
        """Keep the newest of a group at hand, after a member of that phase has come or gone."""
        for kept in (phase, _ANY):
            before, newest = group.heads.get(kept), group.newest(kept)
            if newest == before:
                continue
            heads = self._heads.setdefault(kept, BitMap())
            if newest is None:
                del group.heads[kept]
            else:
                group.heads[kept] = newest
                heads.add(newest)
            # It may be the newest of another of its groups still.
            if before is not None and all(other.heads.get(kept) != before for other in self._groups_of(before)):
                heads.discard(before)
