"""What there is of a file so far, on disk: it can be gone on with after a cut, or after the process has ended."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from image_catalog.cli.download.names import PART
from image_catalog.cli.errors import CommandError

__all__ = ["PartFile", "digest_of_file", "write_note"]

_PIECE = 1024 * 1024
_ALGORITHMS = ("sha256", "sha384", "sha512")


class PartFile:
    """The beginning of a file, beside where the file shall be; use it in a ``with`` block.

    What it is the beginning of stands beside it: the digest and, where the
    server gave one, the ETag. The beginning of something else is thrown away.

    Parameters
    ----------
    path
        Where the whole file shall be.
    digest
        What it must be; `None` where nobody says.

    Attributes
    ----------
    size
        Bytes that there are.
    kept
        How many of them were there before.
    etag
        The server's name for what they are the beginning of.
    """

    def __init__(self, path: Path, *, digest: str | None) -> None:
        self.path = path.with_name(path.name + PART)
        self._note = path.with_name(f".{path.name}{PART}.json")
        self._digest = digest
        self.algorithm = digest.partition(":")[0] if digest else _ALGORITHMS[0]
        if self.algorithm not in _ALGORITHMS:
            raise CommandError(f"the checksum of {path.name} is of a kind that is not known: {self.algorithm}")
        self.size = self.kept = 0
        self.etag: str | None = None
        self._file: int | None = None
        self._hash = hashlib.new(self.algorithm)

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever had it until now may have given it its name: to begin anew would empty the whole file.
            if not os.path.samestat(os.fstat(self._file), self.path.lstat()):
                raise BlockingIOError
        except OSError as e:
            os.close(self._file)
            self._file = None
            raise CommandError(f"{self.path} is being written by somebody else", hint="wait until it is done") from e
        self._take_up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._file is not None:
            if error is not None and not self.size:
                # Nothing to go on with.
                self.discard()
            os.close(self._file)
            self._file = None

    @property
    def digest(self) -> str:
        """Digest of what there is."""
        return f"{self.algorithm}:{self._hash.hexdigest()}"

    def append(self, piece: memoryview) -> None:
        """Put a piece behind what there is."""
        self._hash.update(piece)
        while piece:
            written = os.write(self._descriptor, piece)
            self.size += written
            piece = piece[written:]

    def restart(self, etag: str | None = None) -> None:
        """Begin anew.

        Parameters
        ----------
        etag
            The server's name for what begins now.
        """
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        self._hash = hashlib.new(self.algorithm)
        self.size = self.kept = 0
        self.remember(etag)

    def remember(self, etag: str | None) -> None:
        """Write down what this is the beginning of."""
        self.etag = etag
        write_note(self._note, {"digest": self._digest, "etag": etag})

    def finish(self, path: Path) -> None:
        """Give the whole file its name, at once or not at all."""
        self.path.replace(path)
        self._note.unlink(missing_ok=True)

    def discard(self) -> None:
        """Leave nothing behind."""
        for path in (self.path, self._note):
            path.unlink(missing_ok=True)

    @property
    def _descriptor(self) -> int:
        if self._file is None:
            raise RuntimeError("used outside of its with block")
        return self._file

    def _take_up(self) -> None:
        """Go on with what is there if it is the beginning of the same; its hash is made again, no note is believed."""
        note = self._read_note()
        same = note.get("digest") == self._digest and (self._digest is not None or note.get("etag"))
        if not same:
            self.restart()
            return
        etag = note.get("etag")
        self.etag = etag if isinstance(etag, str) else None
        buffer = memoryview(bytearray(_PIECE))
        while count := os.readv(self._descriptor, [buffer]):
            self._hash.update(buffer[:count])
            self.size += count
        self.kept = self.size

    def _read_note(self) -> dict[str, Any]:
        with suppress(OSError, ValueError):
            note = json.loads(self._note.read_text())
            if isinstance(note, dict):
                return note
        return {}


def write_note(path: Path, note: Mapping[str, Any]) -> None:
    """Write what is to be known of a file beside it, at once or not at all; a link in its place is not followed.

    Parameters
    ----------
    path
        Where the note is.
    note
        What it says.
    """
    descriptor, name = tempfile.mkstemp(prefix=".caib-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(note, file)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def digest_of_file(path: Path, algorithm: str) -> str:
    """Return the digest of a file, ``sha256:…``.

    Parameters
    ----------
    path
        The file.
    algorithm
        ``sha256``, ``sha384`` or ``sha512``.
    """
    with path.open("rb") as file:
        return f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"
