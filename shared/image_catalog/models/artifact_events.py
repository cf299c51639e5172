"""The question for URLs that open an entry's files, and its answer: asked of a function directly, never of a broker."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PlainSerializer, SecretStr

from image_catalog.models.events import EventData, EventModel, Moment
from image_catalog.models.wording import LOOSE_LABEL_PATTERN, LOOSE_NAME_PATTERN

__all__ = ["ArtifactsLocated", "ArtifactsRequest", "LocatedArtifact"]

_Told = Annotated[SecretStr, PlainSerializer(SecretStr.get_secret_value, return_type=str, when_used="json")]
"""A secret that its answer is made to tell; wherever else it is shown, it is not."""


class ArtifactsRequest(EventModel):
    """Asks for URLs that open an entry's files for a while; answered to who asks directly, and to nobody else."""

    name: Annotated[str, Field(min_length=1, max_length=253, pattern=LOOSE_NAME_PATTERN)]
    """Name of the entry."""
    namespace: Annotated[str, Field(min_length=1, max_length=63, pattern=LOOSE_LABEL_PATTERN)]
    """Namespace of the entry."""
    actor: Annotated[str, Field(max_length=512)] | None = None
    """Who asks; believed only from a caller that has proven itself."""


class LocatedArtifact(EventModel):
    """A file in an object store, and a URL that opens it for a while."""

    name: str
    """Its name in the build's folder."""
    url: str
    """Its address, which opens nothing."""
    download_url: _Told
    """The URL that opens it, to whoever has it."""
    digest: str | None = None
    """Its digest, where the store has one."""
    size_bytes: Annotated[int, Field(ge=0)] | None = None
    """Its size."""
    format: str | None = None
    """Format of the disk image, by its name."""


class ArtifactsLocated(EventData):
    """The answer to who asked for URLs directly; it is never sent to a broker."""

    items: list[LocatedArtifact] = []
    """The files that can be opened."""
    expires_at: Moment | None = None
    """When the URLs cease to open them."""
    reason: str | None = None
    """Why there are none."""
    message: str = ""
    """Why, as a sentence for people, with the remedy."""
