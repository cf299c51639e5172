"""``/v2/<name>/manifests/<reference>``."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from image_catalog.local.registry._answers import API_VERSION, empty, error_answer, is_unchanged
from image_catalog.local.registry._digest import digest_of, is_digest
from image_catalog.local.registry._manifest_rules import check_manifest
from image_catalog.local.registry._media_types import OCI_INDEX, OCI_MANIFEST, essence
from image_catalog.local.registry._store import RegistryStore, StoredManifest

__all__ = ["MANIFEST_LIMIT", "Manifests"]

MANIFEST_LIMIT = 4 * 1024 * 1024
"""The specification's smallest limit for a pushed manifest, and the distribution server's limit."""

_NOT_ACCEPTED = {
    OCI_MANIFEST: "OCI manifest found, but accept header does not support OCI manifests",
    OCI_INDEX: "OCI index found, but accept header does not support OCI indexes",
}


class Manifests:
    """Pull, push and delete manifests.

    Parameters
    ----------
    store
        Where they are kept.
    """

    methods = ("GET", "HEAD", "PUT", "DELETE")

    def __init__(self, store: RegistryStore) -> None:
        self._store = store

    async def endpoint(self, request: Request) -> Response:
        """Answer one request."""
        repository, reference = request.path_params["repository"], request.path_params["reference"]
        match request.method:
            case "PUT":
                return await self._put(request, repository, reference)
            case "DELETE":
                return self._delete(repository, reference)
            case _:
                return self._get(request, repository, reference)

    def _get(self, request: Request, repository: str, reference: str) -> Response:
        manifest = self._store.manifest(repository, reference)
        if manifest is None:
            detail = {"Name": repository, "Revision": reference} if is_digest(reference) else {"Tag": reference}
            return error_answer(404, "MANIFEST_UNKNOWN", "manifest unknown", detail)
        if (refusal := _NOT_ACCEPTED.get(manifest.media_type)) and manifest.media_type not in _accepted(request):
            return error_answer(404, "MANIFEST_UNKNOWN", refusal)
        headers = _headers(manifest)
        if is_unchanged(request, manifest.digest):
            return empty(304, headers)
        # HEAD reads no content: the size that its answer tells is the file's.
        body = b"" if request.method == "HEAD" else manifest.read()
        return Response(body, 200, headers={**headers, "Content-Length": str(manifest.size)})

    async def _put(self, request: Request, repository: str, reference: str) -> Response:
        content = await _read_limited(request)
        if content is None:
            return error_answer(413, "SIZE_INVALID", f"a manifest has at most {MANIFEST_LIMIT} bytes")
        media_type = essence(request.headers.get("content-type", ""))
        refusal = check_manifest(self._store, repository, content, media_type)
        if refusal is not None:
            return error_answer(400, refusal.code, refusal.message, refusal.detail)
        if is_digest(reference) and digest_of(content, reference.partition(":")[0]) != reference:
            return error_answer(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        digest = self._store.put_manifest(repository, reference, content, media_type=media_type)
        location = f"/v2/{repository}/manifests/{digest}"
        return empty(201, {"Location": location, "Docker-Content-Digest": digest, **self._subject(repository, digest)})

    def _subject(self, repository: str, digest: str) -> dict[str, str]:
        # The header is how a client learns that it need not keep a fallback tag itself.
        manifest = self._store.manifest(repository, digest)
        subject = manifest.subject() if manifest is not None else None
        return {"OCI-Subject": subject} if subject is not None else {}

    def _delete(self, repository: str, reference: str) -> Response:
        delete = self._store.delete_manifest if is_digest(reference) else self._store.delete_tag
        if not delete(repository, reference):
            return error_answer(404, "MANIFEST_UNKNOWN", "manifest unknown")
        return empty(202)


def _headers(manifest: StoredManifest) -> dict[str, str]:
    return {
        **API_VERSION,
        "Content-Type": manifest.media_type,
        "Docker-Content-Digest": manifest.digest,
        "Etag": f'"{manifest.digest}"',
    }


def _accepted(request: Request) -> set[str]:
    # Wildcards do not count: the distribution server, Docker Hub and others look for the exact type only.
    return {essence(entry) for header in request.headers.getlist("accept") for entry in header.split(",")}


async def _read_limited(request: Request) -> bytes | None:
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > MANIFEST_LIMIT:
            return None
    return bytes(content)
