"""Recalls, as an entry's status keeps them: contents that must not be used any more, and those that may be again."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from image_catalog.models.kubernetes import KubernetesModel, Time
from image_catalog.models.wording import Digest

__all__ = ["MAX_PARTS", "MAX_WHY", "Recall", "Restoration"]

MAX_PARTS = 128
"""Platforms of an index that are recalled with it; no check reads a wider one."""

MAX_WHY = 1024
"""Characters of a reason: what does not fit belongs into a report that it names."""

_Why = Annotated[str, Field(min_length=1, max_length=MAX_WHY)]


class Recall(KubernetesModel):
    """Somebody said that a content must not be used any more."""

    id: str
    """Id of the recall: every entry that it holds for keeps it under the same."""
    digest: Digest
    """The content: of a reference, of one of its platforms, or of a file."""
    parts: Annotated[list[Digest], Field(max_length=MAX_PARTS)] = []
    """The platforms of a recalled index: an entry of one of them alone has what was recalled, too."""
    reason: _Why
    """Why, in the words of who recalled it."""
    namespace: str
    """Namespace in which it was recalled; it holds there, and for what was promoted from there."""
    name: str
    """Entry at which it was recalled."""
    uid: str
    """Uid of that entry: another one of its name does not take the recall back."""
    recalled_by: str
    """Who recalled it."""
    recalled_at: Time
    """When."""
    reworded_by: str | None = None
    """Who gave it another reason last; absent for the first one."""
    reworded_at: Time | None = None
    """When."""
    told_at: Time | None = None
    """When the broker took the event that tells of it at this entry; absent until then."""

    @property
    def contents(self) -> tuple[str, ...]:
        """Every digest that must not be used: the content's own, and those of its parts."""
        return (self.digest, *self.parts)


class Restoration(KubernetesModel):
    """A recall was taken back."""

    recall: Recall
    """The recall, as it was."""
    reason: _Why
    """Why, in the words of who restored the content."""
    namespace: str
    """Namespace in which it was taken back; that holds there, and for what was promoted from there."""
    name: str
    """Entry at which it was taken back."""
    restored_by: str
    """Who restored it."""
    restored_at: Time
    """When."""
    told_at: Time | None = None
    """When the broker took the event that tells of it at this entry; absent until then."""
