"""Where an entry's content came from, as its status keeps it: another entry, or a build's object store."""

from __future__ import annotations

from image_catalog.models.kubernetes import KubernetesModel, Time
from image_catalog.models.wording import Digest

__all__ = ["ArtifactStore", "Promotion"]


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


class ArtifactStore(KubernetesModel):
    """The bucket that a build exported its disk images to."""

    bucket: str
    """Name of the bucket."""
    prefix: str
    """What the keys of its objects begin with, ``builds/<name>`` unless the build says otherwise."""
    endpoint: str | None = None
    """URL of the store; absent for AWS."""
    region: str | None = None
    """Region of the bucket."""
    credentials_secret: str | None = None
    """Secret with the credential."""
    namespace: str
    """Namespace of the build, and of that Secret."""
