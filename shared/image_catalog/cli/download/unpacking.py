"""Unpacks a file in pieces: whatever it claims to become, memory is bounded, and the disk is not filled."""

from __future__ import annotations

import hashlib
import lzma
import os
import shutil
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

from image_catalog.cli.download.fetching import StoppedError
from image_catalog.cli.download.names import PART
from image_catalog.cli.errors import CommandError

__all__ = ["UnpackError", "Unpacked", "unpack"]

_READ: Final = 256 * 1024
_PIECE: Final = 1024 * 1024
"""Largest piece that one step makes of what it has read."""

_DICTIONARY: Final = 256 * 1024 * 1024
"""Largest memory that unpacking xz may take: its strongest preset needs 65 MiB."""

_SPARE: Final = 64 * 1024 * 1024
"""Space on the disk that is left to others."""

_LOOK_EVERY: Final = 64 * 1024 * 1024
"""How often the space that is left on the disk is looked at."""


class UnpackError(CommandError):
    """A file cannot be unpacked, or becomes something else than its builder said."""

    reason = "UnpackFailed"


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A file that was unpacked.

    Attributes
    ----------
    size
        Its bytes.
    digest
        Its SHA-256.
    """

    size: int
    digest: str


class _Decompressor(Protocol):
    """What the three kinds have in common, in the standard library's words."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Gzip:
    """zlib's decompressor with the words of the others."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


def unpack(
    packed: Path,
    kind: str,
    target: Path,
    *,
    expected: int | None,
    stop: threading.Event,
    progress: Callable[[int, int | None], None],
) -> Unpacked:
    """Unpack a file beside its place, and give it its name when it is whole.

    Parameters
    ----------
    packed
        The file as it came, with its checksum checked.
    kind
        ``gzip``, ``lz4`` or ``xz``.
    target
        Where the unpacked file goes.
    expected
        Bytes that it must have; `None` where nobody says.
    stop
        Set when it is to end.
    progress
        Told how many bytes of the packed file are read, and of how many.

    Raises
    ------
    UnpackError
        Raised if it is broken, becomes larger or smaller than expected, or
        does not fit on the disk; nothing of it is left.
    StoppedError
        Raised when `stop` was set.
    """
    making = target.with_name(target.name + PART)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(making, flags, 0o644), "wb", buffering=0) as file:
            unpacked = _write(file, target, _pieces(packed, kind, progress), expected=expected, stop=stop)
        making.replace(target)
    except BaseException:
        making.unlink(missing_ok=True)
        raise
    return unpacked


def _write(
    file: BinaryIO, target: Path, pieces: Iterable[bytes], *, expected: int | None, stop: threading.Event
) -> Unpacked:
    digest, size, looked = hashlib.sha256(), 0, -_LOOK_EVERY
    for piece in pieces:
        size += len(piece)
        if expected is not None and size > expected:
            raise UnpackError(f"{target.name} becomes larger than the {expected} bytes that its builder said")
        if size - looked >= _LOOK_EVERY:
            looked = size
            if shutil.disk_usage(target.parent).free < _SPARE:
                raise UnpackError(f"the disk has no room for {target.name}")
        if stop.is_set():
            raise StoppedError(f"{target.name}: interrupted")
        digest.update(piece)
        file.write(piece)
    if expected not in {None, size}:
        raise UnpackError(f"{target.name} becomes {size} bytes, and its builder said {expected}")
    return Unpacked(size, f"sha256:{digest.hexdigest()}")


def _pieces(packed: Path, kind: str, progress: Callable[[int, int | None], None]) -> Iterator[bytes]:
    """Yield what a file becomes; it may be several packed files, one behind the other."""
    make, failures = _decompressors(kind)
    total = packed.stat().st_size
    with packed.open("rb") as file:

        def read() -> bytes:
            data = file.read(_READ)
            progress(file.tell(), total)
            return data

        decompressor = make()
        while True:
            data = b""
            if decompressor.eof:
                data = _next(decompressor.unused_data or b"", read)
                if not data:
                    return
                decompressor = make()
            elif decompressor.needs_input and not (data := read()):
                raise UnpackError(f"{packed.name} ends in the middle")
            try:
                piece = decompressor.decompress(data, _PIECE)
            except failures as e:
                raise UnpackError(f"{packed.name} cannot be unpacked as {kind}: {e}") from e
            if piece:
                yield piece


def _next(data: bytes, read: Callable[[], bytes]) -> bytes:
    """Return where another packed file begins; zeros before it only fill up a block."""
    while not (data := data.lstrip(b"\0")):
        data = read()
        if not data:
            return b""
    return data


def _decompressors(kind: str) -> tuple[Callable[[], _Decompressor], tuple[type[Exception], ...]]:
    if kind == "gzip":
        return _Gzip, (zlib.error,)
    if kind == "xz":
        return lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_DICTIONARY), (lzma.LZMAError,)
    try:
        from lz4 import frame  # type: ignore[import-untyped]  # noqa: PLC0415 - few files are packed so
    except ModuleNotFoundError as e:
        raise UnpackError(
            "lz4 is not installed, which unpacks files of this kind", hint="install image-catalog[local]"
        ) from e
    library: Any = frame
    return library.LZ4FrameDecompressor, (RuntimeError, EOFError)
