"""The one image for a board, and why each other one lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import NamedTuple

from image_catalog.catalog.resolution.board import Board
from image_catalog.catalog.resolution.candidate import Candidate, PlatformImage
from image_catalog.catalog.resolution.platforms import fitting_platforms
from image_catalog.catalog.resolution.rules import Judge, Loss, Recalls, is_as_asked, is_recent
from image_catalog.catalog.resolution.wish import Wish
from image_catalog.models.reasons import ResolutionReason

__all__ = ["Chosen", "Rejected", "Resolution", "resolve"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The image that is to be flashed.

    Attributes
    ----------
    candidate
        Its entry.
    platform
        Which of the entry's images.
    """

    candidate: Candidate
    platform: PlatformImage

    @property
    def reference(self) -> str:
        """Where exactly this content is had, whatever becomes of tags."""
        return f"{self.candidate.repository}@{self.platform.digest}"

    @property
    def index_digest(self) -> str | None:
        """Digest of the index that the platform is taken from; `None` when the reference is of no index."""
        return self.candidate.digest if self.candidate.is_index else None


class Rejected(NamedTuple):
    """An image that is not the one, and the one rule that it lost by."""

    candidate: Candidate
    loss: Loss


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What a wish came to.

    Attributes
    ----------
    chosen
        `None` when nothing fits.
    rejected
        Those of the wanted kind first, and among them, as among the others, the last published.
    remaining
        How many more lost.
    """

    chosen: Chosen | None
    rejected: tuple[Rejected, ...]
    remaining: int


def resolve(wish: Wish, board: Board, recalls: Recalls, *, limit: int) -> Resolution:
    """Choose the image for a board: of those that break no rule the last published.

    Parameters
    ----------
    wish
        What is wanted.
    board
        Every entry for the board.
    recalls
        What other entries say is recalled.
    limit
        How many of those that lost are told of.
    """
    judge = Judge(wish, recalls)
    newest_first = takewhile(lambda candidate: is_recent(candidate, wish), board.as_asked(usable=True))
    best = next(filter(judge.is_usable, newest_first), None)
    others = (each for each in _nearest_first(wish, board) if not _same(each, best))
    outdone = _Outdone(best)
    rejected = tuple(
        [Rejected(candidate=each, loss=judge.loss_of(each) or outdone.loss_of(each)) for each in islice(others, limit)]
    )
    return Resolution(
        chosen=None if best is None else Chosen(candidate=best, platform=_platform(best, wish)),
        rejected=rejected,
        remaining=board.count() - len(rejected) - (best is not None),
    )


def _nearest_first(wish: Wish, board: Board) -> Iterator[Candidate]:
    yield from board.as_asked(usable=False)
    yield from (each for each in board.every() if not is_as_asked(each, wish))


def _platform(candidate: Candidate, wish: Wish) -> PlatformImage:
    (platform,) = fitting_platforms(candidate, wish.architecture)
    return platform


def _same(candidate: Candidate, best: Candidate | None) -> bool:
    return best is not None and candidate.name == best.name and candidate.namespace == best.namespace


class _Outdone:
    """Says why images that fit are not the one: another stands before them.

    Parameters
    ----------
    best
        That one.
    """

    def __init__(self, best: Candidate | None) -> None:
        self._best = best
        if best is not None:
            by, when = f"{best.namespace}/{best.name}", best.published or "later"
            reason = ResolutionReason.SUPERSEDED
            self._later = Loss(reason, f"{by} was published later, {when}")
            self._built_later = Loss(reason, f"{by} was published in the same second, {when}, and built later")
            self._equal = Loss(
                ResolutionReason.TIE_BREAK,
                f"{by} was published and built at the same time, and comes first by namespace and name",
            )

    def loss_of(self, candidate: Candidate) -> Loss:
        """Return why an image that fits is not the one."""
        if self._best is None:  # pragma: no cover - whatever fits is chosen from
            raise AssertionError("an image fits, and none was chosen")
        if candidate.rank == self._best.rank:
            return self._equal
        return self._built_later if candidate.published_at == self._best.published_at else self._later
