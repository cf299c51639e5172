"""Tags, referrers, repositories."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from image_catalog.local.registry._answers import API_VERSION, error_answer, json_answer, page
from image_catalog.local.registry._digest import is_digest
from image_catalog.local.registry._media_types import OCI_INDEX
from image_catalog.local.registry._store import RegistryStore, StoredManifest

__all__ = ["Listings"]


class Listings:
    """Answer what a repository has.

    Parameters
    ----------
    store
        What is listed.
    """

    def __init__(self, store: RegistryStore) -> None:
        self._store = store

    async def ping(self, _request: Request) -> Response:
        """Answer ``/v2/``: yes, this is a registry."""
        return Response(b"{}", 200, headers={**API_VERSION, "Content-Type": "application/json; charset=utf-8"})

    async def repositories(self, request: Request) -> Response:
        """Answer ``/v2/_catalog``."""
        cut = page(request, self._store.repositories())
        if cut is None:
            return _bad_page()
        return json_answer({"repositories": cut[0]}, headers=cut[1])

    async def tags(self, request: Request) -> Response:
        """Answer ``/v2/<name>/tags/list``."""
        repository = request.path_params["repository"]
        if not self._store.exists(repository):
            return error_answer(404, "NAME_UNKNOWN", "repository name not known to registry", {"name": repository})
        cut = page(request, self._store.tags(repository))
        if cut is None:
            return _bad_page()
        return json_answer({"name": repository, "tags": cut[0]}, headers=cut[1])

    async def referrers(self, request: Request) -> Response:
        """Answer ``/v2/<name>/referrers/<digest>``: an index, empty when nothing refers to the digest.

        https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers
        """
        repository, digest = request.path_params["repository"], request.path_params["digest"]
        if not is_digest(digest):
            return error_answer(400, "DIGEST_INVALID", "a referrer's subject is named by digest")
        descriptors = [_descriptor(manifest) for manifest in self._store.referrers(repository, digest)]
        headers = {**API_VERSION, "Content-Type": OCI_INDEX}
        wanted = request.query_params.get("artifactType")
        if wanted is not None:
            descriptors = [found for found in descriptors if found.get("artifactType") == wanted]
            headers["OCI-Filters-Applied"] = "artifactType"
        return Response(_index(descriptors), 200, headers=headers)


def _index(descriptors: Iterable[dict[str, Any]]) -> bytes:
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(descriptors)}).encode()


def _descriptor(manifest: StoredManifest) -> dict[str, Any]:
    document = json.loads(manifest.read())
    # An image manifest that names no artifact type has its config's media type instead.
    artifact_type = document.get("artifactType") or document.get("config", {}).get("mediaType")
    described = {"mediaType": manifest.media_type, "digest": manifest.digest, "size": manifest.size}
    if artifact_type:
        described["artifactType"] = artifact_type
    if document.get("annotations"):
        described["annotations"] = document["annotations"]
    return described


def _bad_page() -> Response:
    return error_answer(400, "PAGINATION_NUMBER_INVALID", "n is not a number of entries")
