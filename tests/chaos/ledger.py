"""What the world outside did, as far as it was acknowledged: the yardstick of what must have become of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

__all__ = ["Build", "Edit", "Image", "Ledger", "Removal"]


@dataclass(frozen=True, slots=True)
class Build:
    """A build that completed, and whose completion the API server has acknowledged."""

    name: str
    uid: str
    digest: str
    completed: datetime


@dataclass(frozen=True, slots=True)
class Removal:
    """An entry that a person deleted; its end is in the story of the object."""

    uid: str
    asked: datetime


@dataclass(slots=True)
class Image:
    """One image: what was pushed under its tag, and who made it.

    Attributes
    ----------
    repository, tag
        Where it is.
    built
        Whether builds push it; otherwise somebody adds its entry by hand.
    opted_out
        Whether its builds say that they are not to be published.
    builds
        Oldest first.
    pushed
        Digests that the tag had since the newest build's push, that one included.
    """

    repository: str
    tag: str = "latest"
    built: bool = True
    opted_out: bool = False
    builds: list[Build] = field(default_factory=list)
    pushed: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """As people name it."""
        return f"quay.io/{self.repository}:{self.tag}"


@dataclass(frozen=True, slots=True)
class Edit:
    """What a person wrote into ``spec.tags``, and whether the API server has said that it took it."""

    number: int
    acknowledged: bool

    @property
    def tag(self) -> str:
        """The word that was written."""
        return f"edit-{self.number}"


@dataclass(slots=True)
class Ledger:
    """Everything that the load did.

    Attributes
    ----------
    images
        By their URL.
    edits
        By the entry's uid, oldest first.
    removals
        By the entry's uid.
    by_hand
        Entries that somebody added, by the image's URL: the name.
    checks
        Verifications that somebody asked for, by what came of it: a status, or the fault of the connection.
    """

    images: dict[str, Image] = field(default_factory=dict)
    edits: dict[str, list[Edit]] = field(default_factory=dict)
    removals: dict[str, Removal] = field(default_factory=dict)
    by_hand: dict[str, str] = field(default_factory=dict)
    checks: Counter[str] = field(default_factory=Counter)

    @property
    def completed(self) -> int:
        """How many builds completed."""
        return sum(len(image.builds) for image in self.images.values())
