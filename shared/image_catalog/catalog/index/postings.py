"""Which entries hold which words: a bitmap of slots for each word."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable

from pyroaring import BitMap

__all__ = ["Postings"]


class Postings:
    """Words, and the slots that hold each of them.

    Most words of a catalog are one entry's alone (digests, URLs, builds). For
    those the slot itself is kept: a bitmap of one costs 180 bytes.

    Parameters
    ----------
    listed
        What the words begin with that `near` knows; no word when empty.
    """

    def __init__(self, *, listed: str = "") -> None:
        self._held: dict[str, int | BitMap] = {}
        self._prefix = listed
        self._listed: list[str] = []

    def __len__(self) -> int:
        """Tell how many words are held by anyone."""
        return len(self._held)

    def add(self, words: Iterable[str], slot: int) -> None:
        """Remember that a slot holds these words, none of which it held before."""
        held = self._held
        for word in words:
            slots = held.get(word)
            if slots is None:
                held[word] = slot
                if self._prefix and word.startswith(self._prefix):
                    insort(self._listed, word)
            elif isinstance(slots, BitMap):
                slots.add(slot)
            else:
                held[word] = BitMap((slots, slot))

    def discard(self, words: Iterable[str], slot: int) -> None:
        """Forget that a slot holds these words, all of which it held."""
        held = self._held
        for word in words:
            slots = held[word]
            if isinstance(slots, BitMap):
                slots.discard(slot)
                if len(slots) == 1:
                    held[word] = slots[0]
            else:
                del held[word]
                if self._prefix and word.startswith(self._prefix):
                    del self._listed[bisect_left(self._listed, word)]

    def near(self, word: str, count: int) -> list[str]:
        """Return listed words that are held by anyone, half of them before a word in the alphabet and half after it.

        Parameters
        ----------
        word
            The word.
        count
            How many at most.
        """
        at = bisect_left(self._listed, word)
        first = max(0, min(at - count // 2, len(self._listed) - count))
        return self._listed[first : first + count]

    def first(self, word: str) -> int | None:
        """Return a slot that holds a word; `None` when none does."""
        slots = self._held.get(word)
        return slots[0] if isinstance(slots, BitMap) else slots

    def holders(self, words: Iterable[str]) -> BitMap:
        """Return the slots that hold every one of the words.

        Parameters
        ----------
        words
            One at least.

        Returns
        -------
        BitMap
            It may be the one that is kept here: to be read, never changed.
        """
        found: list[BitMap] = []
        for word in words:
            slots = self._held.get(word)
            if slots is None:
                return BitMap()
            found.append(slots if isinstance(slots, BitMap) else BitMap((slots,)))
        found.sort(key=len)
        matches = found[0]
        for slots in found[1:]:
            matches = matches & slots
            if not matches:
                break
        return matches
