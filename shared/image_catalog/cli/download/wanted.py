"""Which files of an image are downloaded, by what the catalog says of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from image_catalog.cli.download.names import local_path
from image_catalog.cli.errors import CommandError, NotFoundError

__all__ = ["WantedFile", "choose", "wanted_files"]

_PACKED = {"gzip": (".gz", ".gzip"), "lz4": (".lz4",), "xz": (".xz",)}
_SHORT = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedFile:
    """A file that is to be downloaded.

    Attributes
    ----------
    name
        What it is called on this machine.
    path
        Where it goes.
    artifact
        Name under which the catalog knows it; `None` where it has none.
    type
        ``oci``, ``s3`` or ``http``.
    url
        Where it can be had.
    digest
        What it must be, ``sha256:…``; `None` where nobody says.
    size
        Its size in bytes, where that is known.
    packed
        ``gzip``, ``lz4`` or ``xz``; `None` for a file that is not packed.
    unpacked_size
        Its size when it is unpacked, where its builder said.
    """

    name: str
    path: Path
    artifact: str | None
    type: str
    url: str
    digest: str | None = None
    size: int | None = None
    packed: str | None = None
    unpacked_size: int | None = None

    def places(self, *, decompress: bool) -> set[Path]:
        """Return every place that the file takes, also while it is under way."""
        return {self.path, self.unpacked_path} if decompress else {self.path}

    @property
    def unpacked_path(self) -> Path:
        """Where it goes unpacked."""
        suffix = next((s for s in _PACKED.get(self.packed or "", ()) if self.name.lower().endswith(s)), "")
        return self.path.with_name(self.path.name[: len(self.path.name) - len(suffix)])


def choose(items: Sequence[Mapping[str, Any]], patterns: Sequence[str]) -> list[Mapping[str, Any]]:
    """Return the files that are meant.

    Parameters
    ----------
    items
        What the catalog lists.
    patterns
        Names, or patterns with ``*``, ``?`` and ``[…]``; none means every file.

    Raises
    ------
    NotFoundError
        Raised if a pattern fits no file.
    """
    chosen: dict[int, Mapping[str, Any]] = {} if patterns else dict(enumerate(items))
    for pattern in patterns:
        found = {at: item for at, item in enumerate(items) if _title(item) == pattern}
        found = found or {at: item for at, item in enumerate(items) if fnmatchcase(_title(item), pattern)}
        if not found:
            names = ", ".join(_title(item) for item in items)
            raise NotFoundError(f'no artifact is called "{pattern}"', hint=f"there are: {names}")
        chosen |= found
    return [chosen[at] for at in sorted(chosen)]


def wanted_files(items: Iterable[Mapping[str, Any]], directory: Path, *, decompress: bool) -> list[WantedFile]:
    """Return what is to be downloaded, each file at a place of its own.

    Files of one name, those of several platforms for example, are told apart
    by their digests.

    Parameters
    ----------
    items
        What the catalog says of the files.
    directory
        Where they go.
    decompress
        Whether packed files are unpacked, and take their unpacked names.

    Raises
    ------
    UnsafeNameError
        Raised if a name would lead elsewhere.
    CommandError
        Raised if two files would be put into the same place.
    """
    found = {(_title(item), item.get("digest") or item.get("url")): item for item in items}
    counts = Counter(_title(item).casefold() for item in found.values())
    wanted = [_wanted(item, directory, alone=counts[_title(item).casefold()] == 1) for item in found.values()]
    places = Counter(str(path).casefold() for file in wanted for path in file.places(decompress=decompress))
    for file in wanted:
        for path in file.places(decompress=decompress):
            if places[str(path).casefold()] > 1:
                raise CommandError(f"two artifacts would both become {path}", hint="choose one with --artifact")
    return wanted


def _wanted(item: Mapping[str, Any], directory: Path, *, alone: bool) -> WantedFile:
    name = _title(item)
    if not alone:
        stem, dot, suffixes = name.partition(".")
        name = f"{stem}-{_short(item)}{dot}{suffixes}"
    size, unpacked = item.get("sizeBytes"), item.get("decompressedSizeBytes")
    return WantedFile(
        name=name,
        path=local_path(directory, name),
        artifact=item.get("name"),
        type=str(item.get("type")),
        url=str(item.get("downloadUrl") or item.get("url")),
        digest=item.get("checksum") or item.get("digest"),
        size=size if isinstance(size, int) else None,
        packed=_packing(item, name),
        unpacked_size=unpacked if isinstance(unpacked, int) else None,
    )


def _title(item: Mapping[str, Any]) -> str:
    """Return what a file is called; one without a name is called by its digest."""
    return str(item.get("name") or f"artifact-{_short(item)}")


def _short(item: Mapping[str, Any]) -> str:
    digest = str(item.get("digest") or item.get("url") or "")
    return digest.rpartition(":")[2].rpartition("/")[2][:_SHORT]


def _packing(item: Mapping[str, Any], name: str) -> str | None:
    said = str(item.get("format") or "").partition("+")[2]
    if said in _PACKED:
        return said
    return next((kind for kind, suffixes in _PACKED.items() if name.lower().endswith(suffixes)), None)
