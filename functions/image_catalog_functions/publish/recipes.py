"""Keeps the manifest that an image was built from: builds are deleted, the recipe must stay readable."""

from __future__ import annotations

import re

import structlog

from image_catalog.catalog.wishes import Wish
from image_catalog.cluster import ConfigMaps
from image_catalog.errors import PermanentError
from image_catalog.models import BuildManifestRef, CatalogImage

__all__ = ["Recipes"]

_log = structlog.get_logger(__name__)

_MAX_KEY = 253


class Recipes:
    """Copies build manifests into ConfigMaps that entries own.

    Parameters
    ----------
    config_maps
        Reads and writes ConfigMaps.
    """

    def __init__(self, *, config_maps: ConfigMaps) -> None:
        self._config_maps = config_maps

    async def keep(self, wish: Wish, image: CatalogImage) -> BuildManifestRef | None:
        """Keep the manifest of a wish's build beside its entry.

        Parameters
        ----------
        wish
            The publication.
        image
            Its entry, which will own the copy.

        Returns
        -------
        BuildManifestRef or None
            Where the copy is. `None` where there is no manifest, or where it
            cannot be kept: an image is published without its recipe rather
            than not at all.

        Raises
        ------
        TransientError
            Raised when the API server is in trouble that passes.
        """
        if wish.manifest is None or wish.build is None:
            return None
        try:
            found = await self._content(wish)
            if found is None:
                return None
            key, content = found
            name = f"{image.metadata.name[:240]}-manifest"
            await self._config_maps.put(name, {key: content}, owner=image)
        except PermanentError as e:
            _log.warning("build manifest not kept", image=image.subject, build=wish.build.name, error=e.message)
            return None
        return BuildManifestRef(name=name, key=key)

    async def _content(self, wish: Wish) -> tuple[str, str] | None:
        manifest, build = wish.manifest, wish.build
        if manifest is None or build is None:
            return None
        if manifest.content is not None:
            return _key(manifest.file_name), manifest.content
        config_map = await self._config_maps.get(build.namespace, manifest.config_map or "")
        if config_map is None or not config_map.data:
            _log.warning("build manifest not found", build=build.name, config_map=manifest.config_map)
            return None
        key = min(config_map.data)
        return key, config_map.data[key]


def _key(file_name: str) -> str:
    """Return a file's name as a ConfigMap can have it: without folders, and with none but plain characters."""
    return re.sub(r"[^-._A-Za-z0-9]+", "-", file_name.rsplit("/", 1)[-1])[:_MAX_KEY].lstrip(".") or "manifest"
