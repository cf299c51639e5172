"""Blobs, manifests and tags on disk.

The layout is that of the distribution server in miniature::

    blobs/sha256/<2 hex digits>/<hex>        content, shared by every repository
    repositories/<name>/_blobs/sha256/<hex>      empty: this repository has the blob
    repositories/<name>/_manifests/sha256/<hex>  the media type that it was pushed with
    repositories/<name>/_tags/<tag>              the digest
    repositories/<name>/_referrers/<subject>/<digest>   empty
    uploads/<id>                             what has come of an upload so far

A component of a repository name never starts with an underscore, so the folders
cannot clash with nested repositories.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from image_catalog.local.registry._digest import digest_of, is_digest, is_repository, is_tag
from image_catalog.local.registry._uploads import Upload

__all__ = ["RegistryStore", "StoredBlob", "StoredManifest"]


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """A blob that a repository has.

    Attributes
    ----------
    digest
        What it was asked for by.
    path
        Where its bytes are.
    size
        In bytes.
    """

    digest: str
    path: Path
    size: int


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """A manifest that a repository has.

    Attributes
    ----------
    digest
        Of its bytes.
    media_type
        The ``Content-Type`` that it was pushed with.
    path
        Where its bytes are.
    size
        In bytes.
    """

    digest: str
    media_type: str
    path: Path
    size: int

    def read(self) -> bytes:
        """Return the manifest's bytes."""
        return self.path.read_bytes()

    def subject(self) -> str | None:
        """Return the digest of the manifest that this one refers to, `None` when it refers to none."""
        return _subject(self.read())


class RegistryStore:
    """A registry's content in one folder, for one process at a time.

    Calls touch a few small files and are synchronous on purpose: on one event
    loop each of them is atomic. Only blob bodies, which may be large, go
    through `Upload` and the response's own file reader.

    Parameters
    ----------
    root
        The folder; made when absent. Uploads that a previous process left
        unfinished are dropped.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._uploads: dict[str, Upload] = {}
        self._upload_folder = root / "uploads"
        shutil.rmtree(self._upload_folder, ignore_errors=True)
        self._upload_folder.mkdir(parents=True)

    # Blobs

    def blob(self, repository: str, digest: str) -> StoredBlob | None:
        """Return a blob, `None` when this repository has none of that digest."""
        path = self._content(digest)
        if not (self._linked(repository, "_blobs", digest).exists() and path.exists()):
            return None
        return StoredBlob(digest=digest, path=path, size=path.stat().st_size)

    def put_blob(self, repository: str, content: bytes, *, algorithm: str = "sha256") -> str:
        """Keep a blob and return its digest."""
        digest = digest_of(content, algorithm)
        self._keep(digest, content)
        self._mark(self._linked(repository, "_blobs", digest))
        return digest

    def mount_blob(self, repository: str, digest: str, *, source: str) -> bool:
        """Give a repository a blob of another one; False when that has none."""
        if self.blob(source, digest) is None:
            return False
        self._mark(self._linked(repository, "_blobs", digest))
        return True

    def delete_blob(self, repository: str, digest: str) -> bool:
        """Take a blob from a repository; False when it had none."""
        return _unlink(self._linked(repository, "_blobs", digest))

    # Uploads

    def start_upload(self, repository: str) -> Upload:
        """Begin an upload into a repository."""
        identifier = str(uuid4())
        upload = Upload(identifier=identifier, repository=repository, path=self._upload_folder / identifier)
        self._uploads[identifier] = upload
        return upload

    def upload(self, repository: str, identifier: str) -> Upload | None:
        """Return an upload that is under way in a repository."""
        upload = self._uploads.get(identifier)
        return upload if upload is not None and upload.repository == repository else None

    def finish_upload(self, upload: Upload, digest: str) -> bool:
        """Turn an upload into a blob; False, and the upload is gone, when its bytes have another digest."""
        del self._uploads[upload.identifier]
        if upload.digest(digest.partition(":")[0]) != digest:
            upload.discard()
            return False
        target = self._content(digest)
        target.parent.mkdir(parents=True, exist_ok=True)
        upload.path.replace(target)
        self._mark(self._linked(upload.repository, "_blobs", digest))
        return True

    def cancel_upload(self, upload: Upload) -> None:
        """Forget an upload and what has come of it."""
        del self._uploads[upload.identifier]
        upload.discard()

    # Manifests

    def manifest(self, repository: str, reference: str) -> StoredManifest | None:
        """Return a manifest by tag or digest."""
        digest = reference if is_digest(reference) else self._tagged(repository, reference)
        if digest is None:
            return None
        link, path = self._linked(repository, "_manifests", digest), self._content(digest)
        if not (link.exists() and path.exists()):
            return None
        return StoredManifest(digest=digest, media_type=link.read_text(), path=path, size=path.stat().st_size)

    def put_manifest(self, repository: str, reference: str, content: bytes, *, media_type: str) -> str:
        """Keep a manifest under a tag or its digest and return the digest.

        Nothing is checked but the names: this is how tests get broken content
        into a registry. What comes over HTTP is checked before.

        Raises
        ------
        ValueError
            When the reference is neither a tag nor the digest of the content.
        """
        algorithm = reference.partition(":")[0] if is_digest(reference) else "sha256"
        digest = digest_of(content, algorithm)
        if is_digest(reference) and reference != digest:
            raise ValueError(f"the content's digest is {digest}, not {reference}")
        self._keep(digest, content)
        self._write(self._linked(repository, "_manifests", digest), media_type.encode())
        if (subject := _subject(content)) is not None:
            self._mark(self._referrers(repository, subject) / digest.replace(":", "-"))
        if not is_digest(reference):
            self._write(self._tag(repository, reference), digest.encode())
        return digest

    def delete_manifest(self, repository: str, digest: str) -> bool:
        """Delete a manifest and every tag that names it; False when there is none."""
        manifest = self.manifest(repository, digest)
        if manifest is None:
            return False
        if (subject := manifest.subject()) is not None:
            _unlink(self._referrers(repository, subject) / digest.replace(":", "-"))
        for tag in self.tags(repository):
            if self._tagged(repository, tag) == digest:
                self.delete_tag(repository, tag)
        return _unlink(self._linked(repository, "_manifests", digest))

    def delete_tag(self, repository: str, tag: str) -> bool:
        """Delete a tag and leave its manifest; False when there is none."""
        return _unlink(self._tag(repository, tag))

    # Listings

    def exists(self, repository: str) -> bool:
        """Tell whether anything was ever pushed to a repository."""
        return (self._repository(repository) / "_manifests").is_dir()

    def tags(self, repository: str) -> list[str]:
        """List a repository's tags in lexical order."""
        folder = self._repository(repository) / "_tags"
        return sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []

    def repositories(self) -> list[str]:
        """List every repository in lexical order."""
        base = self.root / "repositories"
        return sorted(str(found.parent.relative_to(base)) for found in base.glob("**/_manifests"))

    def referrers(self, repository: str, subject: str) -> Iterator[StoredManifest]:
        """Yield the manifests whose ``subject`` is the given digest, by digest."""
        folder = self._referrers(repository, subject)
        for name in sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else ():
            manifest = self.manifest(repository, name.replace("-", ":", 1))
            if manifest is not None:
                yield manifest

    # Paths: every name is checked here, whoever calls, before it becomes part of one.

    def _repository(self, repository: str) -> Path:
        if not is_repository(repository):
            raise ValueError(f"{repository!r} is not a repository name")
        return self.root.joinpath("repositories", repository)

    def _content(self, digest: str) -> Path:
        algorithm, hexadecimal = _parts(digest)
        return self.root.joinpath("blobs", algorithm, hexadecimal[:2], hexadecimal)

    def _linked(self, repository: str, kind: str, digest: str) -> Path:
        algorithm, hexadecimal = _parts(digest)
        return self._repository(repository).joinpath(kind, algorithm, hexadecimal)

    def _referrers(self, repository: str, subject: str) -> Path:
        algorithm, hexadecimal = _parts(subject)
        return self._repository(repository).joinpath("_referrers", f"{algorithm}-{hexadecimal}")

    def _tag(self, repository: str, tag: str) -> Path:
        if not is_tag(tag):
            raise ValueError(f"{tag!r} is not a tag")
        return self._repository(repository).joinpath("_tags", tag)

    def _tagged(self, repository: str, tag: str) -> str | None:
        try:
            return self._tag(repository, tag).read_text()
        except FileNotFoundError:
            return None

    def _keep(self, digest: str, content: bytes) -> None:
        # What is there under its digest is whole, and the same.
        path = self._content(digest)
        if not path.exists():
            self._write(path, content)

    def _mark(self, path: Path) -> None:
        try:
            path.touch()
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    def _write(self, path: Path, content: bytes) -> None:
        # A reader sees the old file or the new one, never half of either.
        temporary = self._upload_folder / f"{uuid4()}.tmp"
        temporary.write_bytes(content)
        try:
            temporary.replace(path)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.replace(path)


def _parts(digest: str) -> tuple[str, str]:
    if not is_digest(digest):
        raise ValueError(f"{digest!r} is not a digest")
    algorithm, _, hexadecimal = digest.partition(":")
    return algorithm, hexadecimal


def _subject(content: bytes) -> str | None:
    try:
        document: Any = json.loads(content)
        subject = document["subject"]["digest"]
    except (ValueError, KeyError, TypeError):
        return None
    return subject if isinstance(subject, str) and is_digest(subject) else None


def _unlink(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True
