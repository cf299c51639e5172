"""The one image for a board, and why each other one lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, takewhile

from image_catalog.catalog.resolution.board import Board
from image_catalog.catalog.resolution.candidate import Candidate, PlatformImage
from image_catalog.catalog.resolution.platforms import fitting_platforms
from image_catalog.catalog.resolution.rules import Loss, Recalls, is_as_asked, is_recent, is_usable, loss_of
from image_catalog.catalog.resolution.wish import Wish
from image_catalog.models import format_time
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
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
    newest_first = takewhile(lambda candidate: is_recent(candidate, wish), board.as_asked(available=True))
    best = next((each for each in newest_first if is_usable(each, wish, recalls)), None)
    rejected = tuple(
        Rejected(candidate=each, loss=loss_of(each, wish, recalls) or _outdone(each, best))
        for each in islice((each for each in _nearest_first(wish, board) if not _same(each, best)), limit)
    )
    return Resolution(
        chosen=None if best is None else Chosen(candidate=best, platform=_platform(best, wish)),
        rejected=rejected,
        remaining=board.count() - len(rejected) - (best is not None),
    )


def _nearest_first(wish: Wish, board: Board) -> Iterator[Candidate]:
    yield from board.as_asked(available=False)
    yield from (each for each in board.every() if not is_as_asked(each, wish))


def _platform(candidate: Candidate, wish: Wish) -> PlatformImage:
    (platform,) = fitting_platforms(candidate, wish.architecture)
    return platform


def _same(candidate: Candidate, other: Candidate | None) -> bool:
    return other is not None and (candidate.namespace, candidate.name) == (other.namespace, other.name)


def _outdone(candidate: Candidate, best: Candidate | None) -> Loss:
    """Return why an image that fits is not the one: another stands before it."""
    if best is None:  # pragma: no cover - whatever fits is chosen from
        raise AssertionError("an image fits, and none was chosen")
    by = f"{best.namespace}/{best.name}"
    if candidate.rank == best.rank:
        message = f"{by} was published and built at the same time, and its name comes first"
        return Loss(ResolutionReason.TIE_BREAK, message)
    when = format_time(best.published_at) if best.published_at else "later"
    if candidate.published_at == best.published_at:
        return Loss(ResolutionReason.SUPERSEDED, f"{by} was published in the same second, {when}, and built later")
    return Loss(ResolutionReason.SUPERSEDED, f"{by} was published later, {when}")
