"""``/v2/<name>/blobs/<digest>`` and ``/v2/<name>/blobs/uploads/``."""

from __future__ import annotations

import re
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from image_catalog.local.registry._answers import API_VERSION, empty, error_answer, is_unchanged
from image_catalog.local.registry._digest import is_digest
from image_catalog.local.registry._store import RegistryStore
from image_catalog.local.registry._uploads import Upload

__all__ = ["BlobUploads", "Blobs"]

_SMALL = 64 * 1024
"""Bytes of a blob that is read at once: configurations, and most layers of samples."""

_CONTENT_RANGE = re.compile(r"(?:bytes )?(\d+)-(\d+)(?:/.*)?")


class Blobs:
    """Pull and delete blobs.

    Parameters
    ----------
    store
        Where they are kept.
    """

    methods = ("GET", "HEAD", "DELETE")

    def __init__(self, store: RegistryStore) -> None:
        self._store = store

    async def endpoint(self, request: Request) -> Response:
        """Answer one request; bodies are streamed from disk, whole or the range asked for."""
        repository, digest = request.path_params["repository"], request.path_params["digest"]
        if not is_digest(digest):
            return _wrong_digest()
        if request.method == "DELETE":
            deleted = self._store.delete_blob(repository, digest)
            return empty(202) if deleted else error_answer(404, "BLOB_UNKNOWN", "blob unknown to registry", digest)
        blob = self._store.blob(repository, digest)
        if blob is None:
            return error_answer(404, "BLOB_UNKNOWN", "blob unknown to registry", digest)
        headers = {**API_VERSION, "Docker-Content-Digest": digest, "Etag": f'"{digest}"'}
        if is_unchanged(request, digest):
            return empty(304, headers)
        headers["Cache-Control"] = "max-age=31536000"
        if blob.size <= _SMALL and "range" not in request.headers:
            # A thread for each chunk would cost more than the reading, and a virtual clock does not wait for threads.
            headers |= {"Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
            return Response(blob.path.read_bytes(), headers=headers)
        return FileResponse(blob.path, headers=headers, media_type="application/octet-stream")


class BlobUploads:
    """Push blobs: whole or in chunks, or mounted from another repository.

    Parameters
    ----------
    store
        Where they go.
    """

    methods = ("GET", "POST", "PATCH", "PUT", "DELETE")

    def __init__(self, store: RegistryStore) -> None:
        self._store = store

    async def start(self, request: Request) -> Response:
        """Answer the POST that begins an upload, or does it in one request."""
        repository = request.path_params["repository"]
        mount, source = request.query_params.get("mount"), request.query_params.get("from")
        if mount is not None and source is not None and is_digest(mount):
            if self._store.mount_blob(repository, mount, source=source):
                return _created(repository, mount)
            # No such blob there: the specification asks for an ordinary upload instead.
            return _progress(self._store.start_upload(repository), 202)
        upload = self._store.start_upload(repository)
        if "digest" in request.query_params:
            return await self._finish(request, upload)
        return _progress(upload, 202)

    async def endpoint(self, request: Request) -> Response:
        """Answer one request about an upload that is under way."""
        repository, identifier = request.path_params["repository"], request.path_params["upload"]
        upload = self._store.upload(repository, identifier)
        if upload is None:
            return error_answer(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
        match request.method:
            case "PATCH":
                return await self._append(request, upload)
            case "PUT":
                return await self._finish(request, upload)
            case "DELETE":
                self._store.cancel_upload(upload)
                return empty(204)
            case _:
                return _progress(upload, 204)

    async def _append(self, request: Request, upload: Upload) -> Response:
        if not _continues(request.headers, upload):
            return _progress(upload, 416)
        await upload.receive(request.stream())
        return _progress(upload, 202)

    async def _finish(self, request: Request, upload: Upload) -> Response:
        digest = request.query_params.get("digest", "")
        if not is_digest(digest):
            return _wrong_digest()
        if not _continues(request.headers, upload):
            return _progress(upload, 416)
        await upload.receive(request.stream())
        if not self._store.finish_upload(upload, digest):
            return error_answer(
                400, "DIGEST_INVALID", "provided digest did not match uploaded content", {"Digest": digest}
            )
        return _created(upload.repository, digest)


def _continues(headers: Mapping[str, str], upload: Upload) -> bool:
    """Tell whether a chunk starts where the last one ended; a chunk that does not say is taken as it comes."""
    if "content-range" not in headers:
        return True
    claimed = _CONTENT_RANGE.fullmatch(headers["content-range"])
    return claimed is not None and int(claimed[1]) == upload.size


def _progress(upload: Upload, status: int) -> Response:
    location = f"/v2/{upload.repository}/blobs/uploads/{upload.identifier}"
    # An empty upload says "0-0" too: the header has no form for nothing, and clients count on this one.
    kept = f"0-{max(upload.size - 1, 0)}"
    return empty(status, {"Location": location, "Range": kept, "Docker-Upload-Uuid": upload.identifier})


def _wrong_digest(detail: Mapping[str, str] | None = None) -> Response:
    return error_answer(400, "DIGEST_INVALID", "provided digest did not match uploaded content", detail)


def _created(repository: str, digest: str) -> Response:
    location = f"/v2/{repository}/blobs/{digest}"
    return empty(201, {"Location": location, "Docker-Content-Digest": digest})
