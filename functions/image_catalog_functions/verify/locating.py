"""Makes URLs that open an entry's files for a while, with a Secret that this function may read and the API may not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from pydantic import SecretStr

from image_catalog.catalog.exports import BuildFiles, refs_of
from image_catalog.cluster import CatalogImages
from image_catalog.errors import CatalogError
from image_catalog.events import CatalogEvent, EventType, ReceivedEvent
from image_catalog.models import ArtifactRef, CatalogImage
from image_catalog.models.artifact_events import ArtifactsLocated, ArtifactsRequest, LocatedArtifact

__all__ = ["Locator"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Locator:
    """Makes URLs that open files.

    Parameters
    ----------
    images
        Reads entries.
    files
        Lists and opens files.
    lifetime
        How long a URL opens a file.
    """

    images: CatalogImages
    files: BuildFiles
    lifetime: timedelta

    async def locate(self, event: ReceivedEvent[object], request: ArtifactsRequest) -> list[CatalogEvent]:
        """Answer who asks for the files of an entry.

        What a publication could not list is listed now, and not kept.

        Parameters
        ----------
        event
            The request as it came.
        request
            Names the entry.

        Returns
        -------
        list of CatalogEvent
            The answer, which says why where there is no URL; nothing for an
            entry that is not there. It goes to who asked, and nowhere else.

        Raises
        ------
        TransientError
            Raised when the API server does not tell what the entry is.
        """
        image = await self.images.get(request.namespace, request.name)
        if image is None:
            return []
        data = ArtifactsLocated(
            name=image.metadata.name,
            namespace=image.metadata.namespace,
            registry_url=image.spec.registry_url,
            actor=event.actor,
        )
        try:
            update = await self._open(image)
        except CatalogError as e:
            update = {"reason": e.reason, "message": e.message}
        answer = data.model_copy(update=update)
        return [CatalogEvent.of_image(EventType.ARTIFACTS_LOCATED, image, answer, cause=event)]

    async def _open(self, image: CatalogImage) -> dict[str, object]:
        store, namespace = image.status.artifact_store, image.metadata.namespace
        if store is None:
            return {}
        refs = [ref for ref in image.status.artifact_refs if ref.type == "s3"]
        if not refs:
            refs = refs_of(await self.files.list_files(store, namespace=namespace))
        names = [ref.name for ref in refs if ref.name]
        signed = await self.files.sign(store, names, namespace=namespace, lifetime=self.lifetime)
        items = [_located(ref, signed.urls[ref.name]) for ref in refs if ref.name]
        return {"items": items, "expires_at": signed.expires_at}


def _located(ref: ArtifactRef, url: SecretStr) -> LocatedArtifact:
    return LocatedArtifact(
        name=ref.name or "",
        url=ref.url,
        download_url=url,
        digest=ref.digest,
        size_bytes=ref.size_bytes,
        format=ref.format,
    )
