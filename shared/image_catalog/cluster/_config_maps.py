"""ConfigMaps that keep the recipe of a build after the build is gone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from image_catalog.cluster._api import KubernetesAPI
from image_catalog.cluster._kinds import CATALOG_IMAGE, CONFIG_MAP
from image_catalog.cluster._merge import merge_patch
from image_catalog.cluster._retry import retry_on_conflict
from image_catalog.cluster._transport import JSON
from image_catalog.errors import AlreadyExistsError, InvalidObjectError, Violation, WriteConflictError
from image_catalog.models import CatalogImage

__all__ = ["MAX_CONFIG_MAP_BYTES", "ConfigMapData", "ConfigMaps"]

MAX_CONFIG_MAP_BYTES: Final = 512 * 1024
"""Half of what the API server takes, so that the object's own weight never matters."""


@dataclass(frozen=True, slots=True)
class ConfigMapData:
    """A ConfigMap.

    Attributes
    ----------
    namespace, name
        The ConfigMap.
    data
        Text by key.
    """

    namespace: str
    name: str
    data: Mapping[str, str] = field(default_factory=dict)


class ConfigMaps:
    """Reads ConfigMaps, and writes those that an entry owns.

    Parameters
    ----------
    api
        Speaks to the API server.
    """

    def __init__(self, *, api: KubernetesAPI) -> None:
        self._api = api

    async def get(self, namespace: str, name: str) -> ConfigMapData | None:
        """Read one ConfigMap; `None` when it is absent.

        Raises
        ------
        ForbiddenError, ClusterUnavailableError
            As `KubernetesAPI.get` says.
        """
        found = await self._api.get(CONFIG_MAP, name, namespace)
        return None if found is None else _read(found)

    async def put(self, name: str, data: Mapping[str, str], *, owner: CatalogImage) -> ConfigMapData:
        """Make a ConfigMap in an entry's namespace hold exactly this data, and go when the entry goes.

        Parameters
        ----------
        name
            The ConfigMap.
        data
            Text by key, at most `MAX_CONFIG_MAP_BYTES` together.
        owner
            The entry; it must have been created.

        Raises
        ------
        InvalidObjectError
            When the data is too large, or the API server refuses it.
        AlreadyExistsError
            When a ConfigMap of that name belongs to somebody else.
        WriteConflictError
            When other writers came between every time.
        ForbiddenError, ClusterUnavailableError
            As `KubernetesAPI.patch` says.
        """
        size = sum(len(key.encode()) + len(value.encode()) for key, value in data.items())
        if size > MAX_CONFIG_MAP_BYTES:
            message = f"{size} bytes, at most {MAX_CONFIG_MAP_BYTES} are kept"
            raise InvalidObjectError(f"ConfigMap {name}: {message}", violations=[Violation("data", message)])
        namespace = owner.metadata.namespace
        body = {"metadata": {"name": name, "ownerReferences": [_owner_reference(owner)]}, "data": dict(data)}
        try:
            return _read(await self._api.create(CONFIG_MAP, body, namespace))
        except AlreadyExistsError:
            return await self._update(name, data, owner=owner)

    async def _update(self, name: str, data: Mapping[str, str], *, owner: CatalogImage) -> ConfigMapData:
        namespace = owner.metadata.namespace

        def change(current: JSON) -> JSON | None:
            owners = current["metadata"].get("ownerReferences") or ()
            if not any(reference.get("uid") == owner.metadata.uid for reference in owners):
                raise AlreadyExistsError(f"ConfigMap {namespace}/{name} is there and not owned by {owner.subject}")
            patch = merge_patch(current.get("data") or {}, data)
            return {"data": patch} if patch else None

        written = await retry_on_conflict(
            read=lambda: self._api.get(CONFIG_MAP, name, namespace),
            change=change,
            write=lambda current, patch: self._api.patch(
                CONFIG_MAP, name, namespace, patch, resource_version=current["metadata"]["resourceVersion"]
            ),
            rng=self._api.rng,
        )
        if written is None:
            raise WriteConflictError(f"ConfigMap {namespace}/{name} was deleted while it was written")
        return _read(written)


def _owner_reference(image: CatalogImage) -> dict[str, Any]:
    return {
        "apiVersion": CATALOG_IMAGE.api_version,
        "kind": CATALOG_IMAGE.kind,
        "name": image.metadata.name,
        "uid": image.metadata.uid,
    }


def _read(found: JSON) -> ConfigMapData:
    metadata = found["metadata"]
    return ConfigMapData(metadata.get("namespace", ""), metadata["name"], found.get("data") or {})
