"""Builds that are in the local cluster from the start, so that the catalog has entries."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from pathlib import Path

from image_catalog.cluster import IMAGE_BUILD, CatalogImages, KubernetesAPI
from image_catalog.errors import PermanentError
from image_catalog.local.manifests import load_manifests
from image_catalog.models import Phase
from image_catalog.models.names import ANNOTATION_PUBLISH

__all__ = ["SAMPLE_BUILDS", "create_builds"]

SAMPLE_BUILDS = Path(__file__).with_name("builds.yaml")
"""The builds, with the status that an operator would have written."""

_NAMESPACE = "default"
_PATIENCE = timedelta(seconds=30)
_LOOK_EVERY = timedelta(milliseconds=50)


async def create_builds(api: KubernetesAPI, *, patience: timedelta = _PATIENCE) -> list[str]:
    """Create completed builds, wait until those that publish themselves are Available, and return their names.

    Parameters
    ----------
    api
        The embedded cluster, as its administrator.
    patience
        How long each image may take.

    Raises
    ------
    PermanentError
        Raised if an image is not published in time.
    """
    published = []
    for build in load_manifests(SAMPLE_BUILDS):
        metadata = build["metadata"]
        await api.create(IMAGE_BUILD, {"metadata": metadata, "spec": build["spec"]}, _NAMESPACE)
        await api.patch_status(IMAGE_BUILD, metadata["name"], _NAMESPACE, build["status"], resource_version=None)
        if metadata.get("annotations", {}).get(ANNOTATION_PUBLISH) != "false":
            # One after the other: the newest publication stands first in lists.
            await _published(CatalogImages(api=api), metadata["name"], patience)
            published.append(metadata["name"])
    return published


async def _published(images: CatalogImages, name: str, patience: timedelta) -> None:
    deadline = time.monotonic() + patience.total_seconds()
    while True:
        image = await images.get(_NAMESPACE, name)
        if image is not None and image.status.phase == Phase.AVAILABLE:
            return
        if time.monotonic() >= deadline:
            raise PermanentError(
                f'the sample build "{name}" is not published after {patience.total_seconds():g} s; the logs say why'
            )
        await asyncio.sleep(_LOOK_EVERY.total_seconds())
