"""What the calls about recalls take and answer."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints
from pydantic.alias_generators import to_camel

from image_catalog.models import CatalogImage, Recall
from image_catalog.models.events import EntryRef
from image_catalog.models.kubernetes import KubernetesModel, Time
from image_catalog.models.recalls import MAX_WHY
from image_catalog.models.wording import Digest

__all__ = ["Consumer", "RecallReport", "RecalledImage", "ToRecall", "ToRestore"]

_Why = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_WHY)]


class _Body(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, defer_build=True
    )


class ToRecall(_Body):
    """A content that must not be used any more."""

    digest: Digest
    """The content: of the entry, of one of its platforms or files, or of an earlier version."""
    reason: _Why | None = None
    """Why; needed for what is not recalled yet. Of what is, another reason takes the place of the first."""


class ToRestore(_Body):
    """A content that may be used again."""

    digest: Digest
    """The content."""
    reason: _Why
    """Why."""


class Consumer(KubernetesModel):
    """Somebody who was given a content."""

    actor: str
    """Who."""
    kind: str
    """``image.resolved`` or ``image.downloaded``."""
    first: Time
    """When first."""
    last: Time
    """When last."""
    count: int
    """How often."""


class RecallReport(KubernetesModel):
    """What a recall, or the end of one, has come to."""

    digest: str
    """The content."""
    recalled: bool
    """Whether it is recalled now."""
    changed: bool
    """Whether this call has changed that, or the reason for it."""
    recalls: list[Recall]
    """The recalls of it that hold for the entry."""
    told: bool
    """Whether the broker has taken the event about this entry; false without a broker."""
    message: str
    """What has come of it, as a sentence for people."""
    marked: list[EntryRef]
    """Other entries for which it holds, as the API knows them."""
    marked_elsewhere: int
    """Entries for which it holds in namespaces that the caller may not look into."""
    consumers: list[Consumer] | None
    """Who resolved or downloaded it, who did so last first; null where nothing keeps that."""
    consumers_remaining: bool = False
    """Whether there are more than are listed."""
    consumers_message: str
    """Why `consumers` is null, or what it leaves out; empty where it is complete."""


class RecalledImage(CatalogImage):
    """An entry after a recall, or the end of one."""

    recall: RecallReport
    """What it has come to."""
