"""Boards that somebody may have meant who asked for one that no image is for."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import Final

from image_catalog.catalog.index import Index, Query
from image_catalog.catalog.resolution.wish import Wish

__all__ = ["nearby_boards"]

_NAMED: Final = 5
"""Boards that are named."""

_LOOKED_AT: Final = 128
"""Boards that are compared, of more than anybody has: what a stranger misspells must not cost the whole catalog."""


def nearby_boards(index: Index, wish: Wish) -> tuple[str, ...]:
    """Return the boards whose names are most like the wanted one, of those that images are for where is looked.

    Parameters
    ----------
    index
        Every entry.
    wish
        What is wanted.

    Returns
    -------
    tuple of str
        The one that is most like it first; of others alike, as the alphabet has them.
    """
    # Only of the namespace that was asked for: who may look there need not know what others have.
    known = [
        name
        for name in index.targets_near(wish.target, _LOOKED_AT)
        if index.find(Query(namespace=wish.namespace, target=name, limit=1)).total
    ]
    wanted = SequenceMatcher(b=wish.target.casefold(), autojunk=False)

    def unlike(name: str) -> float:
        wanted.set_seq1(name.casefold())
        return 1 - wanted.ratio()

    return tuple(sorted(known, key=lambda name: (unlike(name), name))[:_NAMED])
