"""The answer to "which image do I flash?": for a board exactly one, and for each other one the rule that it lost by.

`wish`
    what is wanted
`candidate` and `board`
    what it is chosen from
`rules`
    what passes an image over, in which order
`platforms`
    which of an index's images a board is given
`choice`
    the one that is left
`nearby`
    boards that may have been meant
"""

from image_catalog.catalog.resolution.board import (
    Board,
    CandidateCache,
    IndexedBoard,
    IndexedRecalls,
)
from image_catalog.catalog.resolution.candidate import Candidate, PlatformImage, RecallNote, Standing
from image_catalog.catalog.resolution.choice import Chosen, Rejected, Resolution, resolve
from image_catalog.catalog.resolution.nearby import nearby_boards
from image_catalog.catalog.resolution.rules import RULES, Judge, Loss, Recalls, Rule
from image_catalog.catalog.resolution.wish import Wish

__all__ = [
    "RULES",
    "Board",
    "Candidate",
    "CandidateCache",
    "Chosen",
    "IndexedBoard",
    "IndexedRecalls",
    "Judge",
    "Loss",
    "PlatformImage",
    "RecallNote",
    "Recalls",
    "Rejected",
    "Resolution",
    "Rule",
    "Standing",
    "Wish",
    "nearby_boards",
    "resolve",
]
