"""Recalls, as an entry's status keeps them: contents that must not be used any more."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from image_catalog.models.kubernetes import KubernetesModel, Time
from image_catalog.models.wording import Digest

__all__ = ["Recall"]


class Recall(KubernetesModel):
    """Somebody said that a content must not be used any more."""

    digest: Digest
    """The content: of a reference, or of one of its platforms."""
    reason: Annotated[str, Field(min_length=1, max_length=1024)]
    """Why, in the words of who recalled it."""
    namespace: str
    """Namespace in which it was recalled; it holds there, and for what was promoted from there."""
    name: str
    """Entry at which it was recalled."""
    recalled_by: str
    """Who recalled it."""
    recalled_at: Time
    """When."""
