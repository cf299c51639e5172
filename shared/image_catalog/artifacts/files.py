"""What there is to say of a file in an object store."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from image_catalog.models import ArtifactStore

__all__ = ["StoredFile", "StoredFiles", "format_of", "object_url"]

_FORMATS = {".raw": "raw", ".img": "raw", ".qcow2": "qcow2", ".simg": "simg"}
_PACKED = {".gz": "+gzip", ".lz4": "+lz4", ".xz": "+xz"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file of a build.

    Attributes
    ----------
    name
        Its key without the build's folder; it may have folders of its own.
    url
        Its address, which says nothing of who may read it.
    size_bytes
        Its size.
    sha256
        Digest of the whole file, ``sha256:…``; `None` where the store has none.
    """

    name: str
    url: str
    size_bytes: int
    sha256: str | None = None

    @property
    def format(self) -> str | None:
        """Format of the disk image, guessed from the name; `None` for what looks like none."""
        return format_of(self.name)


@dataclass(frozen=True, slots=True)
class StoredFiles:
    """The files of a build.

    Attributes
    ----------
    files
        In the order of their names.
    complete
        Whether these are all.
    """

    files: tuple[StoredFile, ...]
    complete: bool = True


def format_of(name: str) -> str | None:
    """Return the format of a disk image by its file name, in the words of the registry's media types.

    Parameters
    ----------
    name
        ``disk.qcow2.gz``, for example.
    """
    lowered = name.lower()
    packed = next((suffix for suffix in _PACKED if lowered.endswith(suffix)), "")
    bare = lowered.removesuffix(packed)
    found = next((kind for suffix, kind in _FORMATS.items() if bare.endswith(suffix)), None)
    return None if found is None else f"{found}{_PACKED.get(packed, '')}"


def object_url(store: ArtifactStore, key: str) -> str:
    """Return the address of an object, for people to read: only a signed one opens it.

    Parameters
    ----------
    store
        The bucket.
    key
        The object's key.
    """
    path = quote(key, safe="/-_.~")
    if store.endpoint is not None:
        return f"{store.endpoint.rstrip('/')}/{store.bucket}/{path}"
    region = f".{store.region}" if store.region else ""
    return f"https://{store.bucket}.s3{region}.amazonaws.com/{path}"
