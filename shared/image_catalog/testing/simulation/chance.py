"""One source of chance, asked by name: what is drawn for one thing does not depend on what was drawn before.

A plan that is shrunk loses some of its actions. Were numbers drawn one after
the other, everything after the first loss would run differently, and the
failure with it.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from typing import TypeVar

__all__ = ["Chance"]

T = TypeVar("T")

_RANGE = float(2**64)


class Chance:
    """Draws numbers for names.

    Parameters
    ----------
    seed
        Decides everything.
    """

    def __init__(self, seed: int) -> None:
        self._key = seed.to_bytes(16, "big", signed=True)
        self._keyed = hashlib.blake2b(digest_size=8, key=self._key)

    def draw(self, *name: object) -> float:
        """Return a number from 0 up to, but not including, 1, which is always the same for a name."""
        drawn = self._keyed.copy()
        drawn.update("\0".join(map(str, name)).encode())
        return int.from_bytes(drawn.digest(), "big") / _RANGE

    def between(self, low: float, high: float, *name: object) -> float:
        """Return a number of a range for a name."""
        return low + (high - low) * self.draw(*name)

    def choose(self, items: Sequence[T], *name: object) -> T:
        """Return one of some items for a name."""
        return items[int(self.draw(*name) * len(items))]

    def random(self, *name: object) -> random.Random:
        """Return a generator of its own for a name."""
        return random.Random(f"{self._key.hex()} {' '.join(map(str, name))}")  # noqa: S311 - repeats a run, guards nothing
