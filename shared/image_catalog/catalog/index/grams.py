"""Substring search: every run of up to three characters of a text is a word that it is found by."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from operator import add

from pyroaring import BitMap

__all__ = ["Grams"]

_LONGEST = 3

_GATHERED = 256
"""Texts that are gathered: to settle them takes some milliseconds."""


class Grams:
    """Texts by slot, found by any part of them.

    A sought text of up to three characters is a word itself. A longer one
    is looked for in the texts that hold all its runs of three.

    A text has a hundred words and more, whose bitmaps lie far apart in memory:
    those of new texts are gathered for a while, and each bitmap is then
    touched once for all of them.
    """

    def __init__(self) -> None:
        self._slots: dict[str, BitMap] = {}
        self._gathered: list[tuple[str, int]] = []

    def __len__(self) -> int:
        """Tell how many runs of characters are held by any text."""
        self._settle()
        return len(self._slots)

    def add(self, text: str, slot: int) -> None:
        """Remember a slot's text."""
        self._gathered.append((text, slot))
        if len(self._gathered) >= _GATHERED:
            self._settle()

    def discard(self, text: str, slot: int) -> None:
        """Forget a slot's text, which it had."""
        self._settle()
        self._discard(_grams(text), slot)

    def replace(self, before: str, after: str, slot: int) -> None:
        """Remember another text for a slot."""
        if before != after:
            self._settle()
            old, new = _grams(before), _grams(after)
            self._discard(old - new, slot)
            self._add(dict.fromkeys(new - old, (slot,)))

    def search(self, sought: str, texts: Sequence[str], *, among: BitMap | None) -> BitMap:
        """Return the slots whose text has the sought one in it.

        Parameters
        ----------
        sought
            Not empty; in the case of the texts.
        texts
            The texts by slot, to look into what is left in the end.
        among
            The only slots that count; `None` for all.
        """
        self._settle()
        if len(sought) <= _LONGEST:
            found = self._holders({sought})
            return found if among is None else found & among
        found = self._holders({sought[at : at + _LONGEST] for at in range(len(sought) - _LONGEST + 1)})
        if among is not None:
            found = found & among
        return BitMap([slot for slot in found if sought in texts[slot]])

    def _settle(self) -> None:
        """Put into the bitmaps what was gathered."""
        if self._gathered:
            gathered, self._gathered = self._gathered, []
            added: defaultdict[str, list[int]] = defaultdict(list)
            for text, slot in gathered:
                for gram in _grams(text):
                    added[gram].append(slot)
            self._add(added)

    def _add(self, added: Mapping[str, Sequence[int]]) -> None:
        known = self._slots
        for gram, slots in added.items():
            try:
                known[gram].update(slots)
            except KeyError:
                known[gram] = BitMap(slots)

    def _discard(self, grams: set[str], slot: int) -> None:
        for gram in grams:
            slots = self._slots[gram]
            slots.discard(slot)
            if not slots:
                del self._slots[gram]

    def _holders(self, grams: set[str]) -> BitMap:
        found = sorted((self._slots.get(gram) or BitMap() for gram in grams), key=len)
        return BitMap.intersection(*found)


def _grams(text: str) -> set[str]:
    twos = list(map(add, text, text[1:]))
    return {*text, *twos, *map(add, twos, text[2:])}
