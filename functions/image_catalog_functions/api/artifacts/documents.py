"""What the call answers, for the OpenAPI document."""

from __future__ import annotations

from image_catalog.models import ArtifactRef
from image_catalog.models.kubernetes import KubernetesModel, Time
from image_catalog_functions.api.http.documents import ObjectName

__all__ = ["Artifact", "ArtifactList", "ArtifactOwner", "RecallNote", "Unavailable"]


class RecallNote(KubernetesModel):
    """Why a content must not be used any more."""

    reason: str
    """Why, in the words of who recalled it."""
    namespace: str | None = None
    """Namespace of the entry that it was recalled for."""
    name: str | None = None
    """Name of that entry."""
    recalled_by: str | None = None
    """Who recalled it."""
    recalled_at: Time | None = None
    """When."""


class Artifact(ArtifactRef):
    """A file that belongs to an image."""

    checksum: str | None = None
    """The same as `digest`: what the downloaded file must have."""
    sha256: str | None = None
    """The SHA-256 of the file in hexadecimal digits, as `sha256sum` prints it."""
    download_url: str | None = None
    """Where the file can be had now; a URL that opens a file of an object store is a secret until it expires."""
    expires_at: Time | None = None
    """When the URL ceases to open the file; absent where it does not."""
    repository: str | None = None
    """Repository whose credential opens the file at its registry: the client's own is used, none goes with the URL."""
    recall: RecallNote | None = None
    """Why the file must not be used any more, where it is recalled."""


class Unavailable(KubernetesModel):
    """Why files of the build's object store have no URL."""

    reason: str
    """Why, in a word."""
    message: str
    """Why, as a sentence for people, with the remedy."""


class ArtifactOwner(ObjectName):
    """The entry that files belong to."""

    registry_url: str
    """Reference of its image."""
    digest: str | None = None
    """Content that it points to."""
    recall: RecallNote | None = None
    """Why the image must not be used any more, where it is recalled."""


class ArtifactList(KubernetesModel):
    """The files that belong to an image."""

    items: list[Artifact]
    """The files."""
    metadata: ArtifactOwner
    """The entry that they belong to."""
    unavailable: Unavailable | None = None
    """Why those in an object store have no URL; absent where they have."""
