"""What builds, registries and people do in a simulated world, in good faith."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

__all__ = [
    "Action",
    "Ambush",
    "BuildCompleted",
    "BuildFailed",
    "BuildOptedOut",
    "BuildRemoved",
    "BuildStarted",
    "CheckRequested",
    "Crowd",
    "Deed",
    "EntryApplied",
    "EntryEdited",
    "EntryRemoved",
    "ManifestRemoved",
    "PoisonSent",
    "PublicationRequested",
    "Pushed",
    "TagRemoved",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """Something that is done to a world."""

    @property
    def fault(self) -> str | None:
        """Which kind of fault this is; `None` for what people and builds do in good faith."""
        return None

    def simpler(self) -> Iterator[Action]:
        """Yield what this might be replaced by in a shorter story, the simplest first."""
        yield from ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed(Action):
    """Something that happens at a time.

    Attributes
    ----------
    at
        Seconds since the world began.
    """

    at: float

    def simpler(self) -> Iterator[Action]:
        """Yield the same at rounder times."""
        for step in (60.0, 1.0):
            rounded = float(round(self.at / step) * step)
            if rounded != self.at:
                yield replace(self, at=rounded)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ambush(Action):
    """Something that waits for its moment."""


# What registries are told, and what builds do.


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed(Deed):
    """Somebody pushes content under an image's tag, which is moved where it was somewhere else."""

    image: int
    content: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TagRemoved(Deed):
    """Somebody removes an image's tag; its content stays."""

    image: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestRemoved(Deed):
    """A registry removes some content with every tag that names it, as its clean-up does."""

    image: int
    content: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildStarted(Deed):
    """A build of an image begins; one that exists begins anew.

    ``entry`` is the catalog name that it asks for, empty for none; ``publish`` is
    what its annotation of that name says.
    """

    namespace: str
    build: str
    image: int
    entry: str = ""
    publish: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildCompleted(Deed):
    """A build pushes its content and is done; it says that it was so many seconds ago."""

    namespace: str
    build: str
    content: int
    ago: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildFailed(Deed):
    """A build fails."""

    namespace: str
    build: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptedOut(Deed):
    """Somebody annotates a build, which is not to be published (any more)."""

    namespace: str
    build: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRemoved(Deed):
    """The build operator removes an old build."""

    namespace: str
    build: str


# What people do to entries.


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryApplied(Deed):
    """Somebody applies an entry's manifest, as ``kubectl apply`` does; content -1 pins nothing."""

    namespace: str
    name: str
    image: int
    interval: str = "30m"
    content: int = -1
    policy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryEdited(Deed):
    """Somebody changes one field of an image's entry.

    ``field`` is ``interval``, ``tags``, ``metadata``, ``policy``, ``label``,
    ``annotation``, ``pin`` (to the content whose number is the value), ``unpin``,
    ``image`` (its number) or ``blobs``.
    """

    namespace: str
    image: int
    field: str
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryRemoved(Deed):
    """Somebody deletes an image's entry."""

    namespace: str
    image: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicationRequested(Deed):
    """Somebody asks at the broker's ingress that an image be published."""

    namespace: str
    image: int
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd(Deed):
    """Many ask for one image at once."""

    namespace: str
    image: int
    count: int

    def simpler(self) -> Iterator[Action]:
        """Yield smaller crowds first."""
        for count in (2, 3, self.count // 2):
            if count < self.count:
                yield replace(self, count=count)
        yield from super(Crowd, self).simpler()  # slots make a new class, which bare super() does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class PoisonSent(Deed):
    """Somebody sends the broker an event that no function can take: its data is not what its type promises."""

    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRequested(Deed):
    """Somebody asks at the broker's ingress that an image's entry be checked now."""

    namespace: str
    image: int
