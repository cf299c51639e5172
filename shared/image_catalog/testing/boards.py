"""Candidates for a board from a list: slow and plain, to compare the index's answers with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from image_catalog.catalog.resolution import Candidate, Wish
from image_catalog.catalog.resolution.rules import is_as_asked
from image_catalog.models import Phase

__all__ = ["ListedBoard"]


class ListedBoard:
    """Candidates that are at hand.

    Parameters
    ----------
    candidates
        In any order; those for another board, or of another namespace, are passed over.
    wish
        What is wanted.
    """

    def __init__(self, candidates: Iterable[Candidate], wish: Wish) -> None:
        here = (each for each in candidates if wish.target in each.targets and wish.namespace in {None, each.namespace})
        self._candidates = sorted(here, key=lambda candidate: candidate.order)
        self._wish = wish

    def count(self) -> int:
        """Tell how many there are."""
        return len(self._candidates)

    def every(self) -> Iterator[Candidate]:
        """Yield all of them."""
        return iter(self._candidates)

    def as_asked(self, *, usable: bool) -> Iterator[Candidate]:
        """Yield those of the kind that is wanted."""
        kind = (each for each in self._candidates if is_as_asked(each, self._wish))
        return (each for each in kind if not usable or self._may_be_usable(each))

    def _may_be_usable(self, candidate: Candidate) -> bool:
        verified = not self._wish.verified_only or self._wish.target in candidate.verified
        return verified and candidate.standing.phase == Phase.AVAILABLE
