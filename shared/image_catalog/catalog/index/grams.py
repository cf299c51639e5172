"""Substring search: every run of up to three characters of a text is a word that it is found by."""

from __future__ import annotations

from collections.abc import Sequence
from operator import add

from pyroaring import BitMap

from image_catalog.catalog.index.postings import Postings

__all__ = ["Grams"]

_LONGEST = 3


class Grams:
    """Texts by slot, found by any part of them.

    A sought text of up to three characters is a word itself. A longer one
    is looked for in the texts that hold all its runs of three.
    """

    def __init__(self) -> None:
        self._postings = Postings()

    def __len__(self) -> int:
        """Tell how many runs of characters are held by any text."""
        return len(self._postings)

    def add(self, text: str, slot: int) -> None:
        """Remember a slot's text."""
        self._postings.add(_grams(text), slot)

    def discard(self, text: str, slot: int) -> None:
        """Forget a slot's text, which it had."""
        self._postings.discard(_grams(text), slot)

    def replace(self, before: str, after: str, slot: int) -> None:
        """Remember another text for a slot."""
        if before != after:
            old, new = _grams(before), _grams(after)
            self._postings.discard(old - new, slot)
            self._postings.add(new - old, slot)

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
        if len(sought) <= _LONGEST:
            found = self._postings.holders((sought,))
            return found if among is None else found & among
        found = self._postings.holders({sought[at : at + _LONGEST] for at in range(len(sought) - _LONGEST + 1)})
        if among is not None:
            found = found & among
        return BitMap([slot for slot in found if sought in texts[slot]])


def _grams(text: str) -> set[str]:
    twos = list(map(add, text, text[1:]))
    return {*text, *twos, *map(add, twos, text[2:])}
