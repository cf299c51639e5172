"""What a registry says was pushed, whoever says it."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, Final, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["MAX_PUSHES", "Mark", "Notification", "Push", "Repository", "SentModel", "Tag"]

MAX_PUSHES: Final = 1000
"""Most pushes, or tags, of one notification; distribution sends one to a request, Harbor and Quay a handful."""

Repository: TypeAlias = Annotated[str, Field(min_length=1, max_length=512)]
"""A repository as a registry writes it; what no reference can name is found by nobody."""
Tag: TypeAlias = Annotated[str, Field(max_length=256)]
"""A tag, or a digest in a tag's place."""
Mark: TypeAlias = Annotated[str, Field(max_length=256)]
"""What a sender tells two of its events apart by."""


@dataclass(frozen=True, slots=True)
class Push:
    """A place of the registry that has other content now, or none any more.

    Attributes
    ----------
    repository
        The repository, without the registry.
    tag, digest
        What was pushed or deleted there; all of the repository without either.
    mark
        What the sender tells this push from every other by: a second delivery
        has it too. `None` for a sender that writes two pushes alike.
    """

    repository: str
    tag: str | None = None
    digest: str | None = None
    mark: str | None = None


class SentModel(BaseModel):
    """Base of what registries send: of their own growing formats only what is needed is read."""

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)


class Notification(SentModel):
    """What the body of a sender's request is read as."""

    @abstractmethod
    def pushes(self) -> list[Push]:
        """Return what was pushed and deleted."""
