"""Bytes that samples are made of, the same in every run."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping

from image_catalog.local.registry._digest import digest_of
from image_catalog.local.registry._media_types import OCI_LAYER
from image_catalog.local.registry._sample import Blob

__all__ = ["AUTOMOTIVE", "TITLE", "disk_layer", "file_layer"]

AUTOMOTIVE = "automotive.sdv.cloud.redhat.com/"
"""Prefix of the annotations that the build operator writes."""

TITLE = "org.opencontainers.image.title"


def file_layer(files: Mapping[str, bytes], *, media_type: str = OCI_LAYER) -> Blob:
    """Build a gzip layer of files.

    Parameters
    ----------
    files
        Content by path within the image.
    media_type
        Docker's where the manifest is Docker's.
    """
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, content in sorted(files.items()):
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    plain = tar.getvalue()
    return Blob(content=_gzip(plain), media_type=media_type, diff_id=digest_of(plain))


def disk_layer(
    content: bytes, *, name: str, partition: str | None = None, disk_format: str = "raw", annotate: bool = True
) -> Blob:
    """Build a gzip layer that holds a disk or one of its partitions.

    Parameters
    ----------
    content
        The disk's bytes before compression.
    name
        File name, kept as the layer's title.
    partition
        The partition that it is, where the disk is cut into layers.
    disk_format
        ``raw``, ``qcow2`` or ``simg``.
    annotate
        Whether the layer says its name, partition and decompressed size.
    """
    annotations = {TITLE: name, f"{AUTOMOTIVE}decompressed-size": str(len(content))}
    if partition is not None:
        annotations[f"{AUTOMOTIVE}partition"] = partition
    return Blob(
        content=_gzip(content),
        media_type=f"application/vnd.automotive.disk.{disk_format}+gzip",
        annotations=annotations if annotate else {},
    )


def _gzip(content: bytes) -> bytes:
    # The header's time of packing is left out: it would give every run another digest.
    return gzip.compress(content, mtime=0)
