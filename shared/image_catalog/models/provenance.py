"""Where an entry's content came from, as its status keeps it: another entry, or a build's object store."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from image_catalog.models.kubernetes import KubernetesModel, Time
from image_catalog.models.wording import Digest

__all__ = ["ArtifactStore", "Promotion", "PromotionStage"]


class PromotionStage(KubernetesModel):
    """An entry that a content came through on its way."""

    name: str
    """Name of the entry."""
    namespace: str
    """Its namespace."""


class Promotion(KubernetesModel):
    """The entry that a version was promoted from."""

    name: str
    """Name of the entry."""
    namespace: str
    """Its namespace."""
    uid: str = ""
    """Its uid."""
    digest: Digest
    """The content that was promoted."""
    promoted_by: str
    """Who promoted it."""
    promoted_at: Time
    """When."""
    earlier: Annotated[list[PromotionStage], Field(max_length=16)] = []
    """Where that entry had it from, and so on, the last stage first: a recall there holds here, too."""


class ArtifactStore(KubernetesModel):
    """The bucket that a build exported its disk images to."""

    bucket: str
    """Name of the bucket."""
    prefix: str = ""
    """Folder of the build's files, ``builds/<name>`` unless the build says otherwise; empty for the whole bucket."""
    endpoint: str | None = None
    """URL of the store; absent for AWS."""
    region: str | None = None
    """Region of the bucket."""
    credentials_secret: str | None = None
    """Secret with the credential; absent for a bucket that anybody may read."""
    namespace: str
    """Namespace of the build, and of that Secret."""

    @property
    def folder(self) -> str:
        """What the keys of the build's files begin with, up to and with the slash."""
        return f"{self.prefix}/" if self.prefix else ""

    @property
    def title(self) -> str:
        """What people call it, ``s3://bucket/prefix``."""
        return f"s3://{self.bucket}/{self.folder}".rstrip("/")
