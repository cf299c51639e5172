"""Push blobs and manifests over HTTP: what the samples need, not a client for the world."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from image_catalog.errors import (
    AccessDeniedError,
    AuthenticationError,
    CatalogError,
    PermanentError,
    RegistryFaultError,
    RegistryUnreachableError,
)
from image_catalog.local.registry._digest import digest_of

__all__ = ["RegistryWriter"]

_REFUSALS: dict[int, type[CatalogError]] = {401: AuthenticationError, 403: AccessDeniedError}


class RegistryWriter:
    """Write to one repository.

    Parameters
    ----------
    client
        For the requests; its trust and its transport hold.
    url
        Scheme, host and port of the registry.
    repository
        Where all goes.
    auth
        User and password for Basic, or any other authentication of httpx.
    """

    def __init__(
        self, client: httpx.AsyncClient, *, url: str, repository: str, auth: httpx.Auth | tuple[str, str] | None = None
    ) -> None:
        self._client = client
        self._base = httpx.URL(f"{url.rstrip('/')}/v2/{repository}/")
        self._auth = auth

    async def put_blob(self, content: bytes) -> str:
        """Push a blob in one piece, unless it is there already, and return its digest."""
        digest = digest_of(content)
        there = await self._send("HEAD", self._base.join(f"blobs/{digest}"), allowed=(200, 404))
        if there.status_code == httpx.codes.OK:
            return digest
        started = await self._send("POST", self._base.join("blobs/uploads/"), allowed=(202,))
        location = self._base.join(started.headers["location"]).copy_merge_params({"digest": digest})
        headers = {"Content-Type": "application/octet-stream"}
        await self._send("PUT", location, allowed=(201,), content=content, headers=headers)
        return digest

    async def put_manifest(self, reference: str, content: bytes, *, media_type: str) -> str:
        """Push a manifest under a tag or its digest and return the digest."""
        headers = {"Content-Type": media_type}
        url = self._base.join(f"manifests/{reference}")
        await self._send("PUT", url, allowed=(201,), content=content, headers=headers)
        return digest_of(content)

    async def _send(
        self,
        method: str,
        url: httpx.URL,
        *,
        allowed: tuple[int, ...],
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        authentication: dict[str, Any] = {} if self._auth is None else {"auth": self._auth}
        try:
            answer = await self._client.request(method, url, content=content, headers=headers, **authentication)
        except httpx.HTTPError as error:
            raise RegistryUnreachableError(f"{url.host} did not answer {method}: {error}") from error
        if answer.status_code not in allowed:
            fallback = RegistryFaultError if answer.is_server_error else PermanentError
            kind = _REFUSALS.get(answer.status_code, fallback)
            raise kind(f"{url.host} refused {method} {url.path} with {answer.status_code}: {answer.text[:200]}")
        return answer
